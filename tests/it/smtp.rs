//! Mail by SMTP: protected as the settings demand, never lost, never sent to the wrong server, never in the way.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Certificate, Entrance, MailServer, Manner, Process, Server, all_settings, change_store, eventually,
    execute, run, store_url,
};

const ANN: &str = "ann@example.org";

/// A server that sends by this mail server; `more` settings.
async fn sending(mail: &MailServer, more: &[(&str, &str)]) -> Server {
    let (url, issuer) = (mail.url(), mail.issuer());
    let settings = [&[("MAIL__SMTP_URL", url.as_str()), ("MAIL__SMTP_CA", &issuer)], more].concat();
    Server::start(&settings).await
}

/// Somebody tries to register with an address that has an account: a letter to its owner, as if the last one were long ago.
async fn provoke(server: &Server, email: &str) {
    change_store(server, "DELETE FROM notice_runs").await;
    let body = json!({"email": email, "password": "another horse entirely", "name": "Eve"});
    server.http.post("/auth/p/register", &body).await.expect(400);
}

#[tokio::test]
async fn a_letter_comes_in_two_forms() {
    let mail = MailServer::start(Entrance::Open).await;
    let server = sending(&mail, &[("MAIL__FROM", "Empfang Zürich <desk@example.org>")]).await;
    server.proven_person("ann").await;
    provoke(&server, ANN).await;
    let letter = mail.await_mail(ANN, 1).await;
    assert_eq!(letter.subject, "Somebody tried to register with your address");
    assert!(letter.text.contains("From: 127.0.0.1\n"), "{}", letter.text);
    assert!(
        letter.html.contains("<html lang=\"en\">") && letter.html.contains("From: 127.0.0.1"),
        "{}",
        letter.html
    );
    assert!(letter.header("Message-ID").unwrap().ends_with("@example.org>"));
    assert_eq!(letter.header("Auto-Submitted").unwrap(), "auto-generated");
    assert!(letter.raw.is_ascii(), "{}", letter.raw);
    for line in ["EHLO example.org", "MAIL FROM:<desk@example.org>", "RCPT TO:<ann@example.org>"] {
        mail.await_heard(line, 1).await;
    }
    assert!(mail.heard().iter().all(|(_, line)| !line.starts_with("AUTH")), "no login was asked for");
}

#[tokio::test]
async fn login_and_letters_wait_for_tls() {
    for entrance in [Entrance::StartTls("PLAIN"), Entrance::StartTls("LOGIN"), Entrance::Tls] {
        let mail = MailServer::start(entrance).await;
        let server = sending(&mail, &[]).await;
        server.proven_person("ann").await;
        for nth in 1..=3 {
            provoke(&server, ANN).await;
            mail.await_mail(ANN, nth).await;
            // The server's answer has to be back before the connection is free again.
            mail.await_heard("DATA", nth).await;
        }
        let in_clear: Vec<String> =
            mail.heard().into_iter().filter(|(is_hidden, _)| !is_hidden).map(|(_, line)| line).collect();
        let allowed = |line: &String| line.starts_with("EHLO") || line == "STARTTLS";
        assert!(in_clear.iter().all(allowed), "{entrance:?}: {in_clear:?}");
        assert!(mail.connections() < 3, "{entrance:?}: connections are used again");
    }
}

#[tokio::test]
async fn a_server_without_starttls_is_told_nothing() {
    let mail = MailServer::start(Entrance::Open).await;
    let server = Server::start(&[("MAIL__SMTP_URL", &mail.url_with_starttls())]).await;
    server.proven_person("ann").await;
    provoke(&server, ANN).await;
    mail.await_over(1).await;
    server.clock.advance(Duration::from_secs(30));
    mail.await_over(2).await;
    let heard = mail.heard();
    assert!(heard.iter().all(|(_, line)| line.starts_with("EHLO") || line == "QUIT"), "{heard:?}");
}

