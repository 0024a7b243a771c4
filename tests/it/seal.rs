//! Another seal key while servers run: nobody notices, nothing stays behind under the old one, no crash loses anything.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{
    Finished, PATIENCE, Person, Process, SealFile, all_settings, changed, execute, key_rows, run, seal,
    sealed_rows, store_url, unseal,
};

const ROTATE: &[&str] = &["keys", "rotate", "--seal"];

/// A store with its seal keys, and commands that work on it.
struct House {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    file: SealFile,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = [("SERVER__PUBLIC_URL", "http://localhost:1"), ("SERVER__DRAIN", "1s")];
        let settings = all_settings(&settings, &store_url(folder.path()).await, folder.path());
        let file = SealFile::of(&settings);
        Self { folder, settings, file }
    }

    async fn serve(&self) -> Process {
        Process::start(&["serve"], &self.settings, self.folder.path()).await
    }

    async fn run(&self, arguments: &[&str]) -> Finished {
        run(arguments, &self.settings, self.folder.path(), "").await
    }

    async fn rotate(&self) -> String {
        let done = self.run(ROTATE).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(done.stderr, "");
        done.stdout
    }

    /// The same with the keys in the settings.
    fn given(&self, keys: &[&str]) -> Vec<(String, String)> {
        changed(&self.settings, &[("KEYS__SEAL", &keys.join(",")), ("KEYS__SEAL_FILE", "")])
    }

    /// Who opens how much of what is sealed in the store.
    async fn check_opened_by(&self, key: &str, others: &[&str]) {
        let rows = sealed_rows(&self.settings).await;
        assert!(rows.len() >= 2);
        for (purpose, sealed) in rows {
            assert!(unseal(key, &purpose, &sealed).is_some(), "{purpose} does not open");
            assert!(others.iter().all(|other| unseal(other, &purpose, &sealed).is_none()), "{purpose}");
        }
    }

    /// A server with this key alone does not start, and says why.
    async fn check_refused(&self, key: &str) {
        let refused = run(&["serve"], &self.given(&[key]), self.folder.path(), "").await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let words = "the store is sealed under another key: check keys.seal or keys.seal_file";
        assert!(refused.stderr.contains(words), "{refused:?}");
    }

    /// The secret of an authenticator app, as setting one up leaves it behind.
    async fn add_app(&self, token: &str, key: &str, plain: &[u8]) {
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap())
                .unwrap();
        let hex: String = seal(key, "totp", plain).iter().map(|byte| format!("{byte:02x}")).collect();
        let blob = if self.settings.iter().any(|(_, value)| value.starts_with("sqlite://")) {
            format!("X'{hex}'")
        } else {
            format!("'\\x{hex}'")
        };
        let row = format!("({}, 0, {blob}, 0, 0)", claims["account_id"]);
        let columns = "(account_id, pending, sealed, step, created_at)";
        execute(&self.settings, format!("INSERT INTO totp_secrets {columns} VALUES {row}")).await;
    }
}

fn new_key() -> String {
    STANDARD.encode([uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat())
}

async fn log_in(person: &Person) -> String {
    person.post("login", &json!({})).await.token()
}

#[tokio::test]
async fn the_seal_key_is_replaced_while_people_log_in() {
    let house = House::new().await;
    let server = house.serve().await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    let mut phone = ann.bind_phone(&server).await;
    let bob = Person::register(&server.http, "p", "bob@example.org").await;
    let mut browser = server.socket().await;
    let hello = browser.ready_login().await;
    browser.call(&ann.ask_frame(&hello["uuid"])).await;
    let old = house.file.keys().remove(0);
    house.add_app(&bob.token, &old, b"an app's secret").await;

    let rotation = house.rotate();
    let told = {
        tokio::pin!(rotation);
        let mut logins = 0;
        loop {
            tokio::select! {
                told = &mut rotation => break (told, logins),
                token = log_in(&bob) => {
                    server.http.get_as(&token, "/dashboard/devices").await.expect(200);
                    logins += 1;
                }
            }
        }
    };
    assert!(told.1 > 10, "{} logins", told.1);
    assert!(told.0.starts_with("3 of 3 secrets"), "{}", told.0);
    let new = <[String; 1]>::try_from(house.file.keys()).unwrap().concat();
    assert_ne!(new, old);
    assert_eq!(std::fs::metadata(house.file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        std::fs::read_dir(house.folder.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("seal.key") })
            .count(),
        1,
        "something is left behind"
    );
    house.check_opened_by(&new, &[&old]).await;
    let rows = sealed_rows(&house.settings).await;
    let (purpose, app) = rows.iter().find(|(purpose, _)| purpose == "totp").unwrap();
    assert_eq!(unseal(&new, purpose, app).unwrap(), b"an app's secret");

    // The server goes on with what it has opened and what it opens now; the root key is the same.
    let again = house.run(&["keys", "rotate"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    house.check_refused(&old).await;
    for server in [server, house.serve().await] {
        let bob = bob.at(&server);
        for token in [&bob.token, &phone.token, &log_in(&bob).await] {
            server.http.get_as(token, "/dashboard/devices").await.expect(200);
        }
    }
    let server = house.serve().await;
    let ann = ann.at(&server);
    phone.reconnect(&server).await;
    let mut browser = server.socket().await;
    let frame = json!({"action": "resumeLogin", "uuid": hello["uuid"], "resume": hello["resume"]});
    assert_eq!(browser.call(&frame).await["message"], "Connection ready");
    phone.answer(&hello["uuid"], true).await;
    ann.exchange(&browser.expect_code().await).await.token();
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[0]})).await.token();
}

