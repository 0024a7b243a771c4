//! Which tables a statement goes through from end to end, by SQLite's plan: such a statement takes longer the larger the
//! table is, and PostgreSQL ends it after five seconds.

use super::Store;
use super::tx::Tx;
use crate::config::StoreUrl;

/// An empty store with all of its tables, and the folder that it is in.
pub(crate) async fn store() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = StoreUrl::Sqlite(folder.path().join("readylogin.db"));
    (Store::open(&url, 1, 1).await.unwrap(), folder)
}

/// Holds that none of these statements goes through a table.
pub(crate) async fn check(statements: &[&str]) {
    const TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let (store, _folder) = store().await;
    let tables: Vec<String> = {
        let rows = store.read(|tx| Box::pin(async move { tx.all(TABLES, []).await })).await.unwrap();
        rows.iter().map(|row| row.get(0).unwrap()).collect()
    };
    for sql in statements {
        let explain: &'static str = format!("EXPLAIN QUERY PLAN {sql}").leak();
        let unit = async move |tx: &mut Tx| tx.all(explain, []).await;
        let rows = store.read(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.get(3).unwrap()).collect();
        let goes_through = |step: &&String| {
            step.strip_prefix("SCAN ")
                .and_then(|rest| rest.split(' ').next())
                .is_some_and(|name| tables.iter().any(|table| table == name))
        };
        let through: Vec<_> = steps.iter().filter(goes_through).collect();
        assert!(through.is_empty(), "{sql}: {through:?} of {steps:?}");
    }
}
