//! Promise 3: an acknowledged approval is never lost, whatever happens to the server, and a drained one comes back.

use serde_json::{Value, json};

use crate::harness::{Person, Phone, Process, Socket, all_settings, run, store_url};

/// A server process that may be killed and started again on the same store.
struct House {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl House {
    async fn new(overrides: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = all_settings(overrides, &store_url(folder.path()).await, folder.path());
        Self { folder, settings }
    }

    async fn open(&self) -> Process {
        Process::start(&["serve"], &self.settings, self.folder.path()).await
    }

    async fn command(&self, arguments: &[&str], input: &str) -> String {
        let done = run(arguments, &self.settings, self.folder.path(), input).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout
    }
}

/// A person with a phone, and a browser that has asked.
pub(crate) struct Login {
    pub(crate) person: Person,
    pub(crate) phone: Phone,
    pub(crate) browser: Socket,
    pub(crate) hello: Value,
}

pub(crate) async fn asked(server: &Process, name: &str) -> Login {
    let person = Person::register(&server.http, "p", &format!("{name}@example.org")).await;
    let phone = person.bind_phone(server).await;
    let mut browser = server.socket().await;
    let hello = browser.ready_login().await;
    browser.call(&person.ask_frame(&hello["uuid"])).await;
    Login { person, phone, browser, hello }
}

pub(crate) fn resume_frame(hello: &Value) -> Value {
    json!({"action": "resumeLogin", "uuid": hello["uuid"], "resume": hello["resume"],
           "os": "Linux", "browser": "Firefox", "location": "Paris"})
}

pub(crate) async fn resumed(server: &Process, hello: &Value) -> Socket {
    let mut browser = server.socket().await;
    let reply = browser.call(&resume_frame(hello)).await;
    assert_eq!(reply["message"], "Connection ready", "{reply}");
    assert_eq!(reply["uuid"], hello["uuid"]);
    assert_ne!(reply["resume"], hello["resume"]);
    browser
}

#[tokio::test]
async fn a_kill_between_the_acknowledgement_and_the_exchange_loses_nothing() {
    let house = House::new(&[]).await;
    let server = house.open().await;
    let mut login = asked(&server, "ann").await;
    login.phone.answer(&login.hello["uuid"], true).await;
    server.kill().await;

    let server = house.open().await;
    let code = resumed(&server, &login.hello).await.expect_code().await;
    let ann = login.person.at(&server);
    ann.exchange(&code).await.token();
    assert_eq!(ann.exchange(&code).await.refusal(400), "invalid 2FA token");
}

#[tokio::test]
async fn a_kill_between_the_ask_and_the_answer_loses_nothing() {
    let house = House::new(&[]).await;
    let server = house.open().await;
    let mut login = asked(&server, "ann").await;
    server.kill().await;

    let server = house.open().await;
    login.phone.reconnect(&server).await;
    let mut browser = resumed(&server, &login.hello).await;
    login.phone.answer(&login.hello["uuid"], true).await;
    let code = browser.expect_code().await;
    login.person.at(&server).exchange(&code).await.token();
}

#[tokio::test]
async fn whatever_was_acknowledged_under_fire_is_delivered() {
    let house = House::new(&[]).await;
    for round in 0..4 {
        let server = house.open().await;
        let mut logins = Vec::new();
        for n in 0..12 {
            logins.push(asked(&server, &format!("ann{round}x{n}")).await);
        }
        // All phones answer at once; the server dies somewhere in between.
        for login in &mut logins {
            login.phone.socket.expect("ask_mobile_connection").await;
            let answer = login.phone.answer_frame(&login.hello["uuid"], true);
            login.phone.socket.send(&answer).await;
        }
        let first = logins[0].phone.socket.receive().await;
        assert_eq!(first["message"], "Message sent");
        server.kill().await;

        let server = house.open().await;
        for (n, login) in logins.iter_mut().enumerate() {
            let acknowledged = n == 0
                || login.phone.socket.next_text().await.is_some_and(|f| f["message"] == "Message sent");
            let mut browser = resumed(&server, &login.hello).await;
            if acknowledged {
                let code = browser.expect_code().await;
                login.person.at(&server).exchange(&code).await.token();
            }
        }
        server.kill().await;
    }
}

#[tokio::test]
async fn sigterm_drains_and_the_browser_comes_back() {
    let house = House::new(&[]).await;
    let server = house.open().await;
    let mut login = asked(&server, "ann").await;
    server.signal("TERM").await;
    login.browser.expect_close(1001).await;
    login.phone.socket.expect("ask_mobile_connection").await;
    login.phone.socket.expect_close(1001).await;
    assert_eq!(server.wait().await, Some(0));

    let server = house.open().await;
    let mut browser = resumed(&server, &login.hello).await;
    login.phone.reconnect(&server).await;
    login.phone.answer(&login.hello["uuid"], true).await;
    browser.expect_code().await;
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_end() {
    // One hash takes long enough to be overtaken by the signal.
    let house = House::new(&[("PASSWORD__MEMORY_KIB", "262144"), ("PASSWORD__ITERATIONS", "3")]).await;
    let server = house.open().await;
    let http = server.http.clone();
    let body = json!({"email": "ann@example.org", "password": "correct horse battery"});
    let request = tokio::spawn(async move { http.post("/auth/p/register", &body).await });
    // The server has the request once a second one, sent after it, is answered.
    server.http.get("/healthz").await.expect(200);
    server.http.get("/healthz").await.expect(200);
    server.signal("TERM").await;
    request.await.unwrap().token();
    assert_eq!(server.wait().await, Some(0));
}

#[tokio::test]
async fn a_pairing_that_nobody_asked_survives_a_restart_without_a_row() {
    let house = House::new(&[]).await;
    let server = house.open().await;
    let hello = server.socket().await.ready_login().await;
    server.kill().await;

    let server = house.open().await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    let mut phone = ann.bind_phone(&server).await;
    let mut browser = resumed(&server, &hello).await;
    let reply = browser.call(&ann.ask_frame(&hello["uuid"])).await;
    assert_eq!(reply["message"], "Message sent");
    phone.answer(&hello["uuid"], true).await;
    let code = browser.expect_code().await;
    ann.exchange(&code).await.token();
}

#[tokio::test]
async fn what_an_operator_does_reaches_the_running_server() {
    let house = House::new(&[]).await;
    let server = house.open().await;
    let mut login = asked(&server, "ann").await;
    login.phone.answer(&login.hello["uuid"], true).await;
    let code = login.browser.expect_code().await;

    house.command(&["account", "disable", "--kind", "p", "--email", "ann@example.org"], "").await;
    assert_eq!(login.person.exchange(&code).await.refusal(403), "Not authorized, this account is disable");
    login.phone.socket.expect_close(4003).await;
    server.http.get_as(&login.phone.token, "/dashboard/2fa").await.expect(401);

    house.command(&["account", "enable", "--kind", "p", "--email", "ann@example.org"], "").await;
    assert_eq!(
        login.person.exchange(&code).await.refusal(400),
        "invalid 2FA token",
        "a dead code came back to life"
    );
}

#[tokio::test]
async fn a_device_revoked_by_an_operator_drops_at_once() {
    let house = House::new(&[]).await;
    let server = house.open().await;
    let mut login = asked(&server, "ann").await;
    login.phone.socket.expect("ask_mobile_connection").await;
    house.command(&["device", "revoke", &login.phone.device], "").await;
    login.phone.socket.expect_close(4003).await;
}

#[tokio::test]
async fn keys_rotate_while_the_server_runs() {
    let house = House::new(&[("JWT__JWKS_MAX_AGE", "1s")]).await;
    let server = house.open().await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    let kids = async || -> Vec<String> {
        let keys = server.http.get("/.well-known/jwks.json").await.expect(200).json();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let old = kids().await;
    assert_eq!(old.len(), 1);
    house.command(&["keys", "rotate"], "").await;
    let both = loop {
        let now = kids().await;
        if now.len() == 2 {
            break now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let fresh = both.iter().find(|kid| **kid != old[0]).unwrap();
    let token = loop {
        let token = ann.post("login", &json!({})).await.token();
        if kid_of(&token) == *fresh {
            break token;
        }
        assert_eq!(kid_of(&token), old[0]);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    server.http.get_as(&token, "/dashboard/2fa").await.expect(200);
    server.http.get_as(&ann.token, "/dashboard/2fa").await.expect(200);
}

fn kid_of(token: &str) -> String {
    use base64::Engine as _;
    let head =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
}
