//! Accounts that come along from another system: many rows in few statements.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::accounts::{COLUMNS, New, insert_into, row_of};
use super::{Error, Tx, arg};
use crate::domain::account::Email;
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

/// Rows of one statement.
const MANY: usize = 40;

static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insert(1));
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert(MANY));
const EXISTS: &str = "SELECT 1 FROM accounts WHERE kind = $1 AND email_key = $2";

/// Adds accounts made at the times given; says for each its number, or `None` where the address is taken.
pub(crate) async fn add(
    tx: &mut Tx,
    rows: Vec<(New, Timestamp)>,
    now: Timestamp,
) -> Result<Vec<Option<AccountId>>, Error> {
    let uuids: Vec<String> = rows.iter().map(|(new, _)| new.uuid.to_string()).collect();
    let mut rows = rows.into_iter().map(|(new, created)| row_of(new, created, now)).peekable();
    let mut added: HashMap<String, AccountId> = HashMap::new();
    while rows.peek().is_some() {
        let sql = if rows.len() < MANY { &INSERT_ONE } else { &INSERT_MANY };
        let count = if rows.len() < MANY { 1 } else { MANY };
        let args = rows.by_ref().take(count).flatten().collect::<Vec<_>>();
        for row in tx.all(sql, args).await? {
            added.insert(row.get(1)?, AccountId(row.get(0)?));
        }
    }
    Ok(uuids.iter().map(|uuid| added.get(uuid).copied()).collect())
}

/// Whether an address is taken within its kind.
pub(crate) async fn is_taken(tx: &mut Tx, kind: &str, email: &Email) -> Result<bool, Error> {
    Ok(tx.optional(EXISTS, [arg(kind), arg(email.key())]).await?.is_some())
}

fn insert(rows: usize) -> String {
    let row = |row: usize| {
        let places = (1..=COLUMNS).map(|place| format!("${}", row * COLUMNS + place));
        format!("({}, 1)", places.collect::<Vec<_>>().join(", "))
    };
    let rows = (0..rows).map(row).collect::<Vec<_>>().join(", ");
    format!("{}{rows} ON CONFLICT DO NOTHING RETURNING id, uuid", insert_into!())
}
