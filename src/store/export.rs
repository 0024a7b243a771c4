//! All that is kept about one account: what every table says of it, column by column, and what an export leaves out.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use super::{Error, Row, Tx, arg};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

use Form::{Flag, Number, Text, Time};

/// A value of an account, as its column is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fact {
    /// Empty in the store, or not said.
    Nothing,
    Text(String),
    Number(i64),
    Flag(bool),
    Time(Timestamp),
}

/// A row as names and values, in the order in which they are shown.
pub(crate) type Record = Vec<(&'static str, Fact)>;

/// Everything that one table keeps of an account.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) records: Vec<Record>,
}

/// What is kept and not shown, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeftOut {
    pub(crate) table: &'static str,
    /// No column: the whole table.
    pub(crate) columns: &'static [&'static str],
    pub(crate) why: &'static str,
}

/// How a column is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Text,
    Number,
    Flag,
    Time,
}

/// A table that keeps something of accounts.
struct Table {
    /// Its name in the store.
    table: &'static str,
    /// Its name in the export.
    section: &'static str,
    /// Which rows are the account's, whose number is `$1`.
    of: &'static str,
    order: &'static str,
    columns: &'static [(&'static str, Form)],
}

const OWN: &str = "account_id = $1";
/// An address may have accounts of several kinds, and one mailbox.
const OWN_ADDRESS: &str = "lower(email) = (SELECT email_key FROM accounts WHERE id = $1)";

