//! A rolling upgrade: rows of the previous release serve this one, and its statements go on working on the new tables.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::device_login::{naming, post};
use crate::harness::{
    Server, StoreKind, all_settings, await_mail, number, run, store_kind, store_url, url_of,
};
use crate::import::{self, PASSWORD, SCHEMES};

/// A minute before the clock of a server under test begins.
const BEFORE: i64 = 1_795_305_540_000;
/// Half a minute after it has begun.
const SOON: i64 = 1_795_305_630_000;
/// A month later.
const LATER: i64 = 1_797_984_000_000;

const SESSION: &str = "0b0e7a52-53f5-4f0e-9d5c-6f2f0f7f3a01";
const ANSWERED: &str = "0b0e7a52-53f5-4f0e-9d5c-6f2f0f7f3a02";
const WAITING: &str = "0b0e7a52-53f5-4f0e-9d5c-6f2f0f7f3a03";

const PAIRING: &str = "INSERT INTO pairings (uuid, os, browser, location, ip, expires_at, resumes, asks, state, account_id, asked_by, shown, asked_at, \
     ask_expires_at, device_id, answered_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING";
const AUDIT: &str = "INSERT INTO audit (at, event, outcome, account_id, device_id, pairing, source) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// How the previous release writes, word for word, and what: SQL literals, constants of above, and bytes as `#` and two
/// digits that repeat. The account and the device are the first of their store.
const WRITES: &[(&str, &str)] = &[
    (
        "INSERT INTO accounts (uuid, kind, email, email_key, name, phone, password, password_version, verified, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $9) ON CONFLICT DO NOTHING RETURNING id",
        "'0b0e7a52-53f5-4f0e-9d5c-6f2f0f7f3a00', 'p', 'ann@example.org', 'ann@example.org', 'Ann', NULL, PASSWORD, 1, BEFORE",
    ),
    (
        "INSERT INTO devices (account_id, device_type, name, os, browser, location, ip, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        "1, 'phone', 'Old phone', 'Android', 'Firefox', 'Lausanne', '192.0.2.7', BEFORE",
    ),
    (
        "INSERT INTO sessions (uuid, account_id, device_id, client_id, amr, acr, auth_time, proved_at, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, $8)",
        "SESSION, 1, 1, '', 'pwd', '1', BEFORE, LATER",
    ),
    (
        "UPDATE devices SET approving_since = COALESCE(approving_since, $3) \
         WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL AND EXISTS \
         (SELECT 1 FROM sessions s WHERE s.device_id = devices.id AND s.revoked_at IS NULL AND s.expires_at > $3)",
        "1, 1, BEFORE",
    ),
    (
        "INSERT INTO factors (account_id, method, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        "1, 'MOBILE', BEFORE",
    ),
    ("INSERT INTO backup_codes (account_id, hash) VALUES ($1, $2)", "1, #11"),
    (
        PAIRING,
        "ANSWERED, 'Linux', 'Firefox', 'Paris', '192.0.2.8', LATER, 0, 1, 'approved', 1, NULL, NULL, NULL, NULL, 1, BEFORE",
    ),
    (
        PAIRING,
        "WAITING, 'Linux', 'Firefox', 'Paris', '192.0.2.8', LATER, 0, 1, 'asked', 1, 'browser', 1, BEFORE, SOON, NULL, NULL",
    ),
    (
        "INSERT INTO tickets (hash, account_id, device_id, pairing, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        "#22, 1, 1, ANSWERED, BEFORE, SOON",
    ),
    ("INSERT INTO hits (bucket, at, expires_at) VALUES ($1, $2, $3)", "'ask:1', BEFORE, SOON"),
    (AUDIT, "BEFORE, 'login', 'ok', 1, 1, NULL, '192.0.2.7'"),
    (AUDIT, "BEFORE, 'approve', 'ok', 1, 1, ANSWERED, '192.0.2.7'"),
    (
        "INSERT INTO signals (at, kind, account_id, pairing, ask) VALUES ($1, $2, $3, $4, $5)",
        "BEFORE, 'account', 1, NULL, NULL",
    ),
    (
        "INSERT INTO outbox (recipient, subject, body, created_at, due_at, attempts) VALUES ($1, $2, $3, $4, $4, 0)",
        "'ann@example.org', 'A letter of before', 'It waited for the upgrade.', BEFORE",
    ),
];

