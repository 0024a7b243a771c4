//! Accounts of other systems: their passwords go on working and are hashed anew at the first login. (That nobody can tell
//! by time whose was hashed how is tested in `timing`.)

use std::collections::HashMap;

use serde_json::json;

use crate::harness::{Answer, Finished, Server, change_store, run, text_pairs};

/// What is behind every hash in [`SCHEMES`].
pub(crate) const PASSWORD: &str = "pleurer sous la pluie";

/// Hashes that other systems made: bcrypt and argon2-cffi for Python, passlib, Django, better-auth.
pub(crate) const SCHEMES: &[(&str, &str)] = &[
    ("bcrypt", "$2b$05$oK3vHmeq3dxEuvZF0rjjoeLWmx3nLa4JFHfyvKIEsfkZTNTCtzXvq"),
    ("bcrypt-php", "$2y$05$oK3vHmeq3dxEuvZF0rjjoeLWmx3nLa4JFHfyvKIEsfkZTNTCtzXvq"),
    (
        "argon2i",
        "$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$3UqTVcTaIoRNR9nMhwdtDMC13BVYQYzGyTAjpKBYO0I",
    ),
    (
        "argon2id",
        "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$GV7fluZsuZyQ43LZVwYo8av+WRdw1ah6QQmf/ICuqEQ",
    ),
    ("scrypt", "$scrypt$ln=10,r=8,p=1$7T0n5HzP2fsfg5DS2vvfGw$9P05daigIvNslQcjWxkSLI8PBQC5JLr8E3kTojsczn0"),
    (
        "pbkdf2",
        "$pbkdf2-sha256$i=1200,l=32$KIUQQqg1RmgtpbQ2hlCKUQ$3sPMYe80M9NOFTY6tU23wCnT9c/Qllegrlc7ZBApD7M",
    ),
    (
        "passlib",
        "$pbkdf2-sha512$1200$VIrRujdmDMFYq/V.rxWCUA$SvOmu5otFyGj.StBaqbHNKjp.9i5CkuffSFfwF2oMNsZ8wyilsfetyZNR2.O477nZ1Jc3eUfV9kKSw7ltUwmmA",
    ),
    ("django", "pbkdf2_sha256$1500$Nh7dPqJ3xkVb$i2leGdn7/Xz8KnUAEbk8+pOG4rC1BXo7LhZuIDHnBJ4="),
    (
        "better-auth",
        "55f7243c762649134866cd7d01e2fe2b:fd17e5e971e7010e1c0fbb8d88f1af95a3678540202ed93c6dca68b83d75811d22c1916ffe4d23131383c49e0c88b0f5c1cf732e9c63e1081dad45d986315480",
    ),
];

const HASHES: &str = "SELECT email, password FROM accounts ORDER BY email";
const CLASSES: &str = "SELECT email, password_class FROM accounts ORDER BY email";
const AUDITED: &str = "SELECT event, outcome FROM audit WHERE event = 'account.import'";

pub(crate) fn line(name: &str, hash: &str) -> String {
    format!("{}\n", json!({"kind": "p", "email": format!("{name}@example.org"), "hash": hash}))
}

/// Runs `account import` beside the server.
async fn import(server: &Server, arguments: &[&str], lines: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let done =
        run(&[&["account", "import"], arguments].concat(), server.settings(), folder.path(), lines).await;
    for secret in ["oK3vHmeq3dxE", "$2b$", "$argon2"] {
        assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret), "a hash is shown: {done:?}");
    }
    done
}

pub(crate) async fn import_all(server: &Server, lines: &str) {
    let done = import(server, &[], lines).await;
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
}

pub(crate) async fn login(server: &Server, name: &str, password: &str) -> Answer {
    let body = json!({"email": format!("{name}@example.org"), "password": password});
    server.http.post("/auth/p/login", &body).await
}

async fn hashes(server: &Server) -> HashMap<String, String> {
    text_pairs(server, HASHES).await.into_iter().collect()
}

