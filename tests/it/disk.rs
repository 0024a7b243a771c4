//! A store that can be read and not written: a full disk, or a database that is read-only. What can't be stored is refused,
//! and once it can be stored again the same process goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::process::Command;

use crate::harness::{
    Answer, PASSWORD, Person, Phone, Process, StoreKind, all_settings, number, serve_under, soon, store_kind,
    store_url, url_of,
};

/// Lets a process make no file larger, which is what a full disk does to it, or lets it again.
async fn limit_files(process: &Process, limit: &str) {
    let arguments = [format!("--pid={}", process.pid()), format!("--fsize={limit}")];
    assert!(Command::new("prlimit").args(arguments).status().await.unwrap().success());
}

/// Makes every transaction on a database a reading one, or no more.
async fn make_read_only(settings: &[(String, String)], is_read_only: bool) {
    let mut connection = PgConnection::connect(url_of(settings)).await.unwrap();
    let database: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(&mut connection).await.unwrap();
    let change = if is_read_only { "SET default_transaction_read_only = on" } else { "RESET ALL" };
    for sql in [
        "SET default_transaction_read_only = off".to_owned(),
        format!("ALTER DATABASE {database} {change}"),
        // It counts for new connections alone.
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()"
            .to_owned(),
    ] {
        connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    }
}

/// A server that can be kept from writing to its store.
struct Place {
    process: Process,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = all_settings(&[], &store_url(folder.path()).await, folder.path());
        // The log is on the same disk.
        let log = folder.path().join("log");
        let process = Process::start_logging(&["serve"], &settings, folder.path(), &log).await;
        Self { process, settings, folder }
    }

    async fn set_full(&self, is_full: bool) {
        match store_kind() {
            StoreKind::Sqlite => limit_files(&self.process, if is_full { "0:" } else { "unlimited:" }).await,
            StoreKind::Postgres => make_read_only(&self.settings, is_full).await,
        }
    }

    async fn person(&self, name: &str) -> Person {
        Person::register(&self.process.http, "p", &format!("{name}@example.org")).await
    }

    async fn approved_code(&self, ann: &Person, phone: &mut Phone) -> String {
        let (mut browser, uuid) = ann.asking_browser(&self.process).await;
        phone.answer(&uuid, true).await;
        browser.expect_code().await
    }

    /// How many rows there are of what is granted.
    async fn granted(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for rows in [
            "accounts",
            "sessions",
            "sessions WHERE revoked_at IS NOT NULL",
            "refresh_tokens",
            "devices",
            "factors",
            "mailed_codes",
            "outbox",
            "tickets WHERE used_at IS NOT NULL",
        ] {
            counts.push(number(&self.settings, &format!("SELECT COUNT(*) FROM {rows}")).await);
        }
        counts
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.process.http.post(path, body).await
    }
}

#[track_caller]
fn is_busy(answer: &Answer) {
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{answer:?}");
}

#[tokio::test]
async fn while_the_disk_is_full_nothing_is_granted_or_acknowledged_and_afterwards_it_goes_on() {
    let place = Place::new().await;
    let (ann, bob) = (place.person("ann").await, place.person("bob").await);
    let mut phone = ann.bind_phone(&place.process).await;
    let code = place.approved_code(&ann, &mut phone).await;
    let login = json!({"email": bob.email, "password": PASSWORD});
    let by_device = json!({"identifier": bob.email, "password": PASSWORD});
    let refresh =
        place.post("/api/v1/auth/login", &by_device).await.expect(200).json()["refresh_token"].clone();
    let before = place.granted().await;

    place.set_full(true).await;
    let newcomer = json!({"email": "cid@example.org", "password": PASSWORD, "name": "Cid"});
    for _ in 0..2 {
        for (path, body) in [
            ("/auth/p/login", &login),
            ("/auth/p/register", &newcomer),
            ("/auth/p/mobile_2fa", &ann.body(&json!({"token_2fa": code}))),
            ("/auth/p/backup_code_2fa", &ann.body(&json!({"backup_code": phone.backup_codes[0]}))),
            ("/auth/sending_email", &json!({"email": bob.email})),
            ("/api/v1/auth/login", &by_device),
            ("/api/v1/auth/refresh", &json!({"refresh_token": refresh})),
        ] {
            is_busy(&place.post(path, body).await);
        }
        for (path, body) in [
            ("/2fa/method/email", json!({"method_2fa": "EMAIL"})),
            ("/dashboard/password", json!({"password": PASSWORD, "new_password": "another good passphrase"})),
            ("/api/v1/auth/logout", json!({})),
        ] {
            is_busy(&place.process.http.post_as(&bob.token, path, &body).await);
        }
        let mut browser = place.process.socket().await;
        let uuid = browser.ready_login().await["uuid"].clone();
        assert_eq!(browser.call(&ann.ask_frame(&uuid)).await["error"], "busy");
        let ready = place.process.http.get("/readyz").await.expect(503).json();
        assert_eq!(ready["store"], "away");
    }
    assert_eq!(place.granted().await, before);

    place.set_full(false).await;
    soon("the store", async || (place.process.http.get("/readyz").await.status == 200).then_some(())).await;
    // What was refused has left no trace: the codes are good once, the session and the password are as they were.
    ann.exchange(&code).await.token();
    ann.exchange(&code).await.expect(400);
    place.post("/api/v1/auth/refresh", &json!({"refresh_token": refresh})).await.expect(200);
    place.process.http.get_as(&bob.token, "/dashboard/devices").await.expect(200);
    bob.post("login", &json!({})).await.token();
    place.post("/auth/p/register", &newcomer).await.token();
}

#[tokio::test]
async fn what_was_acknowledged_before_the_disk_was_full_is_there_after_a_crash() {
    let place = Place::new().await;
    let ann = place.person("ann").await;
    let mut phone = ann.bind_phone(&place.process).await;
    let code = place.approved_code(&ann, &mut phone).await;
    place.set_full(true).await;
    is_busy(&ann.exchange(&code).await);
    if store_kind() == StoreKind::Postgres {
        place.set_full(false).await;
    }
    place.process.kill().await;
    let again = Process::start(&["serve"], &place.settings, place.folder.path()).await;
    ann.at(&again).exchange(&code).await.token();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_store_that_can_t_be_written_is_refused_at_the_start() {
    let place = Place::new().await;
    place.person("ann").await;
    place.process.signal("TERM").await;
    assert_eq!(place.process.wait().await, Some(0));
    let (settings, folder) = (&place.settings, place.folder.path());
    let mut refusals = Vec::new();
    if store_kind() == StoreKind::Postgres {
        make_read_only(settings, true).await;
        refusals.push(serve_under(&["env"], settings, folder).await);
    } else {
        refusals.push(serve_under(&["prlimit", "--fsize=0"], settings, folder).await);
        let log_is_full = ["sh", "-c", "exec prlimit --fsize=0 \"$@\" 2>words", "sh"];
        assert_eq!(serve_under(&log_is_full, settings, folder).await.code, Some(1));
        set_mode(&folder.join("readylogin.db"), 0o400);
        set_mode(folder, 0o500);
        // To root without these rights a mode means what it says.
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let words: &[&str] =
            if is_root { &["setpriv", "--bounding-set=-dac_override,-dac_read_search"] } else { &["env"] };
        refusals.push(serve_under(words, settings, folder).await);
        set_mode(folder, 0o700);
    }
    for refused in refusals {
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
        assert!(refused.stderr.contains("store.url: "), "{refused:?}");
    }
}