/// What the previous release does with such rows, word for word; each changes one or finds some.
const GOES_ON: &[(&str, &str)] = &[
    (
        "SELECT id, uuid, kind, email, name, verified, disabled_at, password, password_version, blocked_at, blocked_until \
         FROM accounts WHERE kind = $1 AND email_key = $2",
        "'p', 'ann@example.org'",
    ),
    (
        "SELECT s.account_id, s.device_id, s.client_id, s.amr, s.acr, s.auth_time, s.proved_at, s.expires_at, \
         d.approving_since, d.name, a.kind, a.email, a.uuid FROM sessions s \
         JOIN accounts a ON a.id = s.account_id JOIN devices d ON d.id = s.device_id \
         WHERE s.uuid = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND a.disabled_at IS NULL AND d.revoked_at IS NULL",
        "SESSION, BEFORE",
    ),
    ("UPDATE accounts SET blocked_at = $2, blocked_until = $3 WHERE id = $1", "1, NULL, NULL"),
    (
        "UPDATE pairings SET resumes = $2, ip = $3 WHERE uuid = $1 AND resumes <= $2",
        "WAITING, 1, '192.0.2.9'",
    ),
    (
        "UPDATE backup_codes SET used_at = $3 WHERE account_id = $1 AND hash = $2 AND used_at IS NULL",
        "1, #11, BEFORE",
    ),
    (
        "UPDATE tickets SET used_at = $3 \
         WHERE hash = $1 AND account_id = $2 AND used_at IS NULL AND expires_at > $3 \
         AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = $2 AND a.disabled_at IS NULL) \
         AND EXISTS (SELECT 1 FROM factors f WHERE f.account_id = $2 AND f.method = 'MOBILE') \
         AND EXISTS (SELECT 1 FROM devices d WHERE d.id = tickets.device_id AND d.revoked_at IS NULL AND d.approving_since IS NOT NULL \
             AND d.approving_since < $4)",
        "#22, 1, BEFORE, LATER",
    ),
    ("SELECT id, kind, account_id, pairing, ask FROM signals WHERE at > $1 ORDER BY id", "0"),
    (
        "SELECT id, recipient, subject, body, created_at, attempts FROM outbox WHERE due_at <= $1 ORDER BY id LIMIT 20",
        "BEFORE",
    ),
];

/// The statement with its values in their places.
fn filled(sql: &str, values: &str) -> String {
    let literal = |value: &str| match (value, value.strip_prefix('#'), store_kind()) {
        ("PASSWORD", ..) => format!("'{}'", argon2id()),
        ("BEFORE", ..) => BEFORE.to_string(),
        ("SOON", ..) => SOON.to_string(),
        ("LATER", ..) => LATER.to_string(),
        ("SESSION", ..) => format!("'{SESSION}'"),
        ("ANSWERED", ..) => format!("'{ANSWERED}'"),
        ("WAITING", ..) => format!("'{WAITING}'"),
        (_, Some(pair), StoreKind::Sqlite) => format!("x'{}'", pair.repeat(32)),
        (_, Some(pair), StoreKind::Postgres) => format!("decode('{}', 'hex')", pair.repeat(32)),
        (_, None, _) => value.to_owned(),
    };
    // From the last: `$1` stands at the beginning of `$10` too.
    let places = values.split(", ").enumerate().collect::<Vec<_>>().into_iter().rev();
    places.fold(sql.to_owned(), |sql, (n, value)| sql.replace(&format!("${}", n + 1), &literal(value)))
}

fn argon2id() -> &'static str {
    SCHEMES.iter().find(|(name, _)| *name == "argon2id").unwrap().1
}

