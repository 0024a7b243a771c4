//! Which database the tests run on, and a fresh one for each.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::{Connection as _, Executor as _};

/// The database under test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StoreKind {
    Sqlite,
    Postgres,
}

/// `READYLOGIN_TEST_STORE`: `sqlite` (the default) or `postgres`.
pub(crate) fn store_kind() -> StoreKind {
    match std::env::var("READYLOGIN_TEST_STORE").as_deref() {
        Ok("postgres") => StoreKind::Postgres,
        Ok("sqlite") | Err(_) => StoreKind::Sqlite,
        Ok(other) => panic!("READYLOGIN_TEST_STORE={other}: sqlite or postgres"),
    }
}

/// A database of the test's own.
pub(crate) async fn store_url(folder: &Path) -> String {
    match store_kind() {
        StoreKind::Sqlite => format!("sqlite://{}", folder.join("readylogin.db").display()),
        StoreKind::Postgres => postgres_database().await,
    }
}

async fn postgres_database() -> String {
    let server = std::env::var("READYLOGIN_TEST_POSTGRES")
        .expect("READYLOGIN_TEST_POSTGRES names no PostgreSQL server: run tests/run postgres");
    let mut connection = sqlx::PgConnection::connect(&server)
        .await
        .unwrap_or_else(|e| panic!("the PostgreSQL server of READYLOGIN_TEST_POSTGRES does not answer: {e}"));
    let name = format!("it_{}", uuid::Uuid::new_v4().simple());
    connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let (before, _) = server.rsplit_once('/').expect("a URL that ends with /DATABASE");
    format!("{before}/{name}")
}

/// The `kid` and the sealed private half of every signing key in a server's store.
pub(crate) async fn signing_keys(server: &super::Server) -> Vec<(String, Option<Vec<u8>>)> {
    const ALL: &str = "SELECT kid, sealed FROM signing_keys ORDER BY signs_from";
    let url = url_of(server.settings());
    match store_kind() {
        StoreKind::Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
            sqlx::query_as(ALL).fetch_all(&mut connection).await.unwrap()
        }
        StoreKind::Postgres => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            sqlx::query_as(ALL).fetch_all(&mut connection).await.unwrap()
        }
    }
}

/// The rows of a query for two texts, out of a server's store.
pub(crate) async fn text_pairs(server: &super::Server, query: &'static str) -> Vec<(String, String)> {
    let url = url_of(server.settings());
    match store_kind() {
        StoreKind::Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
            sqlx::query_as(query).fetch_all(&mut connection).await.unwrap()
        }
        StoreKind::Postgres => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            sqlx::query_as(query).fetch_all(&mut connection).await.unwrap()
        }
    }
}

/// The number that a query gives.
pub(crate) async fn number(settings: &[(String, String)], query: &str) -> i64 {
    let (url, query) = (url_of(settings), sqlx::AssertSqlSafe(query.to_owned()));
    match store_kind() {
        StoreKind::Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
        }
        StoreKind::Postgres => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
        }
    }
}

/// Waits until a query gives a number that will do.
pub(crate) async fn await_number(
    settings: &[(String, String)],
    query: &str,
    will_do: impl Fn(i64) -> bool,
) -> i64 {
    let mut last = None;
    let look = async {
        loop {
            let found = number(settings, query).await;
            if will_do(found) {
                return found;
            }
            last = Some(found);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(super::PATIENCE, look).await;
    found.unwrap_or_else(|_| panic!("{query}: {last:?}"))
}

/// Runs a statement of the test's own.
pub(crate) async fn execute(settings: &[(String, String)], sql: String) {
    let (url, sql) = (url_of(settings), sqlx::AssertSqlSafe(sql));
    match store_kind() {
        StoreKind::Sqlite => {
            sqlx::SqliteConnection::connect(url).await.unwrap().execute(sql).await.unwrap();
        }
        StoreKind::Postgres => {
            sqlx::PgConnection::connect(url).await.unwrap().execute(sql).await.unwrap();
        }
    }
}

/// Changes rows behind a server's back.
pub(crate) async fn change_store(server: &super::Server, statement: &'static str) {
    execute(server.settings(), statement.to_owned()).await;
}

/// The store's URL among settings.
pub(crate) fn url_of(settings: &[(String, String)]) -> &str {
    &settings.iter().find(|(name, _)| name == "READYLOGIN_STORE__URL").expect("a store").1
}

/// Every row of a server's store as its table and its values; bytes in hexadecimal.
pub(crate) async fn dump(server: &super::Server) -> Vec<(String, Vec<String>)> {
    let (columns, hex) = match store_kind() {
        StoreKind::Sqlite => (
            "SELECT t.name, '\"' || c.name || '\" ' || c.type FROM sqlite_master t \
             JOIN pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY t.name, c.cid",
            "lower(hex({}))",
        ),
        StoreKind::Postgres => (
            "SELECT CAST(table_name AS TEXT), '\"' || column_name || '\" ' || data_type \
             FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
            "encode({}, 'hex')",
        ),
    };
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, column) in text_pairs(server, columns).await {
        let (name, kind) = column.split_once(' ').unwrap();
        let is_bytes = ["BLOB", "bytea"].contains(&kind);
        let text = if is_bytes { hex.replace("{}", name) } else { format!("CAST({name} AS TEXT)") };
        tables.entry(table).or_default().push(format!("COALESCE({text}, '')"));
    }
    let mut rows = Vec::new();
    for (table, columns) in tables {
        let sql = format!("SELECT '{table}', {} FROM {table}", columns.join(" || char(31) || "));
        let sql = if store_kind() == StoreKind::Postgres { sql.replace("char(31)", "chr(31)") } else { sql };
        let split =
            |(table, row): (String, String)| (table, row.split('\u{1f}').map(str::to_owned).collect());
        rows.extend(text_pairs(server, sql.leak()).await.into_iter().map(split));
    }
    rows
}
