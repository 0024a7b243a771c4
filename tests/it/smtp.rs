//! Mail over SMTP: encrypted or not at all, never lost, never twice, and no burden for those who log in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::smtp::{Encrypts, Mood, Smtp};
use crate::harness::{
    PASSWORD, Person, Place as _, Process, Server, all_settings, execute, store_url, text_pairs,
};
use crate::tls::Certificate;

/// A server that hands mail to this port of this machine.
async fn with_mail(port: u16, more: &[(&str, &str)]) -> Server {
    let url = format!("smtp://127.0.0.1:{port}?tls=none");
    Server::start(&[&[("MAIL__SMTP_URL", url.as_str())], more].concat()).await
}

/// Asks for a login code for somebody who has an account.
async fn ask(server: &Server, name: &str) {
    let email = format!("{name}@example.org");
    server.http.post("/auth/sending_email", &json!({"email": email})).await.expect(200);
}

async fn waiting(server: &Server) -> usize {
    text_pairs(server, "SELECT recipient, subject FROM outbox").await.len()
}

/// Waits until nothing waits for delivery any more.
async fn until_empty(server: &Server) {
    let emptied = async {
        while waiting(server).await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, emptied).await.expect("the outbox is emptied");
}

#[tokio::test]
async fn a_mail_has_two_forms_of_one_text() {
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let server = with_mail(smtp.port, &[("MAIL__FROM", "Desk <desk@example.org>")]).await;
    server.person("ann").await;
    ask(&server, "ann").await;
    let mail = smtp.await_mails(1).await.remove(0);
    assert_eq!((mail.to.as_str(), mail.login, mail.encrypted), ("ann@example.org", None, false));
    for part in [
        "From: Desk <desk@example.org>",
        "To: ann@example.org",
        "Subject: Your login code",
        "multipart/alternative",
        "text/plain; charset=utf-8",
        "text/html; charset=utf-8",
        "Message-ID: <",
    ] {
        assert!(mail.data.contains(part), "{part} is missing in {}", mail.data);
    }
    let runs = |text: &str| text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() >= 6).count();
    assert_eq!(runs(&mail.data), 2, "the code, once in each form: {}", mail.data);
}

