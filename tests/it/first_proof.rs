//! The first proof of an address that somebody registered: beside the password it ends nothing, without it everything that
//! was bound to the account before. Accounts that an operator made are vouched for.

use serde_json::{Value, json};

use crate::device_login::added;
use crate::harness::{
    Answer, Browser, NatsServer, PASSWORD, Person, Phone, Server, Socket, claims, letters_to, mailed_code,
    refused, text_pairs,
};

const ANN: &str = "ann@example.org";
const NEW: &str = "another horse entirely";

/// Everything that a stranger can bind to an account whose address is not theirs.
struct Stranger {
    person: Person,
    phone: Phone,
    laptop: String,
    refresh: String,
    cookies: Browser,
    under_way: Browser,
    ticket: String,
    waiting: Socket,
}

impl Stranger {
    async fn who_registered(server: &Server) -> Self {
        let (person, mut phone) = server.person_with_phone("ann").await;
        person.turn_mail_on(server, &phone.token).await;
        person.bind_app(server, &phone.token).await;
        let laptop = person.laptop(&phone.backup_codes[0]).await;
        let trusting = json!({"identifier": ANN, "password": PASSWORD, "otp": phone.backup_codes[1],
            "device_fingerprint": "HJJKJ6-BKJLOI-12"});
        let paired = server.http.post("/api/v1/auth/2fa/verify", &trusting).await.expect(200).json();
        let mut cookies = Browser::second_step(server, "ann").await;
        let code = json!({"code": phone.backup_codes[2], "trustDevice": true});
        cookies.post("/two-factor/verify-backup-code", &code).await.expect(200);
        let under_way = Browser::second_step(server, "ann").await;
        let ticket = phone.approved_code(server, &person).await;
        let (waiting, _) = person.asking_browser(server).await;
        phone.socket.expect("ask_mobile_connection").await;
        let refresh = paired["refresh_token"].as_str().unwrap().to_owned();
        Self { person, phone, laptop, refresh, cookies, under_way, ticket, waiting }
    }

    /// Nothing of it opens the account, neither with the old password nor with the one that it has now.
    async fn has_nothing_left(mut self, server: &Server, password: &str) {
        self.phone.socket.expect_end().await;
        self.waiting.expect_end().await;
        for token in [&self.person.token, &self.phone.token, &self.laptop] {
            server.http.get_as(token, "/dashboard/devices").await.expect(401);
        }
        let mut again = server.socket().await;
        let ready = json!({"action": "ready", "authToken": self.phone.token});
        assert_eq!(again.refused(&ready).await, "not_authenticated");
        server.http.post("/api/v1/auth/refresh", &json!({"refresh_token": self.refresh})).await.expect(401);
        assert_eq!(self.cookies.session().await, Value::Null);
        let code = json!({"code": self.phone.backup_codes[3]});
        let over = self.under_way.post("/two-factor/verify-backup-code", &code).await;
        assert_eq!(refused(over, 401), "INVALID_TWO_FACTOR_COOKIE");
        self.person.post("login", &json!({})).await.expect(401);
        for route in ["mobile_2fa", "third_party_2fa", "email_2fa"] {
            let body = json!({"password": password, "token_2fa": self.ticket});
            assert_ne!(self.person.post(route, &body).await.status, 200, "{route}");
        }
        let body = json!({"password": password, "backup_code": self.phone.backup_codes[4]});
        assert_ne!(self.person.post("backup_code_2fa", &body).await.status, 200);
        let kept = "SELECT 'factor', method FROM factors UNION ALL SELECT 'code', '' FROM backup_codes \
                    UNION ALL SELECT 'app', '' FROM totp_secrets UNION ALL SELECT 'trust', name FROM trusts \
                    UNION ALL SELECT 'sign-in', '' FROM challenges";
        assert_eq!(text_pairs(server, kept).await, []);
    }
}

async fn recover(server: &Server) -> Answer {
    let proof = server.mail_proof(ANN).await;
    server.http.mail_auth("recover-password", &proof, &json!({"password": NEW})).await
}

async fn subjects(server: &Server) -> Vec<String> {
    letters_to(server, ANN).await.into_iter().map(|letter| letter.subject).collect()
}

