//! An owner's data: all of it handed out, nothing of anybody else, no secret; and gone once the account is removed.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::{
    Answer, PASSWORD, Person, Phone, Server, all_settings, dump, execute, letters_to, run, store_url,
};

const DESK: &str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0";

/// Words of a life that are nobody else's.
const OWN: [&str; 5] = ["ann@example.org", "Ann's laptop", "Pixel", "Firefox", "Lausanne"];

async fn export(server: &Server, token: &str) -> Answer {
    server.http.send("POST", "/dashboard/export", Some(token), None).await
}

/// Somebody who has lived through all that leaves something behind; the token of the latest login, and what is secret.
async fn life_of(server: &Server, person: &Person) -> (String, Phone, Vec<String>) {
    let token = person.post("login", &json!({"name_device": "Ann's laptop"})).await.token();
    let codes = person.turn_mail_on(server, &token).await["backup_codes"].clone();
    let app = person.bind_app(server, &token).await;
    let codes: Vec<String> = serde_json::from_value(codes).unwrap();
    let phone =
        person.post("backup_code_2fa", &json!({"backup_code": codes[0], "name_device": "Pixel"})).await;
    let mut phone = person.bind_with_others(server, phone.token()).await;
    person.post("third_party_2fa", &json!({"token_2fa": app.wrong_code(server)})).await.expect(400);
    person.post("login", &json!({"password": "not the password"})).await.expect(401);
    let code = person.login_code(server).await;
    person.post("email_2fa", &json!({"token_2fa": code})).await.token();
    let proof = server.mail_proof(&person.email).await;
    server.http.mail_auth("sign-in", &proof, &json!({})).await.expect(202);
    let waiting = server.http.ask_words(&person.email).await.expect(200).mail_token("mailLoginToken");

    let mut browser = server.socket().await;
    let uuid = browser
        .call(&json!({"action": "readyLogin", "os": "Linux", "browser": "Firefox", "location": "Lausanne"}))
        .await;
    let uuid = uuid["uuid"].clone();
    browser.call(&person.ask_frame(&uuid)).await;
    phone.answer(&uuid, true).await;
    let ticket = browser.expect_code().await;
    let token = person.exchange(&ticket).await.token();
    let (_, open) = person.asking_browser(server).await;
    assert!(open.is_string());

    let cookie = json!({"email": person.email, "password": PASSWORD});
    let request =
        server.http.request("POST", "/api/auth/sign-in/email").header("User-Agent", DESK).json(&cookie);
    Answer::read(request.send().await.unwrap()).await.expect(200);
    let mut secrets =
        vec![app.base32.clone(), ticket, code, proof, waiting, token.clone(), phone.token.clone()];
    secrets.extend(codes);
    (token, phone, secrets)
}

impl Person {
    /// As `bind_with`, where other methods are on already.
    async fn bind_with_others(&self, server: &Server, token: String) -> Phone {
        let device = crate::harness::current_device(&server.http, &token).await;
        let body = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
        server.http.post_as(&token, "/2fa/method/mobile", &body).await.expect(200);
        let mut socket = server.socket().await;
        socket.call(&json!({"action": "ready", "authToken": token})).await;
        Phone { token, device, backup_codes: Vec::new(), socket }
    }
}

/// One value of each row of a section.
fn each<'a>(document: &'a Value, section: &str, field: &str) -> Vec<&'a Value> {
    document[section].as_array().unwrap().iter().map(|row| &row[field]).collect()
}