#[tokio::test]
async fn a_server_with_a_stranger_s_certificate_is_told_nothing() {
    let other = Certificate::new();
    for entrance in [Entrance::StartTls("PLAIN"), Entrance::Tls] {
        // Another issuer; and the public ones, which know nothing of this one either.
        for issuer in [other.file("cert.pem"), String::new()] {
            let mail = MailServer::start(entrance).await;
            let server = Server::start(&[("MAIL__SMTP_URL", &mail.url()), ("MAIL__SMTP_CA", &issuer)]).await;
            server.proven_person("ann").await;
            provoke(&server, ANN).await;
            mail.await_over(1).await;
            let heard = mail.heard();
            assert!(
                heard.iter().all(|(is_hidden, line)| !is_hidden
                    && !line.starts_with("AUTH")
                    && !line.starts_with("MAIL")),
                "{heard:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_letter_outlives_its_mail_server_and_this_one_and_comes_once() {
    let mail = MailServer::start(Entrance::Open).await;
    mail.behave(Manner::HangUp);
    let mut server = sending(&mail, &[]).await;
    server.proven_person("ann").await;
    server.proven_person("ben").await;
    provoke(&server, ANN).await;
    mail.await_over(1).await;
    server.restart().await;
    mail.behave(Manner::Take);
    server.clock.advance(Duration::from_secs(60));
    mail.await_mail(ANN, 1).await;
    // Whatever would come a second time has come before this.
    server.clock.advance(Duration::from_secs(3600));
    provoke(&server, "ben@example.org").await;
    mail.await_mail("ben@example.org", 1).await;
    assert_eq!(mail.mails().len(), 2);
}

#[tokio::test]
async fn not_now_is_tried_again_later_each_time() {
    let mail = MailServer::start(Entrance::Open).await;
    mail.behave(Manner::Answer("451 4.7.1 not now"));
    let server = sending(&mail, &[]).await;
    server.proven_person("ann").await;
    provoke(&server, ANN).await;
    mail.await_heard("RCPT", 1).await;
    mail.await_over(1).await;
    for attempt in 2..=4 {
        // 5, 10, 20 seconds, and the courier's round.
        server.clock.advance(Duration::from_secs(5 << (attempt - 2)));
        retry_until(&server, || mail.connections() >= attempt).await;
    }
    mail.behave(Manner::Take);
    server.clock.advance(Duration::from_secs(40));
    retry_until(&server, || !mail.mails().is_empty()).await;
    assert_eq!(mail.mails().len(), 1);
}

/// Moves the clock by a little while something does not happen yet: the courier may have looked just before.
async fn retry_until(server: &Server, mut is_so: impl FnMut() -> bool) {
    eventually("the next attempt", || {
        server.clock.advance(Duration::from_millis(100));
        is_so().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_mail_whose_reply_was_lost_is_recognised_when_it_comes_again() {
    let mail = MailServer::start(Entrance::Open).await;
    mail.behave(Manner::LoseReply);
    let server = sending(&mail, &[]).await;
    server.proven_person("ann").await;
    provoke(&server, ANN).await;
    let first = mail.await_mail(ANN, 1).await;
    mail.behave(Manner::Take);
    server.clock.advance(Duration::from_secs(60));
    retry_until(&server, || mail.mails().len() > 1).await;
    let second = mail.await_mail(ANN, 2).await;
    for name in ["Message-ID", "Date", "Subject"] {
        assert_eq!(first.header(name), second.header(name));
    }
    assert_eq!((first.text, first.html), (second.text, second.html));
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_nobody_else() {
    let mail = MailServer::start(Entrance::Open).await;
    mail.behave(Manner::HangFor(ANN));
    let server = sending(&mail, &[("MAIL__TIMEOUT", "10s")]).await;
    let ann = server.proven_person("ann").await;
    server.proven_person("ben").await;
    for nth in 1..=3 {
        provoke(&server, ANN).await;
        mail.await_heard("RCPT TO:<ann@example.org>", nth).await;
        provoke(&server, "ben@example.org").await;
        mail.await_mail("ben@example.org", nth).await;
        ann.post("login", &json!({})).await.expect(200);
    }
    // All lanes: letters wait, logins do not.
    provoke(&server, ANN).await;
    mail.await_heard("RCPT TO:<ann@example.org>", 4).await;
    provoke(&server, "ben@example.org").await;
    ann.post("login", &json!({})).await.expect(200);
    assert_eq!(mail.mails().len(), 3);
    // Each delivery ends with mail.timeout, and the rest goes on.
    server.clock.advance(Duration::from_secs(10));
    mail.await_mail("ben@example.org", 4).await;
    mail.behave(Manner::Take);
    server.clock.advance(Duration::from_secs(60));
    retry_until(&server, || mail.mails().len() == 8).await;
}

#[tokio::test]
async fn no_field_of_a_client_becomes_a_header_or_a_recipient() {
    let mail = MailServer::start(Entrance::Open).await;
    let server = sending(&mail, &[]).await;
    let ann = server.proven_person("ann").await;
    let evil = "Pixel\r\nBcc: eve@example.org\r\n\r\n.\r\n482913\r\nRCPT TO:<eve@example.org>";
    let token = ann.post("login", &json!({"name_device": evil})).await.token();
    let phone = ann.bind_with(&server, token).await;
    let change = json!({"password": "correct horse battery", "new_password": "another horse entirely"});
    server.http.post_as(&phone.token, "/dashboard/password", &change).await.expect(200);
    mail.await_mail(ANN, 2).await;
    // Two lanes: either may come first.
    let letter = mail.mails().into_iter().find(|letter| letter.subject.starts_with("A phone may")).unwrap();
    assert!(letter.text.contains("Pixel") && letter.header("Bcc").is_none(), "{}", letter.raw);
    assert!(!letter.text.contains("482913") && !letter.html.contains("482913"), "{}", letter.raw);
    let heard = mail.heard();
    assert!(heard.iter().all(|(_, line)| !line.contains("eve@")), "{heard:?}");
    for address in ["ann@example.org\r\nBcc: eve@example.org", "ann@example.org>\r\nDATA"] {
        let body = json!({"email": address, "password": "another horse entirely", "name": "a\r\nBcc: eve@example.org"});
        server.http.post("/auth/p/register", &body).await.expect(400);
    }
}

#[tokio::test]
async fn a_refused_mail_is_reported_and_the_log_keeps_every_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mail = MailServer::start(Entrance::StartTls("PLAIN")).await;
    mail.behave(Manner::Answer("550 5.1.1 <ann@example.org>: no such user"));
    let store = store_url(folder.path()).await;
    let (url, issuer, log) = (mail.url(), mail.issuer(), folder.path().join("log"));
    let mine = [
        ("MAIL__SMTP_URL", url.as_str()),
        ("MAIL__SMTP_CA", &issuer),
        ("MAIL__GIVE_UP", "5m"),
        ("LOG__LEVEL", "trace"),
    ];
    let settings = all_settings(&mine, &store, folder.path());
    let process = Process::start_logging(&["serve"], &settings, folder.path(), &log).await;
    let body = |email: &str| json!({"email": email, "password": "another horse entirely", "name": "Eve"});
    process.http.post("/auth/p/register", &body(ANN)).await.expect(200);
    process.http.post("/auth/p/register", &body("ben@example.org")).await.expect(200);
    execute(&settings, "UPDATE accounts SET verified = 1".to_owned()).await;
    process.http.post("/auth/p/register", &body(ANN)).await.expect(400);
    let read = || std::fs::read_to_string(&log).unwrap();
    eventually("the report", || read().contains("a mail is given up").then_some(())).await;
    mail.behave(Manner::Take);
    process.http.post("/auth/p/register", &body("ben@example.org")).await.expect(400);
    mail.await_mail("ben@example.org", 1).await;
    process.kill().await;
    let log = read();
    let report = log.lines().find(|line| line.contains("a mail is given up")).unwrap();
    assert!(report.contains("ERROR") && report.contains("SMTP 550"), "{report}");
    assert_eq!(mail.mails().len(), 1, "what was given up does not come");
    let encoded = url.split(['/', '@']).nth(2).unwrap();
    for secret in [ANN, "s3cret", encoded, "AUTH PLAIN", "AGRlc2tAZXhhbXBsZS5vcmc"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[tokio::test]
async fn notices_beyond_the_queue_are_counted_and_told_once_there_is_room() {
    let mail = MailServer::start(Entrance::Open).await;
    mail.behave(Manner::HangUp);
    let server = sending(&mail, &[("MAIL__QUEUE", "1")]).await;
    server.proven_person("ann").await;
    server.proven_person("ben").await;
    provoke(&server, ANN).await;
    let body = json!({"email": "ben@example.org", "password": "another horse entirely", "name": "Eve"});
    for _ in 0..3 {
        server.http.post("/auth/p/register", &body).await.expect(400);
    }
    mail.behave(Manner::Take);
    let begin = server.clock.now();
    retry_until(&server, || mail.mails().len() == 2).await;
    mail.await_mail(ANN, 1).await;
    let late = mail.await_mail("ben@example.org", 1).await;
    assert_eq!(late.subject, "Somebody tried to register with your address");
    assert!(late.text.contains("comes late") && late.text.contains("3 times"), "{}", late.text);
    let waited = server.clock.now().since(begin);
    assert!(waited < Duration::from_secs(1800), "not only after an hour: {waited:?}");
}

#[tokio::test]
async fn mail_settings_that_can_t_be_used_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite://{}", folder.path().join("x.db").display());
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let empty = empty.display().to_string();
    let server = "smtps://me:hunter2@127.0.0.1:9";
    for (url, issuer, setting) in [
        ("smtps://me:hunter2@127.0.0.1:port", "", "MAIL__SMTP_URL"),
        ("smtp://me:hunter2@192.0.2.1?tls=none", "", "MAIL__SMTP_URL"),
        ("smtp://me:hunter2@127.0.0.1?tls=opportunistic", "", "MAIL__SMTP_URL"),
        (server, "nowhere.pem", "mail.smtp_ca"),
        (server, &empty, "mail.smtp_ca"),
    ] {
        let mine = [("MAIL__SMTP_URL", url), ("MAIL__SMTP_CA", issuer)];
        let ended = run(&["serve"], &all_settings(&mine, &store, folder.path()), folder.path(), "").await;
        assert!(ended.code != Some(0) && ended.stderr.contains(setting), "{ended:?}");
        assert!(!ended.stderr.contains("hunter2") && !ended.stdout.contains("listening"), "{ended:?}");
    }
}

#[tokio::test]
async fn while_too_many_mails_wait_no_code_is_promised_to_anybody() {
    // Nobody listens on this port of the machine.
    let settings = [("MAIL__SMTP_URL", "smtp://127.0.0.1:9?tls=none"), ("MAIL__QUEUE", "1")];
    let server = Server::start(&settings).await;
    let ann = server.proven_person("ann").await;
    server.proven_person("bob").await;
    let ask = async |email: &str| {
        let answer = server.http.post("/auth/sending_email", &json!({"email": email})).await;
        (answer.status, answer.text.clone(), answer.header("retry-after").to_owned())
    };
    assert_eq!(ask("ann@example.org").await.0, 200);
    let [known, unknown] = [ask("bob@example.org").await, ask("nobody@example.org").await];
    assert_eq!(known, unknown);
    assert!(known.0 == 503 && !known.2.is_empty(), "{known:?}");
    ann.post("login", &json!({})).await.token();
}