#[tokio::test]
async fn a_stranger_who_registered_first_keeps_nothing_after_the_owner_recovers_the_password() {
    let server = Server::start(&[]).await;
    let stranger = Stranger::who_registered(&server).await;
    recover(&server).await.expect(200);
    stranger.has_nothing_left(&server, NEW).await;
    let owner = Person::known(&server.http, "p", ANN);
    owner.post("login", &json!({"password": NEW})).await.token();
    assert!(subjects(&server).await.contains(&"What was bound to your account has ended".to_owned()));
}

#[tokio::test]
async fn a_stranger_who_registered_first_keeps_nothing_after_the_owner_signs_in_by_words() {
    let server = Server::start(&[]).await;
    let stranger = Stranger::who_registered(&server).await;
    // No second step: the factors are the stranger's.
    let proof = server.mail_proof(ANN).await;
    let token = server.http.mail_auth("sign-in", &proof, &json!({})).await.token();
    assert_eq!(claims(&token)["acr"], "urn:readylogin:acr:mail");
    stranger.has_nothing_left(&server, PASSWORD).await;
    let devices = server.http.get_as(&token, "/dashboard/devices").await.expect(200).json();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1, "{devices}");
    // The next proof is not the first: it ends nothing.
    recover(&server).await.expect(200);
    let phone = Person::known(&server.http, "p", ANN);
    let first = phone.post("login", &json!({"password": NEW, "name_device": "Pixel"})).await.token();
    phone.bind_with(&server, first.clone()).await;
    let proof = server.mail_proof(ANN).await;
    server.http.mail_auth("sign-in", &proof, &json!({})).await.expect(202);
    server.http.get_as(&first, "/dashboard/devices").await.expect(200);
}

#[tokio::test]
async fn a_block_that_a_stranger_caused_ends_with_the_first_proof() {
    let server = Server::start(&[]).await;
    let (person, _phone) = server.person_with_phone("ann").await;
    for _ in 0..10 {
        person.post("backup_code_2fa", &json!({"backup_code": "abcdefgh"})).await.expect(400);
    }
    person.post("backup_code_2fa", &json!({"backup_code": "abcdefgh"})).await.expect(423);
    let proof = server.mail_proof(ANN).await;
    server.http.mail_auth("sign-in", &proof, &json!({})).await.token();
    let blocks = "SELECT CAST(blocked_until AS TEXT), '' FROM accounts WHERE blocked_until IS NOT NULL";
    assert_eq!(text_pairs(&server, blocks).await, []);
}

#[tokio::test]
async fn sockets_of_a_stranger_s_phone_drop_at_once_on_every_node() {
    let nats = NatsServer::start().await;
    let url = nats.url();
    let server = Server::start(&[("BUS__URL", &url), ("SERVER__PUBLIC_URL", "http://localhost:1")]).await;
    let twin = server.twin().await;
    nats.until_heard(2, 0).await;
    for (name, route) in [("ann", "sign-in"), ("ben", "recover-password")] {
        let person = server.person(name).await;
        let mut phone = person.bind_phone(&twin).await;
        nats.until_heard(2, 1).await;
        let proof = server.mail_proof(&person.email).await;
        let more = if route == "sign-in" { json!({}) } else { json!({"password": NEW}) };
        server.http.mail_auth(route, &proof, &more).await.expect(200);
        phone.socket.expect_end().await;
        nats.until_heard(2, 0).await;
    }
}

/// The words of the letter that lists what is bound.
async fn list_of_bound(server: &Server) -> String {
    let letters = letters_to(server, ANN).await;
    let lists: Vec<_> = letters.iter().filter(|l| l.subject == "Your address is confirmed").collect();
    assert_eq!(lists.len(), 1, "one letter lists what is bound");
    lists[0].text.clone()
}