#[tokio::test]
async fn it_is_handed_over_encrypted_by_name_and_password() {
    let certificate = Certificate::new();
    let authority = certificate.file("cert.pem");
    for (encrypts, scheme) in [(Encrypts::OnDemand, "smtp"), (Encrypts::Always, "smtps")] {
        let smtp = Smtp::start(encrypts, Some(certificate.path()), 0).await;
        let url = format!("{scheme}://ann%40example.org:p%3Ass%2Fword@127.0.0.1:{}", smtp.port);
        let server = Server::start(&[("MAIL__SMTP_URL", &url), ("MAIL__SMTP_CA", &authority)]).await;
        server.person("ann").await;
        ask(&server, "ann").await;
        let mail = smtp.await_mails(1).await.remove(0);
        assert!(mail.encrypted, "{scheme}");
        assert_eq!(mail.login, Some(("ann@example.org".to_owned(), "p:ss/word".to_owned())), "{scheme}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_encrypt_gets_neither_a_password_nor_a_mail() {
    let certificate = Certificate::new();
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let url = format!("smtp://ann:secret-of-ann@127.0.0.1:{}", smtp.port);
    let server =
        Server::start(&[("MAIL__SMTP_URL", &url), ("MAIL__SMTP_CA", &certificate.file("cert.pem"))]).await;
    server.person("ann").await;
    ask(&server, "ann").await;
    smtp.await_lines("EHLO", 1).await;
    // A second round comes as far as the first.
    server.clock.advance(Duration::from_secs(6));
    smtp.await_lines("EHLO", 2).await;
    let heard = smtp.heard();
    assert!(heard.iter().all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")), "{heard:?}");
    assert_eq!(waiting(&server).await, 1);
}

#[tokio::test]
async fn a_stranger_s_certificate_is_not_believed() {
    let (own, other) = (Certificate::new(), Certificate::new());
    let smtp = Smtp::start(Encrypts::OnDemand, Some(own.path()), 0).await;
    let url = format!("smtp://ann:secret-of-ann@127.0.0.1:{}", smtp.port);
    let server = Server::start(&[("MAIL__SMTP_URL", &url), ("MAIL__SMTP_CA", &other.file("cert.pem"))]).await;
    server.person("ann").await;
    ask(&server, "ann").await;
    smtp.await_lines("STARTTLS", 1).await;
    server.clock.advance(Duration::from_secs(6));
    smtp.await_lines("STARTTLS", 2).await;
    assert!(smtp.heard().iter().all(|line| !line.starts_with("AUTH")), "{:?}", smtp.heard());
    assert_eq!(smtp.taken(), []);
}

#[tokio::test]
async fn a_mail_outlives_both_servers_and_comes_once() {
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let port = smtp.port;
    let mut server = with_mail(port, &[]).await;
    let ann = server.person("ann").await;
    drop(smtp);
    let change = json!({"password": PASSWORD, "new_password": "another horse entirely"});
    server.http.post_as(&ann.token, "/dashboard/password", &change).await.expect(200);
    server.restart().await;
    assert_eq!(waiting(&server).await, 1);
    let smtp = Smtp::start(Encrypts::Never, None, port).await;
    server.clock.advance(Duration::from_secs(60));
    let mail = smtp.await_mails(1).await.remove(0);
    assert!(mail.data.contains("Subject: Your password was changed"), "{}", mail.data);
    until_empty(&server).await;
    server.clock.advance(Duration::from_secs(3600));
    ask(&server, "ann").await;
    let all = smtp.await_mails(2).await;
    assert!(all[1].data.contains("Subject: Your login code"), "the first came twice: {all:?}");
}

#[tokio::test]
async fn what_is_refused_for_now_is_tried_again_under_the_same_name() {
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let server = with_mail(smtp.port, &[]).await;
    server.person("ann").await;
    smtp.is(Mood::Refuses(451));
    ask(&server, "ann").await;
    smtp.await_lines("RCPT", 1).await;
    smtp.is(Mood::Takes);
    server.clock.advance(Duration::from_secs(6));
    let mail = smtp.await_mails(1).await.remove(0);
    assert!(mail.data.contains("Message-ID: <"));
    until_empty(&server).await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up() {
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let server = with_mail(smtp.port, &[]).await;
    server.person("ann").await;
    smtp.is(Mood::Refuses(550));
    ask(&server, "ann").await;
    smtp.await_lines("RCPT", 1).await;
    until_empty(&server).await;
    assert_eq!(smtp.taken(), []);
}

#[tokio::test]
async fn an_expired_code_is_not_sent_and_old_news_is() {
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let port = smtp.port;
    let server = with_mail(port, &[]).await;
    let ann = server.person("ann").await;
    drop(smtp);
    ask(&server, "ann").await;
    let change = json!({"password": PASSWORD, "new_password": "another horse entirely"});
    server.http.post_as(&ann.token, "/dashboard/password", &change).await.expect(200);
    server.clock.advance(Duration::from_secs(601));
    let smtp = Smtp::start(Encrypts::Never, None, port).await;
    server.clock.advance(Duration::from_secs(600));
    let mails = smtp.await_mails(1).await;
    until_empty(&server).await;
    assert!(mails[0].data.contains("Subject: Your password was changed"));
    assert_eq!(smtp.taken().len(), 1, "an expired code was sent");
}

#[tokio::test]
async fn a_mail_server_that_hangs_holds_up_nobody() {
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let server = with_mail(smtp.port, &[("MAIL__TIMEOUT", "1s")]).await;
    let ann = server.person("ann").await;
    server.person("bob").await;
    smtp.is(Mood::Hangs);
    ask(&server, "ann").await;
    smtp.await_lines("RCPT", 1).await;
    ann.post("login", &json!({})).await.token();
    smtp.is(Mood::Takes);
    ask(&server, "bob").await;
    server.clock.advance(Duration::from_secs(6));
    let mut to: Vec<String> = smtp.await_mails(2).await.into_iter().map(|mail| mail.to).collect();
    to.sort();
    assert_eq!(to, ["ann@example.org", "bob@example.org"]);
}

#[tokio::test]
async fn nothing_that_a_client_says_becomes_a_header() {
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let server = with_mail(smtp.port, &[]).await;
    let ann = server.person("ann").await;
    let login = json!({"name_device": "Pixel\r\nBcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<x>"});
    let token = ann.post("login", &login).await.token();
    let device = crate::harness::current_device(&server.http, &token).await;
    let bind = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
    server.http.post_as(&token, "/2fa/method/mobile", &bind).await.expect(200);
    let injected = json!({"email": "ann@example.org\r\nBcc: eve@example.org"});
    server.http.post("/auth/sending_email", &injected).await.expect(400);
    let mail = smtp.await_mails(1).await.remove(0);
    until_empty(&server).await;
    assert_eq!(smtp.taken().len(), 1);
    let head = mail.data.split("\r\n\r\n").next().unwrap();
    assert!(!head.contains("Bcc"), "{head}");
}

#[tokio::test]
async fn while_too_many_mails_wait_no_code_is_promised_to_anybody() {
    let smtp = Smtp::start(Encrypts::Never, None, 0).await;
    let port = smtp.port;
    drop(smtp);
    let server = with_mail(port, &[]).await;
    let ann = server.person("ann").await;
    let row = "INSERT INTO outbox (recipient, subject, body, created_at, due_at, attempts) \
               SELECT 'x@example.org', 'x', 'x', 0, 9000000000000000, n FROM \
               (WITH RECURSIVE some(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM some WHERE n < 10001) SELECT n FROM some) AS many";
    execute(server.settings(), row.to_owned()).await;
    let mut answers: Vec<(u16, Value, String)> = Vec::new();
    for email in ["ann@example.org", "nobody@example.org"] {
        let busy = server.http.post("/auth/sending_email", &json!({"email": email})).await;
        answers.push((busy.status, busy.json(), busy.header("retry-after").to_owned()));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, 503);
    assert!(!answers[0].2.is_empty());
    ann.post("login", &json!({})).await.token();
}

#[tokio::test]
async fn the_mail_server_s_password_is_in_no_log() {
    let certificate = Certificate::new();
    let smtp = Smtp::start(Encrypts::OnDemand, Some(certificate.path()), 0).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("smtp://relay-user:relay-secret@127.0.0.1:{}", smtp.port);
    let store = store_url(folder.path()).await;
    let settings = [
        ("MAIL__SMTP_URL", url.as_str()),
        ("MAIL__SMTP_CA", &certificate.file("cert.pem")),
        ("LOG__LEVEL", "trace"),
    ];
    let settings = all_settings(&settings, &store, folder.path());
    let log = folder.path().join("log");
    let process = Process::start_logging(&["serve"], &settings, folder.path(), &log).await;
    Person::register(process.http(), "p", "ann@example.org").await;
    let asked = json!({"email": "ann@example.org"});
    process.http().post("/auth/sending_email", &asked).await.expect(200);
    let mail = smtp.await_mails(1).await.remove(0);
    let code = mail.data.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6).unwrap().to_owned();
    process.signal("TERM").await;
    process.wait().await;
    let text = std::fs::read_to_string(&log).unwrap();
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode("\0relay-user\0relay-secret");
    for secret in ["relay-secret", &code, &encoded] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}