/// Runs statements; each has to change one row, or find one at least: a start of a server leaves signals of its own.
async fn run_all(url: &str, statements: &[(&str, &str)]) {
    macro_rules! on {
        ($connection:ty) => {{
            let mut connection = <$connection>::connect(url).await.unwrap();
            for (sql, values) in statements {
                let query = sqlx::query(AssertSqlSafe(filled(sql, values)));
                let (rows, many) = if sql.starts_with("SELECT") {
                    (query.fetch_all(&mut connection).await.map(|rows| rows.len() as u64), u64::MAX)
                } else {
                    (query.execute(&mut connection).await.map(|done| done.rows_affected()), 1)
                };
                let rows = rows.unwrap_or_else(|e| panic!("{sql}: {e}"));
                assert!((1..=many).contains(&rows), "{sql}: {rows}");
            }
            connection.close().await.unwrap();
        }};
    }
    match store_kind() {
        StoreKind::Sqlite => on!(sqlx::SqliteConnection),
        StoreKind::Postgres => on!(sqlx::PgConnection),
    }
}

fn migrations(dialect: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations").join(dialect)
}

fn migrations_here() -> PathBuf {
    migrations(if store_kind() == StoreKind::Sqlite { "sqlite" } else { "postgres" })
}

/// Makes the tables as the previous release left them.
async fn migrate_as_before(url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let first = "0001_first.sql";
    std::fs::copy(migrations_here().join(first), folder.path().join(first)).unwrap();
    let migrator = Migrator::new(folder.path()).await.unwrap();
    match store_kind() {
        StoreKind::Sqlite => {
            let mut file = sqlx::SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
            migrator.run(&mut file).await.unwrap();
            file.close().await.unwrap();
        }
        StoreKind::Postgres => {
            migrator.run(&mut sqlx::PgConnection::connect(url).await.unwrap()).await.unwrap();
        }
    }
}

/// This release serves who is in the rows of the previous one; the account as a login tells it.
async fn serves(settings: &[(String, String)], folder: &Path) -> Value {
    let mut server = Server::on(settings).await;
    let answer = import::login(&server, "ann", PASSWORD).await.expect(200).json();
    assert_eq!(answer["Methods"], json!(["MOBILE"]), "{answer}");
    let letter = await_mail(&server, "ann@example.org", 1).await;
    assert_eq!(
        (letter.subject.as_str(), letter.text.trim()),
        ("A letter of before", "It waited for the upgrade.")
    );
    let ann = ["--kind", "p", "--email", "ann@example.org"];
    let printed = run(&[&["account", "export"], &ann[..]].concat(), settings, folder, "").await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let document: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(document["devices"][0]["name"], "Old phone", "{document}");
    assert_eq!(document["devices"][0]["approving_since"], "2026-11-21T23:59:00.000Z");
    assert_eq!(document["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(document["asks"].as_array().unwrap().len(), 2);
    assert_eq!(document["audit"][0]["event"], "login");
    assert_eq!(document["audit"][1]["event"], "approve");
    let reset = run(&[&["account", "reset-factors"], &ann[..]].concat(), settings, folder, "").await;
    assert_eq!(reset.code, Some(0), "{reset:?}");
    import::login(&server, "ann", PASSWORD).await.token();
    let body = naming("ann@example.org", &json!({"password": PASSWORD}));
    let account = post(&server, "login", &body).await.expect(200).json()["account"].clone();
    assert!(account["sign_in_count"].as_i64().unwrap() >= 1, "{account}");
    assert_eq!(account["account_confirmed"], true);
    server.stop().await;
    account
}

#[tokio::test]
async fn rows_of_the_previous_release_serve_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let settings = all_settings(&[], &store_url(folder.path()).await, folder.path());
    migrate_as_before(url_of(&settings)).await;
    assert_eq!(number(&settings, "SELECT COUNT(*) FROM _sqlx_migrations").await, 1);
    run_all(url_of(&settings), WRITES).await;
    let account = serves(&settings, folder.path()).await;
    assert!(
        account["account_confirmed_at"].as_str().unwrap().starts_with("2026-11-21T23:59:00"),
        "{account}"
    );
    let files = std::fs::read_dir(migrations_here()).unwrap().count();
    let applied = number(&settings, "SELECT COUNT(*) FROM _sqlx_migrations").await;
    assert_eq!(usize::try_from(applied).unwrap(), files);
}

#[tokio::test]
async fn nodes_of_the_previous_release_go_on_on_the_new_tables() {
    let folder = tempfile::tempdir().unwrap();
    let settings = all_settings(&[], &store_url(folder.path()).await, folder.path());
    Server::on(&settings).await.stop().await;
    run_all(url_of(&settings), WRITES).await;
    run_all(url_of(&settings), GOES_ON).await;
    serves(&settings, folder.path()).await;
}

/// Accounts of before, and what the trail says of their making.
const OF_BEFORE: [(&str, &str, &str, i64); 4] = [
    ("ann@example.org", "account.add", "operator", 1),
    ("ben@example.org", "account.import", "operator", 1),
    ("cleo@example.org", "account.add", "192.0.2.7", 0),
    ("dora@example.org", "login", "operator", 0),
];

#[tokio::test]
async fn accounts_of_before_are_vouched_for_when_an_operator_made_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = all_settings(&[], &store_url(folder.path()).await, folder.path());
    migrate_as_before(url_of(&settings)).await;
    let (insert, as_it_was) = WRITES[0];
    for (place, (email, event, source, _)) in OF_BEFORE.into_iter().enumerate() {
        let values = as_it_was.replace("ann@example.org", email).replace("3a00", &format!("3a0{place}"));
        let trail = format!("BEFORE, '{event}', 'ok', {}, NULL, NULL, '{source}'", place + 1);
        run_all(url_of(&settings), &[(insert, &values), (AUDIT, &trail)]).await;
    }
    Server::on(&settings).await.stop().await;
    for (email, _, _, vouched) in OF_BEFORE {
        let query = format!("SELECT vouched FROM accounts WHERE email = '{email}'");
        assert_eq!(number(&settings, &query).await, vouched, "{email}");
    }
}

