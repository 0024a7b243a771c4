//! The commands: what they print, what they change, and what they say when they can't.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Finished, Process, all_settings, run, store_url};

/// A store and the commands that work on it.
struct Desk {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = all_settings(&[], &store_url(folder.path()).await, folder.path());
        Self { folder, settings }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn run(&self, line: &str, input: &str) -> Finished {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        run(&arguments, &self.settings, self.path(), input).await
    }

    /// Runs a command that must succeed and returns what it printed.
    async fn ok(&self, line: &str, input: &str) -> String {
        let done = self.run(line, input).await;
        assert_eq!(done.code, Some(0), "{line}: {done:?}");
        done.stdout
    }

    /// Runs a command that must fail with this code and say this.
    async fn fails(&self, line: &str, input: &str, code: i32, words: &str) {
        let done = self.run(line, input).await;
        assert_eq!(done.code, Some(code), "{line}: {done:?}");
        assert!(done.stderr.contains(words), "{line}: {:?} does not say {words:?}", done.stderr);
        assert!(input.trim().is_empty() || !done.stderr.contains(input.trim()), "a password was echoed");
    }
}

const ADD: &str = "account add --kind p --email ann@example.org --name Ann --verified --password-stdin";

#[tokio::test]
async fn the_demo_shows_a_whole_login_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "`demo --once` has five seconds of real time")]
    let start = Instant::now();
    let done = run(&["demo", "--once"], &[], folder.path(), "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(done.stdout.lines().next().unwrap().starts_with("listening on http://127.0.0.1:"));
    for frame in [
        r#"browser → {"action":"readyLogin""#,
        r#"browser → {"action":"askMobileConnection""#,
        r#"phone ← {"action":"ask_mobile_connection""#,
        r#"phone → {"action":"responseMobileConnection""#,
        r#"phone ← {"message":"Message sent"}"#,
        r#"browser ← {"action":"response_mobile_connection""#,
        "/auth/p/mobile_2fa",
        "\"patient\": \"maria@example.org\"",
    ] {
        assert!(done.stdout.contains(frame), "{frame} is missing in {}", done.stdout);
    }
    assert!(done.stdout.contains("\"password\":\"•••\""), "a password is shown: {}", done.stdout);
    assert!(done.stdout.trim_end().ends_with('}'), "the claims come last");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was left behind");
}

#[tokio::test]
async fn an_account_made_by_an_operator_logs_in() {
    let desk = Desk::new().await;
    desk.ok(ADD, "correct horse battery\n").await;
    let listed: Value = serde_json::from_str(&desk.ok("account list --json", "").await).unwrap();
    assert_eq!(listed[0]["email"], "ann@example.org");
    assert!(!listed.to_string().contains("argon2"), "a hash is shown");

    let server = Process::start(&["serve"], &desk.settings, desk.path()).await;
    let login = async |password: &str| {
        server.http.post("/auth/p/login", &json!({"email": "ann@example.org", "password": password})).await
    };
    let token = login("correct horse battery").await.token();
    desk.ok("account password --kind p --email ann@example.org --password-stdin", "another horse entirely")
        .await;
    server.http.get_as(&token, "/dashboard/2fa").await.expect(401);
    login("correct horse battery").await.expect(401);
    login("another horse entirely").await.token();
    desk.ok("account remove --kind p --email ann@example.org --yes", "").await;
    login("another horse entirely").await.expect(401);
}

#[tokio::test]
async fn what_an_operator_gets_wrong_is_told_in_words() {
    let desk = Desk::new().await;
    desk.fails(ADD, "abc", 1, "too short").await;
    desk.fails(ADD, "password1", 1, "eas").await;
    desk.ok(ADD, "correct horse battery").await;
    desk.fails(ADD, "correct horse battery", 1, "has an account").await;
    desk.fails(
        "account add --kind x --email a@b.c --password-stdin",
        "correct horse battery",
        2,
        "p (patient)",
    )
    .await;
    desk.fails(
        "account add --kind p --email nonsense --password-stdin",
        "correct horse battery",
        2,
        "nonsense",
    )
    .await;
    desk.fails("account disable --kind p --email nobody@example.org", "", 1, "account list").await;
    desk.fails("account remove --kind p --email ann@example.org", "", 2, "--yes").await;
    desk.fails("device revoke 4711", "", 1, "4711").await;
    desk.fails("fly", "", 2, "fly").await;
    desk.fails("account add --kind p --email a@b.c --password secret123", "", 2, "--password").await;
}

#[tokio::test]
async fn a_wrong_setting_stops_the_start_by_its_name() {
    let desk = Desk::new().await;
    let with = async |name: &str, value: &str| {
        let mut settings = desk.settings.clone();
        settings.push((name.to_owned(), value.to_owned()));
        run(&["serve"], &settings, desk.path(), "").await
    };
    for (name, value, words) in [
        ("READYLOGIN_PAIRING__TTL", "soon", "pairing.ttl"),
        ("READYLOGIN_NOWHERE__X", "1", "READYLOGIN_NOWHERE__X"),
        ("READYLOGIN_LOG__LEVEL", "shouting,,=", "log.level"),
        ("READYLOGIN_LOG__LEVEL", "loud", "log.level"),
        ("READYLOGIN_SERVER__LISTEN", "localhost:80", "such as"),
        ("READYLOGIN_SERVER__TLS__CERT", "missing.pem", "server.tls"),
    ] {
        let done = with(name, value).await;
        assert_eq!(done.code, Some(2), "{name}: {done:?}");
        assert!(done.stderr.contains(words), "{name}: {done:?}");
        assert!(done.stdout.is_empty(), "{name}: {done:?}");
    }
    desk.fails("serve --config missing.toml", "", 2, "missing.toml").await;
}

#[tokio::test]
async fn a_store_sealed_under_another_key_is_refused() {
    let desk = Desk::new().await;
    desk.ok(ADD, "correct horse battery").await;
    let mut settings = desk.settings.clone();
    settings.push(("READYLOGIN_KEYS__SEAL".to_owned(), "ab".repeat(32)));
    let done = run(&["serve"], &settings, desk.path(), "").await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("keys.seal"), "{done:?}");
}

#[tokio::test]
async fn a_lost_seal_key_is_asked_for_and_not_made_anew() {
    let desk = Desk::new().await;
    desk.ok(ADD, "correct horse battery").await;
    let key = desk.path().join("seal.key");
    std::fs::remove_file(&key).unwrap();
    desk.fails("serve", "", 2, "put it back from its backup").await;
    assert!(!key.exists());
}

#[tokio::test]
async fn keys_and_devices_are_listed_without_their_secrets() {
    let desk = Desk::new().await;
    desk.ok("keys rotate", "").await;
    let keys: Value = serde_json::from_str(&desk.ok("keys list --json", "").await).unwrap();
    assert_eq!(keys.as_array().unwrap().len(), 2, "{keys}");
    assert!(!keys.to_string().contains("sealed") && !keys.to_string().contains("private"));
    desk.ok(ADD, "correct horse battery").await;
    let devices: Value =
        serde_json::from_str(&desk.ok("device list --kind p --email ann@example.org --json", "").await)
            .unwrap();
    assert_eq!(devices, json!([]));
}

#[tokio::test]
async fn every_command_explains_itself() {
    let desk = Desk::new().await;
    for command in ["", "serve", "demo", "account", "account add", "device", "keys", "keys revoke", "bench"] {
        let help = desk.ok(&format!("{command} --help"), "").await;
        assert!(help.contains("Usage:"), "{command}: {help}");
        assert!(!help.contains('\u{1b}'), "colours without a terminal");
    }
}