#[tokio::test]
async fn every_scheme_logs_in_and_becomes_argon2id() {
    let server = Server::start(&[]).await;
    let lines: String = SCHEMES.iter().map(|(name, hash)| line(name, hash)).collect();
    import_all(&server, &lines).await;
    for (name, hash) in SCHEMES {
        let email = format!("{name}@example.org");
        login(&server, name, "pleurer sous la neige").await.expect(401);
        assert_eq!(hashes(&server).await[&email], *hash, "{name}: a wrong password changed the hash");
        login(&server, name, PASSWORD).await.token();
        let upgraded = hashes(&server).await[&email].clone();
        assert!(upgraded.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{name}: {upgraded}");
        login(&server, name, "pleurer sous la neige").await.expect(401);
        login(&server, name, PASSWORD).await.token();
        assert_eq!(hashes(&server).await[&email], upgraded, "{name}: hashed anew without need");
    }
    let classes = text_pairs(&server, CLASSES).await;
    assert!(classes.iter().all(|(_, class)| class == "$argon2id$v=19$m=64,t=1,p=1"), "{classes:?}");
    assert_eq!(text_pairs(&server, AUDITED).await.len(), SCHEMES.len());
}

#[tokio::test]
async fn after_the_upgrade_every_character_of_the_password_counts() {
    let server = Server::start(&[]).await;
    // Of 72 times `x`, which is all that bcrypt looks at.
    import_all(&server, &line("long", "$2b$04$56fto1sDWWXExtyakBKCj.VvqWadaNlqRDW0PLOHj0yqLWKYsKNPS")).await;
    let typed = format!("{} and the rest", "x".repeat(72));
    login(&server, "long", &format!("{}\0", "x".repeat(72))).await.expect(401);
    login(&server, "long", &typed).await.token();
    login(&server, "long", &format!("{} and another", "x".repeat(72))).await.expect(401);
    login(&server, "long", &typed).await.token();
}

#[tokio::test]
async fn what_the_other_system_knew_comes_along() {
    let server = Server::start(&[]).await;
    let full = json!({
        "kind": "d", "email": "Zoe@Example.org", "hash": SCHEMES[0].1, "name": "Zoë", "phone": "+41 79 123 45 67",
        "verified": true, "language": "fr", "created_at": "2020-02-29T12:00:00Z",
    });
    import_all(&server, &full.to_string()).await;
    let kept =
        text_pairs(&server, "SELECT name, phone || ' ' || language FROM accounts WHERE verified = 1").await;
    assert_eq!(kept, [("Zoë".to_owned(), "+41791234567 fr".to_owned())]);
    let made = text_pairs(&server, "SELECT kind, email FROM accounts WHERE created_at = 1582977600000").await;
    assert_eq!(made, [("d".to_owned(), "Zoe@Example.org".to_owned())]);
}

#[tokio::test]
async fn a_bad_line_is_told_by_its_number_and_the_others_are_kept() {
    let server = Server::start(&[]).await;
    server.person("taken").await;
    let before = hashes(&server).await["taken@example.org"].clone();
    let bcrypt = SCHEMES[0].1;
    let lines = [
        line("first", bcrypt),
        "{\"kind\":\"p\"\n".to_owned(),
        "\n".to_owned(),
        line("nonsense", "hunter2"),
        line("TAKEN", bcrypt),
        line("FIRST", bcrypt),
        line("greedy", "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$GV7fluZsuZyQ43LZVwYo8av+WRdw1ah6QQmf/ICuqEQ"),
        line("slow", &bcrypt.replace("$05$", "$31$")),
        line("large", "$scrypt$ln=24,r=8,p=1$7T0n5HzP2fsfg5DS2vvfGw$9P05daigIvNslQcjWxkSLI8PBQC5JLr8E3kTojsczn0"),
        line("many", "pbkdf2_sha256$10000001$Nh7dPqJ3xkVb$i2leGdn7/Xz8KnUAEbk8+pOG4rC1BXo7LhZuIDHnBJ4="),
        line("unknown-field", bcrypt).replace("\"kind\"", "\"admin\":true,\"kind\""),
        format!("{{\"kind\":\"{}\"}}\n", "x".repeat(70_000)),
        line("last", bcrypt).trim_end().to_owned(),
    ]
    .concat();
    let done = import(&server, &[], &lines).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.stdout, "2 added, 1 skipped because the address has an account, 9 refused\n");
    for told in [
        "line 2: is no JSON, at column",
        "line 4: hash: it is of no known form",
        "line 5: p TAKEN@example.org has an account already",
        "line 6: email: stands in line 1 already",
        "line 7: hash: argon2 beyond 1 GiB",
        "line 8: hash: bcrypt beyond a cost of 16",
        "line 9: hash: scrypt beyond 1 GiB",
        "line 10: hash: pbkdf2 beyond 10,000,000 rounds",
        "line 11: admin: there is no such field",
        "line 12: is longer than 64 KiB",
        "9 lines were refused",
    ] {
        assert!(done.stderr.contains(told), "{told:?} is missing: {}", done.stderr);
    }
    let kept = hashes(&server).await;
    assert_eq!(kept.len(), 3, "{:?}", kept.keys());
    assert_eq!(kept["taken@example.org"], before, "an account was overwritten");
    login(&server, "first", PASSWORD).await.token();
    login(&server, "last", PASSWORD).await.token();
    // What is there already is no failure: an import can be run again.
    let again = import(&server, &[], &line("first", bcrypt)).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.stdout, "0 added, 1 skipped because the address has an account, 0 refused\n");
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_changes_nothing() {
    let server = Server::start(&[]).await;
    server.person("taken").await;
    let lines = [line("new", SCHEMES[0].1), line("taken", SCHEMES[0].1), "{}\n".to_owned()].concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines).unwrap();
    let path = file.path().to_str().unwrap();
    let done = import(&server, &["--dry-run", path], "").await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.stdout, "1 would be added, 1 skipped because the address has an account, 1 refused\n");
    assert_eq!(hashes(&server).await.len(), 1);
    assert!(text_pairs(&server, AUDITED).await.is_empty());
    let missing = import(&server, &["nowhere.jsonl"], "").await;
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("nowhere.jsonl"), "{missing:?}");
}

#[tokio::test]
async fn thousands_come_in_batches_and_none_is_lost() {
    let server = Server::start(&[]).await;
    let lines: String = (0..2_345).map(|n| line(&format!("n{n}"), SCHEMES[0].1)).collect();
    import_all(&server, &lines).await;
    assert_eq!(hashes(&server).await.len(), 2_345);
    assert_eq!(text_pairs(&server, AUDITED).await.len(), 2_345);
    for name in ["n0", "n999", "n1000", "n2344"] {
        login(&server, name, PASSWORD).await.token();
    }
}

#[tokio::test]
async fn rows_of_before_there_were_classes_get_theirs_at_a_start() {
    let mut server = Server::start(&[]).await;
    server.person("here").await;
    let lines: String = (0..600).map(|n| line(&format!("n{n}"), SCHEMES[0].1)).collect();
    import_all(&server, &lines).await;
    let classes = text_pairs(&server, CLASSES).await;
    change_store(&server, "UPDATE accounts SET password_class = ''").await;
    server.restart().await;
    assert_eq!(text_pairs(&server, CLASSES).await, classes);
}
