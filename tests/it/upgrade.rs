//! An upgrade from the first release: its rows in this program's hands, and its statements on this program's tables, as
//! during a rolling upgrade. (The program of that release itself is not here to be run.)

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::harness::{
    Server, StoreKind, all_settings, eventually, execute, mails, run, store_kind, store_url,
};

const PASSWORD: &str = "pleurer sous la pluie";
/// The digest of each dialect's first migration: it is released, and stores know its checksum.
const RELEASED: [(&str, &str); 2] = [
    ("sqlite", "b9454d6ec13d85cabec88c33457ba386da309d2f079c1adb1caa79f975eb1755"),
    ("postgres", "a350bff3784fd9a7dfe2b3a79f3cc61d73a30932648bbd852fabd21366649b13"),
];

fn dialect() -> &'static str {
    match store_kind() {
        StoreKind::Sqlite => "sqlite",
        StoreKind::Postgres => "postgres",
    }
}

fn migrations(dialect: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations").join(dialect)
}

/// 32 bytes in the dialect's form.
fn blob(byte: u8) -> String {
    let hex = format!("{byte:02x}").repeat(32);
    match store_kind() {
        StoreKind::Sqlite => format!("X'{hex}'"),
        StoreKind::Postgres => format!("'\\x{hex}'::bytea"),
    }
}

/// What the first release writes, in its own statements: an account numbered `n` and something in every table of it.
fn rows(n: i64, now: i64) -> String {
    let hash =
        "$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$3UqTVcTaIoRNR9nMhwdtDMC13BVYQYzGyTAjpKBYO0I";
    let (uuid, ticket, code) = (uuid::Uuid::from_u128(n.try_into().unwrap()), blob(1), blob(2));
    let later = now + 86_400_000;
    format!(
        "INSERT INTO accounts (uuid, kind, email, email_key, name, phone, password, password_version, verified, created_at, updated_at)
         VALUES ('{uuid}', 'p', 'Old{n}@example.org', 'old{n}@example.org', 'Old', NULL, '{hash}', 1, 1, {now}, {now}) ON CONFLICT DO NOTHING;
         INSERT INTO factors (account_id, method, created_at) VALUES ({n}, 'MOBILE', {now}) ON CONFLICT DO NOTHING;
         INSERT INTO factor_failures (account_id, method, run) VALUES ({n}, 'MOBILE', 1) ON CONFLICT (account_id, method) DO UPDATE SET run = factor_failures.run + 1;
         INSERT INTO backup_codes (account_id, hash) VALUES ({n}, {code});
         INSERT INTO devices (account_id, device_type, name, os, browser, location, ip, created_at) VALUES ({n}, '', 'Pixel', 'Android', '', '', '192.0.2.7', {now});
         UPDATE devices SET approving_since = COALESCE(approving_since, {now}) WHERE account_id = {n} AND revoked_at IS NULL;
         INSERT INTO sessions (uuid, account_id, device_id, client_id, amr, acr, auth_time, proved_at, created_at, expires_at)
         SELECT '{uuid}', {n}, id, 'readylogin', 'pwd', 'urn:readylogin:acr:pwd', {now}, {now}, {now}, {later} FROM devices WHERE account_id = {n};
         INSERT INTO pairings (uuid, os, browser, location, ip, expires_at, resumes, asks, state, account_id, asked_by, shown, asked_at, ask_expires_at, device_id, answered_at)
         VALUES ('{uuid}', 'Linux', 'Firefox', 'Paris', '192.0.2.8', {later}, 0, 1, 'asked', {n}, 'browser', 1, {now}, {later}, NULL, NULL) ON CONFLICT DO NOTHING;
         INSERT INTO tickets (hash, account_id, device_id, pairing, created_at, expires_at) SELECT {ticket}, {n}, id, '{uuid}', {now}, {later} FROM devices WHERE account_id = {n};
         INSERT INTO hits (bucket, at, expires_at) VALUES ('ask/{n}', {now}, {later});
         INSERT INTO audit (at, event, outcome, account_id, device_id, pairing, source) VALUES ({now}, 'ask', 'ok', {n}, NULL, '{uuid}', '192.0.2.8');
         INSERT INTO signals (at, kind, account_id, pairing, ask) VALUES ({now}, 'account', {n}, NULL, NULL);
         INSERT INTO outbox (recipient, subject, body, created_at, due_at, attempts) VALUES ('Old{n}@example.org', 'A letter of before', 'Text', {now}, {now}, 0);"
    )
}