const TABLES: [Table; 18] = [
    Table {
        table: "accounts",
        section: "account",
        of: "id = $1",
        order: "id",
        columns: &[
            ("id", Number),
            ("uuid", Text),
            ("kind", Text),
            ("email", Text),
            ("name", Text),
            ("phone", Text),
            ("image", Text),
            ("language", Text),
            ("verified", Flag),
            ("verified_at", Time),
            ("vouched", Flag),
            ("created_at", Time),
            ("updated_at", Time),
            ("disabled_at", Time),
            ("blocked_at", Time),
            ("blocked_until", Time),
            ("sign_ins", Number),
            ("signed_in_at", Time),
            ("signed_in_ip", Text),
            ("signed_in_before_at", Time),
            ("signed_in_before_ip", Text),
            ("failed_attempts", Number),
            ("remembered_at", Time),
            ("mail_barred", Flag),
            ("password_version", Number),
        ],
    },
    Table {
        table: "factors",
        section: "factors",
        of: OWN,
        order: "created_at",
        columns: &[("method", Text), ("created_at", Time)],
    },
    Table {
        table: "factor_failures",
        section: "factor_failures",
        of: OWN,
        order: "method",
        columns: &[("method", Text), ("run", Number)],
    },
    Table {
        table: "fingerprint_guesses",
        section: "fingerprint_guesses",
        of: OWN,
        order: "account_id",
        columns: &[("run", Number), ("ignored_until", Time)],
    },
    Table {
        table: "backup_codes",
        section: "backup_codes",
        of: OWN,
        order: "used_at",
        columns: &[("used_at", Time), ("pending", Flag), ("made_at", Time)],
    },
    Table {
        table: "totp_secrets",
        section: "authenticator_secrets",
        of: OWN,
        order: "created_at",
        columns: &[("pending", Flag), ("created_at", Time), ("step", Number)],
    },
    Table {
        table: "devices",
        section: "devices",
        of: OWN,
        order: "id",
        columns: &[
            ("id", Number),
            ("device_type", Text),
            ("name", Text),
            ("os", Text),
            ("browser", Text),
            ("location", Text),
            ("ip", Text),
            ("created_at", Time),
            ("seen_at", Time),
            ("seen_ip", Text),
            ("approving_since", Time),
            ("revoked_at", Time),
        ],
    },
    Table {
        table: "sessions",
        section: "sessions",
        of: OWN,
        order: "created_at, uuid",
        columns: &[
            ("uuid", Text),
            ("device_id", Number),
            ("client_id", Text),
            ("amr", Text),
            ("acr", Text),
            ("auth_time", Time),
            ("proved_at", Time),
            ("created_at", Time),
            ("renewed_at", Time),
            ("expires_at", Time),
            ("revoked_at", Time),
            ("ip", Text),
            ("agent", Text),
        ],
    },
    Table {
        table: "refresh_tokens",
        section: "refresh_tokens",
        of: "session IN (SELECT uuid FROM sessions WHERE account_id = $1)",
        order: "expires_at",
        columns: &[
            ("session", Text),
            ("expires_at", Time),
            ("replaced_at", Time),
            ("retries", Number),
            ("retried_at", Time),
            ("network", Text),
            ("shared", Number),
        ],
    },
    Table {
        table: "trusts",
        section: "trusted_devices",
        of: OWN,
        order: "id",
        columns: &[
            ("id", Number),
            ("name", Text),
            ("ip", Text),
            ("created_at", Time),
            ("used_at", Time),
            ("expires_at", Time),
        ],
    },
    Table {
        table: "challenges",
        section: "sign_ins_under_way",
        of: OWN,
        order: "expires_at",
        columns: &[("remember", Flag), ("tries", Number), ("expires_at", Time)],
    },
    Table {
        table: "mail_logins",
        section: "words_mailed",
        of: OWN_ADDRESS,
        order: "expires_at",
        columns: &[("email", Text), ("language", Text), ("tries", Number), ("expires_at", Time)],
    },
    Table {
        table: "mail_auths",
        section: "addresses_proven",
        of: OWN_ADDRESS,
        order: "expires_at",
        columns: &[("email", Text), ("language", Text), ("tries", Number), ("expires_at", Time)],
    },
    Table {
        table: "pairings",
        section: "asks",
        of: OWN,
        order: "expires_at, uuid",
        columns: &[
            ("uuid", Text),
            ("os", Text),
            ("browser", Text),
            ("location", Text),
            ("ip", Text),
            ("state", Text),
            ("asks", Number),
            ("resumes", Number),
            ("asked_by", Text),
            ("shown", Flag),
            ("asked_at", Time),
            ("ask_expires_at", Time),
            ("device_id", Number),
            ("answered_at", Time),
            ("expires_at", Time),
        ],
    },
    Table {
        table: "tickets",
        section: "tickets",
        of: OWN,
        order: "created_at",
        columns: &[
            ("device_id", Number),
            ("pairing", Text),
            ("created_at", Time),
            ("expires_at", Time),
            ("used_at", Time),
        ],
    },
    Table {
        table: "notice_runs",
        section: "notices",
        of: OWN,
        order: "kind",
        columns: &[("kind", Text), ("since", Time), ("repeats", Number), ("last_at", Time), ("source", Text)],
    },
    Table {
        // By the address alone: accounts of other kinds with the same one have the same mailbox.
        table: "outbox",
        section: "mail_waiting",
        of: "recipient = (SELECT email FROM accounts WHERE id = $1)",
        order: "id",
        columns: &[
            ("recipient", Text),
            ("kind", Text),
            ("created_at", Time),
            ("ready_at", Time),
            ("attempts", Number),
            ("expires_at", Time),
        ],
    },
    Table {
        table: "audit",
        section: "audit",
        of: OWN,
        order: "id",
        columns: &[
            ("at", Time),
            ("event", Text),
            ("outcome", Text),
            ("device_id", Number),
            ("pairing", Text),
            ("source", Text),
            ("count", Number),
            ("until", Time),
        ],
    },
];

const SECRET: &str = "a secret, kept only as a hash: it would open nothing to you and something to a thief";
const KEYED: &str = "kept by keyed hash, without a name or number, for a day at most after it has ended";