#[test]
fn migrations_only_add_and_the_released_one_stands() {
    for bad in
        ["DROP TABLE hits", "ALTER TABLE hits RENAME TO h", "ALTER TABLE hits ADD COLUMN n BIGINT NOT NULL"]
    {
        assert!(!only_adds(&bad.split(' ').collect::<Vec<_>>(), bad), "{bad}");
    }
    for (dialect, released) in [
        ("sqlite", "b9454d6ec13d85cabec88c33457ba386da309d2f079c1adb1caa79f975eb1755"),
        ("postgres", "a350bff3784fd9a7dfe2b3a79f3cc61d73a30932648bbd852fabd21366649b13"),
    ] {
        for entry in std::fs::read_dir(migrations(dialect)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            if path.ends_with("0001_first.sql") {
                assert_eq!(format!("{:x}", Sha256::digest(&text)), released, "{}", path.display());
                continue;
            }
            let bare: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap()).collect();
            for statement in bare.join(" ").split(';') {
                let words = statement.split_whitespace().collect::<Vec<_>>();
                assert!(only_adds(&words, &text), "{}: {}", path.display(), words.join(" "));
            }
        }
    }
}

/// Whether rows of before, and those who write them, are at home with a statement as before.
fn only_adds(words: &[&str], file: &str) -> bool {
    match words {
        [] | ["CREATE", "TABLE" | "INDEX", ..] | ["UPDATE", ..] => true,
        // On a column that nobody could write before.
        ["CREATE", "UNIQUE", "INDEX", .., column] => {
            file.contains(&format!("ADD COLUMN {} ", column.trim_matches(['(', ')'])))
        }
        ["ALTER", "TABLE", _, "ADD", "COLUMN", .., "NOT", "NULL"] => false,
        ["ALTER", "TABLE", _, "ADD", "COLUMN", _, _, rest @ ..] => {
            rest.is_empty() || matches!(rest, ["NOT", "NULL", "DEFAULT", _])
        }
        _ => false,
    }
}