#[tokio::test]
async fn an_owner_gets_everything_that_a_life_left_behind() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let (token, phone, _) = life_of(&server, &ann).await;
    let answer = export(&server, &token).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"readylogin-export.json\"");
    assert_eq!(answer.header("cache-control"), "no-store");
    let document = answer.json();
    assert_eq!(document["exported_at"], "2026-11-22T00:00:30.000Z", "a step of the app has passed");
    let account = &document["account"];
    assert_eq!(account["email"], "ann@example.org");
    assert_eq!(account["name"], "Somebody");
    assert_eq!(account["created_at"], "2026-11-22T00:00:00.000Z");
    assert_eq!(account["verified"], true, "a mailed code came back");
    assert!(account["sign_ins"].as_i64().unwrap() >= 3, "{account}");
    assert_eq!(account["signed_in_ip"], "127.0.0.1");
    assert_eq!(account["disabled_at"], Value::Null);

    let mut methods = each(&document, "factors", "method");
    methods.sort_by_key(|method| method.to_string());
    assert_eq!(methods, ["AUTHENTIFICATOR", "BACKUPCODE", "EMAIL", "MOBILE"]);
    assert_eq!(document["factor_failures"], json!([{"method": "AUTHENTIFICATOR", "run": 1}]));
    let used = each(&document, "backup_codes", "used_at");
    assert_eq!(used.len(), 10);
    assert_eq!(used.iter().filter(|at| !at.is_null()).count(), 1);
    assert_eq!(each(&document, "authenticator_secrets", "pending"), [false]);
    let names = each(&document, "devices", "name");
    assert!(names.contains(&&json!("Pixel")) && names.contains(&&json!("Ann's laptop")), "{names:?}");
    let approving = document["devices"].as_array().unwrap().iter().find(|d| d["name"] == "Pixel").unwrap();
    assert_eq!(approving["id"].to_string(), phone.device);
    assert!(approving["approving_since"].is_string());
    assert!(each(&document, "sessions", "device_id").len() >= 4);
    assert!(each(&document, "asks", "location").contains(&&json!("Lausanne")));
    assert!(each(&document, "asks", "state").contains(&&json!("asked")));
    assert!(each(&document, "tickets", "used_at")[0].is_string());
    assert_eq!(each(&document, "sign_ins_under_way", "tries").len(), 1);
    assert_eq!(each(&document, "words_mailed", "email"), ["ann@example.org"]);
    assert_eq!(each(&document, "addresses_proven", "email"), ["ann@example.org"]);
    let events = each(&document, "audit", "event");
    assert!(events.contains(&&json!("login")) && events.contains(&&json!("factor.on")), "{events:?}");
    assert_eq!(*events.last().unwrap(), "account.export", "this export is on record, and in itself");
    assert!(each(&document, "left_out", "why").iter().all(|why| why.as_str().unwrap().len() > 20));
}

#[tokio::test]
async fn nothing_of_another_account_and_no_secret_is_in_an_export() {
    let server = Server::start(&[]).await;
    let (ann, bob) = (server.person("ann").await, server.person("bob").await);
    let (token, phone, secrets) = life_of(&server, &ann).await;
    let bobs = bob.post("login", &json!({"name_device": "Bob's tablet"})).await.token();
    bob.turn_mail_on(&server, &bobs).await;
    let document = export(&server, &token).await.expect(200).text;
    for foreign in ["bob@example.org", "Bob's tablet"] {
        assert!(!document.contains(foreign), "{foreign}");
    }
    let of_bob = export(&server, &bobs).await.expect(200).text;
    assert!(of_bob.contains("Bob's tablet"));
    for foreign in ["ann@example.org", "Ann's laptop", "Lausanne", "Pixel"] {
        assert!(!of_bob.contains(foreign), "{foreign}");
    }
    for secret in secrets.iter().chain([&phone.token, &ann.token]) {
        assert!(!document.contains(secret.as_str()), "{secret}");
    }
    let (mut hashes, document) = (0, document.to_lowercase());
    for (table, row) in dump(&server).await {
        // Bytes are hashes and sealed secrets, all of 32 bytes and more; a password's hash is a PHC string.
        let is_secret = |value: &&String| {
            let is_hex = value.len() >= 64 && value.bytes().all(|b| b.is_ascii_hexdigit());
            is_hex || value.starts_with('$')
        };
        for value in row.iter().filter(is_secret) {
            hashes += 1;
            assert!(!document.contains(&value.to_lowercase()), "{table}: {value}");
        }
    }
    assert!(hashes > 20, "{hashes}: the test knows what to look for");
}

/// The bytes that a value stands for in base64url, written as hexadecimal.
fn as_bytes(value: &str) -> Option<String> {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    URL_SAFE_NO_PAD.decode(value).ok().filter(|bytes| bytes.len() >= 12).map(hex)
}

#[tokio::test]
async fn no_secret_that_was_handed_out_stands_in_the_store() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let (token, phone, mut secrets) = life_of(&server, &ann).await;
    secrets.extend([token, phone.token, ann.token.clone(), PASSWORD.to_owned()]);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let rows = dump(&server).await;
    assert!(rows.len() > 50, "{} rows: a life leaves more", rows.len());
    for secret in &secrets {
        let forms = [Some(secret.clone()), Some(hex(secret)), as_bytes(secret)];
        for (form, (table, row)) in
            forms.iter().flatten().flat_map(|form| rows.iter().map(move |row| (form, row)))
        {
            // Six digits may be part of a time or of a hash.
            let holds = |value: &String| value == form || (form.len() >= 16 && value.contains(form.as_str()));
            assert!(!row.iter().any(holds), "{table} holds {secret}");
        }
    }
}

#[tokio::test]
async fn an_old_proof_is_not_enough_and_a_password_freshens_it() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    server.clock.advance(Duration::from_mins(6));
    let refused = export(&server, &ann.token).await.expect(401);
    let challenge = refused.header("www-authenticate");
    assert!(
        challenge.contains("insufficient_user_authentication") && challenge.contains("300"),
        "{challenge}"
    );
    let with = async |body: Value| server.http.post_as(&ann.token, "/dashboard/export", &body).await;
    with(json!({"password": "not the password"})).await.expect(401);
    let document = with(json!({"password": PASSWORD})).await.expect(200).json();
    let exports = each(&document, "audit", "event").into_iter().filter(|event| *event == "account.export");
    assert_eq!(exports.count(), 1, "a refused one is none");
    export(&server, &ann.token).await.expect(200);
    server.http.post("/dashboard/export", &json!({})).await.expect(401);
    assert!(letters_to(&server, &ann.email).await.is_empty(), "the owner needs no letter about it");
}

