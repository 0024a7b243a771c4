//! Holds what an export shows and leaves out against the store's own tables.

use std::collections::BTreeSet;

use super::*;
use crate::config::StoreUrl;
use crate::store::Store;

/// Tables that say nothing of any account.
const OF_THE_SERVER: [&str; 6] =
    ["_sqlx_migrations", "issuers", "leases", "server_secrets", "signing_keys", "sqlite_sequence"];

/// Every column of every table in the store, as the migrations have made it.
async fn columns() -> BTreeSet<(String, String)> {
    const ALL: &str = "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c \
                       WHERE t.type = 'table'";
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreUrl::Sqlite(folder.path().join("x.db")), 1, 1).await.unwrap();
    let rows = store.read(|tx| Box::pin(async move { tx.all(ALL, []).await })).await.unwrap();
    rows.iter().map(|row| (row.get(0).unwrap(), row.get(1).unwrap())).collect()
}

fn is_known(table: &str, column: &str) -> bool {
    let shown = TABLES.iter().filter(|known| known.table == table).flat_map(|known| known.columns);
    let of_table = |left: &&LeftOut| left.table == table;
    let left_out = |left: &LeftOut| left.columns.is_empty() || left.columns.contains(&column);
    shown.map(|(name, _)| *name).any(|name| name == column)
        || LEFT_OUT.iter().filter(of_table).any(left_out)
        || (column == "account_id" && TABLES.iter().any(|known| known.table == table))
}

#[tokio::test]
async fn every_column_of_the_store_is_exported_or_left_out_with_a_reason() {
    let forgotten = columns()
        .await
        .into_iter()
        .filter(|(table, column)| !OF_THE_SERVER.contains(&table.as_str()) && !is_known(table, column));
    let forgotten: Vec<_> = forgotten.collect();
    assert!(forgotten.is_empty(), "say in src/store/export.rs what becomes of {forgotten:?}");
}

#[tokio::test]
async fn nothing_is_left_out_that_is_not_there() {
    let columns = columns().await;
    for left in LEFT_OUT {
        assert!(columns.iter().any(|(table, _)| table == left.table), "{}", left.table);
        for column in left.columns {
            let pair = (left.table.to_owned(), (*column).to_owned());
            assert!(columns.contains(&pair), "{pair:?}");
        }
    }
}