#[tokio::test]
async fn beside_the_password_the_first_proof_ends_nothing_and_a_letter_lists_what_is_bound() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let laptop = ann.laptop(&phone.backup_codes[0]).await;
    let proof = server.mail_proof(ANN).await;
    let password = json!({"password": PASSWORD});
    // Its second step carries no password any more, and goes on for the account whose password was proven.
    let waits = server.http.mail_auth("sign-in", &proof, &password).await.expect(202);
    let code = json!({"otp": phone.backup_codes[1]});
    server.http.mail_auth("sign-in", &waits.mail_token("mailAuthToken"), &code).await.token();
    for token in [&phone.token, &laptop] {
        server.http.get_as(token, "/dashboard/devices").await.expect(200);
    }
    phone.approved_code(&server, &ann).await;
    let list = list_of_bound(&server).await;
    for line in ["Phones that may approve: \"Pixel\"", "Second factors: approval by phone, backup codes"] {
        assert!(list.contains(line), "{line} is missing in {list}");
    }
    assert!(list.lines().any(|line| line.starts_with("Logged in:") && line.contains("\"Laptop\"")), "{list}");
}

#[tokio::test]
async fn a_mailed_code_beside_the_password_or_in_its_session_ends_nothing() {
    for in_session in [false, true] {
        let server = Server::start(&[]).await;
        let ann = server.person("ann").await;
        let enable = json!({"password": PASSWORD, "method": "otp"});
        let mut browser = Browser::new(&server);
        browser.sign_in("ann").await.expect(200);
        browser.post("/two-factor/enable", &enable).await.expect(200);
        if in_session {
            browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
            let code = mailed_code(&server, ANN).await;
            browser.post("/two-factor/verify-otp", &json!({"code": code})).await.expect(200);
        } else {
            let code = ann.login_code(&server).await;
            ann.post("email_2fa", &json!({"token_2fa": code})).await.token();
        }
        assert_ne!(browser.session().await, Value::Null);
        ann.post("login", &json!({})).await.expect(200);
        assert!(list_of_bound(&server).await.contains("Second factors: codes by mail"), "{in_session}");
    }
}

#[tokio::test]
async fn an_account_that_an_operator_made_keeps_its_factors() {
    let server = Server::start(&[]).await;
    added(&server, "p", ANN, &[]).await;
    let ann = Person::known(&server.http, "p", ANN);
    let phone = ann.bind_phone(&server).await;
    let proof = server.mail_proof(ANN).await;
    server.http.mail_auth("sign-in", &proof, &json!({})).await.expect(202);
    recover(&server).await.expect(200);
    server.http.get_as(&phone.token, "/dashboard/devices").await.expect(200);
    let asked = ann.post("login", &json!({"password": NEW})).await.expect(200).json();
    assert_eq!(asked["Methods"], json!(["MOBILE"]));
    assert!(!subjects(&server).await.contains(&"What was bound to your account has ended".to_owned()));
}

#[tokio::test]
async fn a_wrong_password_beside_the_words_ends_nothing() {
    let server = Server::start(&[]).await;
    let (_, phone) = server.person_with_phone("ann").await;
    let proof = server.mail_proof(ANN).await;
    server.http.mail_auth("sign-in", &proof, &json!({"password": "wrong password"})).await.expect(403);
    server.http.get_as(&phone.token, "/dashboard/devices").await.expect(200);
}

#[tokio::test]
async fn what_a_stranger_binds_while_the_owner_proves_the_address_is_gone_or_never_was() {
    let server = Server::start(&[("PASSWORD__QUEUE", "1000")]).await;
    let twin = server.twin().await;
    for round in 0..10 {
        let name = format!("ann{round}");
        let stranger = server.person(&name).await;
        let proof = server.mail_proof(&stranger.email).await;
        let device = crate::harness::current_device(&server.http, &stranger.token).await;
        let bind = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
        let login = json!({"name_device": "Other"});
        let (at_twin, words) = (stranger.at(&twin), json!({}));
        let (owner, _, login) = tokio::join!(
            server.http.mail_auth("sign-in", &proof, &words),
            twin.http.post_as(&stranger.token, "/2fa/method/mobile", &bind),
            at_twin.post("login", &login),
        );
        let token = owner.token();
        if login.status == 200 && login.json()["token"].is_string() {
            server.http.get_as(&login.token(), "/dashboard/devices").await.expect(401);
        }
        server.http.get_as(&stranger.token, "/dashboard/devices").await.expect(401);
        let on = server.http.get_as(&token, "/dashboard/2fa").await.expect(200).json();
        assert_eq!(on["double_auth"]["methods"], json!([]), "{on}");
    }
}