#[tokio::test]
async fn mail_that_waits_is_named_without_what_it_says() {
    let server = Server::start(&[]).await;
    let ann = server.proven_person("ann").await;
    let waiting = "INSERT INTO outbox (recipient, kind, subject, body, html, created_at, due_at, attempts) \
                   VALUES ('ann@example.org', 'login_code', 'Your code', 'The code is 482913', '', 1795305600000, 9999999999999, 1)";
    execute(server.settings(), waiting.to_owned()).await;
    let document = export(&server, &ann.token).await.expect(200);
    assert!(!document.text.contains("482913"));
    assert_eq!(each(&document.json(), "mail_waiting", "kind"), ["login_code"]);
    assert_eq!(each(&document.json(), "mail_waiting", "created_at"), ["2026-11-22T00:00:00.000Z"]);
}

/// Rows outside of the audit trail in which one of these words stands.
async fn traces(server: &Server, words: &[&str]) -> Vec<String> {
    let holds = |row: &[String]| row.iter().any(|value| words.iter().any(|word| value.contains(word)));
    let rows = dump(server).await;
    rows.into_iter().filter(|(_, row)| holds(row)).map(|(table, row)| format!("{table}: {row:?}")).collect()
}

#[tokio::test]
async fn a_removed_account_leaves_its_number_in_the_audit_trail_and_nothing_else() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let (token, _, _) = life_of(&server, &ann).await;
    let document = export(&server, &token).await.expect(200).json();
    let id = document["account"]["id"].to_string();
    letters_to(&server, &ann.email).await;
    assert!(traces(&server, &OWN).await.len() >= 5, "the test knows what to look for");
    server.http.delete_as(&token, "/dashboard/account").await.expect(204);

    // Its letters are delivered before it is looked for what is left.
    letters_to(&server, &ann.email).await;
    assert_eq!(traces(&server, &OWN).await, Vec::<String>::new());
    let left = dump(&server).await;
    // What is the server's own, and numbers that lead nowhere any more.
    let stays = [
        "_sqlx_migrations",
        "audit",
        "issuers",
        "server_secrets",
        "signals",
        "signing_keys",
        "sqlite_sequence",
    ];
    // With limits off, what counts mail by keyed hash is not there either.
    let found = left.iter().filter(|(table, _)| !stays.contains(&table.as_str())).collect::<Vec<_>>();
    assert!(found.is_empty(), "{found:?}");
    let audit = left.iter().filter(|(table, row)| table == "audit" && row[4] == id).collect::<Vec<_>>();
    assert_eq!(audit.last().unwrap().1[2], "account.remove");
    let again = server.person("ann").await;
    let anew = export(&server, &again.token).await.expect(200).json();
    assert_ne!(anew["account"]["id"].to_string(), id, "a number is never given again");
    assert!(!each(&anew, "audit", "event").contains(&&json!("account.remove")));
}

#[tokio::test]
async fn an_operator_exports_to_standard_output_or_to_a_new_file_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = all_settings(&[], &store_url(folder.path()).await, folder.path());
    let command = async |line: &str, input: &str| {
        run(&line.split_whitespace().collect::<Vec<_>>(), &settings, folder.path(), input).await
    };
    let ann = "--kind p --email ann@example.org";
    command(&format!("account add {ann} --name Ann --password-stdin"), PASSWORD).await;
    let printed = command(&format!("account export {ann}"), "").await;
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let document: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(document["account"]["name"], "Ann");
    assert_eq!(document["audit"].as_array().unwrap().last().unwrap()["source"], "operator");
    assert!(!printed.stdout.contains("argon2"), "a hash is shown");

    let written = command(&format!("account export {ann} --output ann.json"), "").await;
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(written.stdout.contains("ann.json"), "{written:?}");
    let file = folder.path().join("ann.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap()["account"]["name"], "Ann");
    let refused = command(&format!("account export {ann} --output ann.json"), "").await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("ann.json"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept, "nothing is overwritten");

    let unknown = command("account export --kind p --email bob@example.org --output bob.json", "").await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("account list"), "{unknown:?}");
    assert!(!folder.path().join("bob.json").exists(), "no empty file is left behind");
    assert_eq!(command(&format!("account export {ann} --password x"), "").await.code, Some(2));
    let help = command("account export --help", "").await;
    assert!(help.code == Some(0) && help.stdout.contains("--output <FILE>"), "{help:?}");
}