/// A store as the first release left it, and the settings of a server on it.
async fn first_release(folder: &Path) -> Vec<(String, String)> {
    let url = store_url(folder).await;
    let only = folder.join("migrations");
    std::fs::create_dir(&only).unwrap();
    std::fs::copy(migrations(dialect()).join("0001_first.sql"), only.join("0001_first.sql")).unwrap();
    let first = Migrator::new(only.as_path()).await.unwrap();
    match store_kind() {
        StoreKind::Sqlite => {
            let mut made = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
            first.run(&mut made).await.unwrap();
        }
        StoreKind::Postgres => first.run(&mut PgConnection::connect(&url).await.unwrap()).await.unwrap(),
    }
    all_settings(&[], &url, folder)
}

/// An hour before the servers' clock begins.
const BEFORE: i64 = 1_795_305_600_000 - 3_600_000;

#[tokio::test]
async fn rows_of_the_first_release_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let settings = first_release(folder.path()).await;
    execute(&settings, rows(1, BEFORE)).await;
    let server = Server::start_on(settings, folder).await;
    let login = json!({"email": "old1@example.org", "password": PASSWORD});
    let first = server.http.post("/auth/p/login", &login).await.expect(200).json();
    assert_eq!(first["Methods"], json!(["MOBILE"]));
    let letter = eventually("the letter of before", || {
        mails(&server).into_iter().find(|mail| mail.subject == "A letter of before")
    })
    .await;
    assert_eq!(letter.to, "Old1@example.org");

    let here = tempfile::tempdir().unwrap();
    let operate = async |verb: &str| {
        let arguments = ["account", verb, "--kind", "p", "--email", "old1@example.org"];
        let done = run(&arguments, server.settings(), here.path(), "").await;
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout
    };
    let export: Value = serde_json::from_str(&operate("export").await).unwrap();
    assert_eq!(export["devices"][0]["name"], "Pixel");
    assert_eq!(export["audit"][0]["event"], "ask");
    operate("reset-factors").await;
    let body = json!({"identifier": "old1@example.org", "password": PASSWORD});
    let account = server.http.post("/api/v1/auth/login", &body).await.expect(200).json()["account"].clone();
    assert_eq!(account["account_confirmed"], true);
    assert_eq!([&account["created_at"], &account["account_confirmed_at"]], ["2026-11-21T23:00:00.000Z"; 2]);
    assert_eq!((&account["sign_in_count"], &account["phone"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn what_the_first_release_writes_fits_these_tables() {
    let server = Server::start(&[]).await;
    execute(server.settings(), rows(1, BEFORE)).await;
    let login = json!({"email": "old1@example.org", "password": PASSWORD});
    let first = server.http.post("/auth/p/login", &login).await.expect(200).json();
    assert_eq!(first["Methods"], json!(["MOBILE"]));
}

#[test]
fn migrations_only_add_and_what_is_released_stays() {
    for (dialect, released) in RELEASED {
        for file in std::fs::read_dir(migrations(dialect)).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            if path.ends_with("0001_first.sql") {
                let sum = digest(&SHA256, text.as_bytes());
                let sum: String = sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(sum, released, "{}", path.display());
                continue;
            }
            let code = text.lines().filter(|line| !line.trim_start().starts_with("--"));
            for line in code.map(str::to_uppercase) {
                let takes_away = ["DROP ", "RENAME ", "ALTER COLUMN"].iter().any(|word| line.contains(word));
                let demands =
                    line.contains("ADD COLUMN") && line.contains("NOT NULL") && !line.contains("DEFAULT");
                assert!(!takes_away && !demands, "{}: {line}", path.display());
            }
        }
    }
}