/// In the order of [`TABLES`], then tables that are left out as a whole.
pub(crate) const LEFT_OUT: [LeftOut; 22] = [
    LeftOut { table: "accounts", columns: &["password", "password_class"], why: SECRET },
    LeftOut {
        table: "accounts",
        columns: &["email_key"],
        why: "the address once more, in the form compared",
    },
    LeftOut { table: "backup_codes", columns: &["hash"], why: SECRET },
    LeftOut {
        table: "totp_secrets",
        columns: &["sealed"],
        why: "the secret that your authenticator app shares: shown once, when it was set up",
    },
    LeftOut { table: "sessions", columns: &["token"], why: SECRET },
    LeftOut { table: "refresh_tokens", columns: &["hash"], why: SECRET },
    LeftOut { table: "trusts", columns: &["hash"], why: SECRET },
    LeftOut { table: "challenges", columns: &["hash", "login_call"], why: SECRET },
    LeftOut {
        table: "challenges",
        columns: &["password_version"],
        why: "which of your passwords was proven, by number",
    },
    LeftOut { table: "mail_logins", columns: &["hash", "words"], why: SECRET },
    LeftOut { table: "mail_auths", columns: &["hash", "password_version"], why: SECRET },
    LeftOut {
        table: "pairings",
        columns: &["holder"],
        why: "which server the browser waited at, by a number drawn at its start",
    },
    LeftOut { table: "tickets", columns: &["hash"], why: SECRET },
    LeftOut {
        table: "outbox",
        columns: &["id", "subject", "body", "html", "sealed"],
        why: "a letter on its way may hold a code; it will be in your mailbox",
    },
    LeftOut { table: "outbox", columns: &["due_at"], why: "when a server of an older release would send it" },
    LeftOut { table: "audit", columns: &["id"], why: "the row's place in the log of all accounts" },
    LeftOut {
        table: "audit",
        columns: &["merged"],
        why: "what the refusals that this row counts have in common, put together from the row itself",
    },
    LeftOut { table: "mailed_codes", columns: &[], why: KEYED },
    LeftOut { table: "mailed_code_turns", columns: &[], why: KEYED },
    LeftOut { table: "rates", columns: &[], why: KEYED },
    LeftOut {
        table: "hits",
        columns: &[],
        why: "how often something was done, for limits; gone within a day",
    },
    LeftOut {
        table: "signals",
        columns: &[],
        why: "the account's number, by which servers tell each other of a change; gone within a day",
    },
];

static STATEMENTS: LazyLock<Vec<String>> = LazyLock::new(|| TABLES.iter().map(statement).collect());

/// Reads everything that is kept about an account. One unit must hold the account's lock meanwhile, so that all of it
/// is of one moment.
pub(crate) async fn of(tx: &mut Tx, account: AccountId) -> Result<Vec<Section>, Error> {
    let mut sections = Vec::with_capacity(TABLES.len());
    for (table, sql) in TABLES.iter().zip(STATEMENTS.iter()) {
        let rows = tx.all(sql, [arg(account.0)]).await?;
        let records = rows.iter().map(|row| read(row, table)).collect::<Result<_, _>>()?;
        sections.push(Section { name: table.section, records });
    }
    Ok(sections)
}

fn statement(table: &Table) -> String {
    let columns = table.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    format!("SELECT {columns} FROM {} WHERE {} ORDER BY {}", table.table, table.of, table.order)
}

fn read(row: &Row, table: &Table) -> Result<Record, Error> {
    let fact = |(place, (name, form)): (usize, &(&'static str, Form))| {
        let fact = match form {
            Text => row.get::<Option<String>>(place)?.filter(|text| !text.is_empty()).map(Fact::Text),
            Number => row.get::<Option<i64>>(place)?.map(Fact::Number),
            Flag => row.get::<Option<i64>>(place)?.map(|flag| Fact::Flag(flag != 0)),
            Time => row.get::<Option<i64>>(place)?.map(|at| Fact::Time(Timestamp(at))),
        };
        Ok((*name, fact.unwrap_or(Fact::Nothing)))
    };
    table.columns.iter().enumerate().map(fact).collect()
}