#[tokio::test]
async fn it_works_twice_in_a_row_and_by_one_at_a_time() {
    let house = House::new().await;
    house.run(&["keys", "list"]).await;
    let mut keys = house.file.keys();
    for _ in 0..2 {
        assert!(house.rotate().await.starts_with("2 of 2 secrets"));
        keys.insert(0, house.file.keys().concat());
        house.check_opened_by(&keys[0], &keys[1..].iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let both = tokio::join!(house.run(ROTATE), house.run(ROTATE));
    let mut codes = [both.0.code, both.1.code];
    codes.sort();
    // Most often one is told to wait; when it came late enough, it did the work a second time.
    assert!([[Some(0), Some(1)], [Some(0), Some(0)]].contains(&codes), "{both:?}");
    house.check_opened_by(&house.file.keys().concat(), &[]).await;
}

#[tokio::test]
async fn a_rotation_that_was_killed_half_way_is_finished_by_the_next_one() {
    let house = House::new().await;
    let server = house.serve().await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    let old = house.file.keys().concat();

    // Killed while it waits for the servers: both keys are in the file, the store is as it was.
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_readylogin"));
    let settings = house.settings.iter().map(|(name, value)| (name, value));
    let mut killed = command.args(ROTATE).envs(settings).current_dir(house.folder.path()).spawn().unwrap();
    let both = async {
        while house.file.keys().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, both).await.expect("the new key is written");
    killed.kill().await.unwrap();
    let [new, behind] = house.file.keys().try_into().unwrap();
    assert_eq!(behind, old);
    house.check_opened_by(&old, &[&new]).await;
    for server in [&server, &house.serve().await] {
        server.http.get_as(&log_in(&ann.at(server)).await, "/dashboard/devices").await.expect(200);
    }
    // A file that was begun and has not got its name.
    std::fs::write(house.file.path().with_extension("key.new"), &new[..10]).unwrap();
    assert!(house.rotate().await.starts_with("2 of 2 secrets"));
    assert_eq!(house.file.keys(), [new.as_str()]);
    house.check_opened_by(&new, &[&old]).await;

    // Killed after the store was sealed again, and before the old key left the file.
    house.file.write(&[&new, &old]);
    for server in [&server, &house.serve().await] {
        server.http.get_as(&log_in(&ann.at(server)).await, "/dashboard/devices").await.expect(200);
    }
    assert!(house.rotate().await.starts_with("0 of 2 secrets"));
    assert_eq!(house.file.keys(), [new.as_str()]);
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
}

#[tokio::test]
async fn nothing_is_stored_under_a_key_that_is_about_to_go() {
    let house = House::new().await;
    let server = house.serve().await;
    let old = house.file.keys().concat();
    let rotation = house.run(ROTATE);
    tokio::pin!(rotation);
    // Commands that seal something, begun before, during and after the change.
    let (mut sealed, mut failed) = (0, Vec::new());
    let done = loop {
        let kid = key_rows(&house.settings).await.remove(0).0;
        let arguments = ["keys", "revoke", "--kid", &kid];
        let sealing = house.run(&arguments);
        tokio::pin!(sealing);
        tokio::select! {
            done = &mut rotation => break done,
            outcome = &mut sealing => match outcome.code {
                Some(0) => sealed += 1,
                _ => failed.push(outcome),
            },
        }
    };
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(failed.is_empty() && sealed > 0, "{sealed} sealed, {:?}", failed.first());
    house.check_opened_by(&house.file.keys().concat(), &[&old]).await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
}

#[tokio::test]
async fn keys_in_the_settings_are_replaced_node_by_node() {
    let house = House::new().await;
    let (old, new) = (new_key(), new_key());
    let [before, both, after] = [house.given(&[&old]), house.given(&[&new, &old]), house.given(&[&new])];
    let command = async |settings: &[(String, String)], arguments: &[&str]| {
        run(arguments, settings, house.folder.path(), "").await
    };
    let one = Process::start(&["serve"], &before, house.folder.path()).await;
    let ann = Person::register(&one.http, "p", "ann@example.org").await;
    let alone = command(&before, ROTATE).await;
    assert_eq!(alone.code, Some(2), "{alone:?}");
    assert!(alone.stderr.contains("put a new key") && alone.stderr.contains("in front"), "{alone:?}");

    // A node that has both keys seals so that one with the old key alone can still open it.
    let other = Process::start(&["serve"], &both, house.folder.path()).await;
    assert_eq!(command(&both, &["keys", "rotate"]).await.code, Some(0));
    house.check_opened_by(&old, &[&new]).await;
    assert_eq!(command(&before, &["keys", "list"]).await.code, Some(0));
    for server in [&one, &other] {
        server.http.get_as(&log_in(&ann.at(server)).await, "/dashboard/devices").await.expect(200);
    }
    drop(one);
    let done = command(&both, ROTATE).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.stdout.starts_with("3 of 3 secrets") && done.stdout.contains("take the others away"),
        "{done:?}"
    );
    house.check_opened_by(&new, &[&old]).await;
    house.check_refused(&old).await;
    other.http.get_as(&log_in(&ann.at(&other)).await, "/dashboard/devices").await.expect(200);
    let last = Process::start(&["serve"], &after, house.folder.path()).await;
    last.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
    assert!(!house.file.path().exists());
}

#[tokio::test]
async fn what_no_key_opens_stops_the_change_and_is_named() {
    let house = House::new().await;
    let server = house.serve().await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    house.add_app(&ann.token, &new_key(), b"sealed elsewhere").await;
    let old = house.file.keys().concat();
    let before = sealed_rows(&house.settings).await;
    let done = house.run(ROTATE).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("the authenticator app of account"), "{done:?}");
    assert_eq!(sealed_rows(&house.settings).await, before);
    assert!(house.file.keys().contains(&old), "the old key is gone");
    house.serve().await.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
}
