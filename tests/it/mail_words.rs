//! Mailed words: what the mail says, what the words buy, once, and how often they may be tried.

use std::time::Duration;

use crate::harness::{
    Entrance, MailServer, Manner, Process, Server, all_settings, await_mail, eventually, letters_to,
    mailed_words, mails_in, store_url, text_pairs, words_mailed,
};
use serde_json::json;

const ANN: &str = "ann@example.org";
const SECOND: Duration = Duration::from_secs(1);

/// Other words of the same form.
fn wrong(words: &str) -> String {
    words.split(' ').rev().chain(["nowhere"]).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn words_are_mailed_alone_on_their_line_and_buy_a_proof_once() {
    let server = Server::start(&[]).await;
    let (token, words) = server.words(ANN).await;
    let mail = await_mail(&server, ANN, 1).await;
    assert_eq!(mail.subject, "Your words to log in with");
    assert_eq!(mail.text.lines().filter(|line| *line == words).count(), 1, "{}", mail.text);
    assert!(mail.html.lines().any(|line| line == words) && mail.code().is_none(), "{}", mail.raw);
    for word in words.split(' ') {
        assert!(!mail.subject.contains(word), "{}", mail.subject);
    }
    server.http.show_words(&words, &token).await.expect(200).mail_token("mailAuthToken");
    for _ in 0..2 {
        assert_eq!(server.http.show_words(&words, &token).await.refusal(410), "this login by mail is over");
    }
}

#[tokio::test]
async fn the_mail_is_in_the_language_that_was_asked_for() {
    let server = Server::start(&[]).await;
    for (nth, (locale, subject)) in [
        ("de", "Ihre Wörter für die Anmeldung"),
        ("de-AT", "Ihre Wörter für die Anmeldung"),
        ("FR_ca", "Vos mots pour vous connecter"),
        ("es", "Sus palabras para iniciar sesión"),
        ("en", "Your words to log in with"),
        ("ja", "Your words to log in with"),
        ("", "Your words to log in with"),
        ("\u{0}\u{202e}", "Your words to log in with"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"mail": ANN, "locale": locale});
        let asked = server.http.post("/auth/send-mail-login-code-v2", &body).await.expect(200);
        let mail = await_mail(&server, ANN, nth + 1).await;
        assert_eq!(mail.subject, subject, "{locale:?}");
        let words = mail.words().expect("words");
        server.http.show_words(&words, &asked.mail_token("mailLoginToken")).await.expect(200);
    }
}

#[tokio::test]
async fn words_are_read_however_they_are_typed() {
    let server = Server::start(&[]).await;
    let ways: [fn(&str) -> String; 8] = [
        |words| words.to_uppercase(),
        |words| words.replace(' ', ""),
        |words| format!("  {}\t\r\n", words.replace(' ', " \u{a0} \u{2003}")),
        |words| format!("*{}*", words.replace(' ', "* *")),
        |words| words.replace("ss", "ß"),
        |words| words.replace('ß', "SS"),
        |words| words.replace('ä', "a\u{308}").replace('ö', "O\u{308}"),
        |words| words.chars().map(|c| format!("{c} ")).collect(),
    ];
    for (nth, way) in ways.into_iter().enumerate() {
        let body = json!({"mail": ANN, "locale": "de"});
        let asked = server.http.post("/auth/send-mail-login-code-v2", &body).await.expect(200);
        let typed = way(&mailed_words(&server, ANN).await);
        let shown = server.http.show_words(&typed, &asked.mail_token("mailLoginToken")).await;
        assert_eq!(shown.status, 200, "way {nth}: {typed:?}");
    }
}

#[tokio::test]
async fn the_third_wrong_try_is_the_end_of_them() {
    let server = Server::start(&[]).await;
    let (token, words) = server.words(ANN).await;
    for _ in 0..2 {
        assert_eq!(server.http.show_words(&wrong(&words), &token).await.refusal(403), "wrong words");
    }
    server.http.show_words(&words, &token).await.expect(200);

    let (token, words) = server.words(ANN).await;
    for status in [403, 403, 410] {
        server.http.show_words(&wrong(&words), &token).await.expect(status);
    }
    for _ in 0..2 {
        server.http.show_words(&words, &token).await.expect(410);
    }
    // Nothing and too much are no words either; what is too long is not even a try.
    let (token, words) = server.words(ANN).await;
    for _ in 0..5 {
        server.http.show_words(&"x".repeat(1001), &token).await.expect(400);
    }
    server.http.show_words("", &token).await.expect(403);
    server.http.show_words(&"ﷺ".repeat(300), &token).await.expect(403);
    server.http.show_words(&words, &token).await.expect(200);
}

#[tokio::test]
async fn a_restart_and_a_twin_forget_neither_words_nor_tries() {
    let mut server = Server::start(&[]).await;
    let (token, words) = server.words(ANN).await;
    server.http.show_words(&wrong(&words), &token).await.expect(403);
    server.restart().await;
    let twin = server.twin().await;
    twin.http.show_words(&wrong(&words), &token).await.expect(403);
    server.http.show_words(&words, &token).await.expect(200);
    twin.http.show_words(&words, &token).await.expect(410);
}

#[tokio::test]
async fn words_and_their_proof_live_for_their_time_also_when_the_clock_steps() {
    for (ttl, seconds) in [("1s", 1), ("10m", 600)] {
        let server = Server::start(&[("MAIL_CODE__TTL", ttl), ("MAIL_CODE__AUTH_TTL", ttl)]).await;
        server.person("ann").await;
        let (token, words) = server.words(ANN).await;
        server.clock.advance(seconds * SECOND);
        server.http.show_words(&words, &token).await.expect(410);
        let (token, words) = server.words(ANN).await;
        server.clock.advance(seconds * SECOND - Duration::from_millis(1));
        let proof = server.http.show_words(&words, &token).await.expect(200).mail_token("mailAuthToken");
        // Back, and on again: what was used stays used, what is over is over.
        server.clock.step_back(SECOND);
        server.http.show_words(&words, &token).await.expect(410);
        server.clock.advance((seconds + 1) * SECOND);
        server.http.mail_auth("sign-in", &proof, &json!({})).await.expect(410);
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_own_words_and_its_own_purpose() {
    let server = Server::start(&[]).await;
    server.person("ann").await;
    let (first, first_words) = server.words(ANN).await;
    let (second, second_words) = server.words(ANN).await;
    let (bobs, bobs_words) = server.words("bob@example.org").await;
    if first_words != second_words && first_words != bobs_words {
        server.http.show_words(&first_words, &second).await.expect(403);
        server.http.show_words(&first_words, &bobs).await.expect(403);
    }
    let proof = server.http.show_words(&first_words, &first).await.expect(200).mail_token("mailAuthToken");
    server.http.show_words(&second_words, &proof).await.expect(410);
    for route in ["sign-in", "create-account", "recover-password"] {
        let more = if route == "sign-in" { json!({}) } else { json!({"password": "another horse entirely"}) };
        for token in [second.as_str(), "", "x", &"0".repeat(32), &"0".repeat(10_000)] {
            server.http.mail_auth(route, token, &more).await.expect(410);
        }
    }
    // None of that has used anything up.
    server.http.show_words(&second_words, &second).await.expect(200);
    server.http.mail_auth("sign-in", &proof, &json!({})).await.expect(200);
}

#[tokio::test]
async fn two_hundred_at_once_get_one_proof() {
    let server = Server::start(&[]).await;
    let twin = server.twin().await;
    let (token, words) = server.words(ANN).await;
    let races = (0..200).map(|n: usize| {
        let (http, token, words) = ([&server, &twin][n % 2].http.clone(), token.clone(), words.clone());
        tokio::spawn(async move { http.show_words(&words, &token).await.status })
    });
    let (mut won, mut lost) = (0, 0);
    for race in races.collect::<Vec<_>>() {
        match race.await.unwrap() {
            200 => won += 1,
            410 => lost += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!((won, lost), (1, 199));
}

#[tokio::test]
async fn guesses_made_at_once_are_three_and_no_more() {
    let server = Server::start(&[]).await;
    let (token, words) = server.words(ANN).await;
    let races = (0..50).map(|_| {
        let (http, token, words) = (server.http.clone(), token.clone(), wrong(&words));
        tokio::spawn(async move { http.show_words(&words, &token).await.status })
    });
    let mut seen = Vec::new();
    for race in races.collect::<Vec<_>>() {
        seen.push(race.await.unwrap());
    }
    assert_eq!(seen.iter().filter(|status| **status == 403).count(), 2, "{seen:?}");
    assert_eq!(seen.iter().filter(|status| **status == 410).count(), 48, "{seen:?}");
    server.http.show_words(&words, &token).await.expect(410);
}

#[tokio::test]
async fn guessing_at_tokens_is_limited_per_source() {
    let server = Server::start(&[("LIMITS__FACTOR", "1"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let (token, words) = server.words(ANN).await;
    for _ in 0..30 {
        server.http.show_words(&words, "unknown").await.expect(410);
    }
    let refused = server.http.show_words(&words, "unknown").await.expect(429);
    assert_eq!(refused.header("retry-after"), "600");
    server.http.mail_auth("sign-in", "unknown", &json!({})).await.expect(429);
    // Others are not in the way.
    let body = json!({"receivedCode": words, "mailLoginToken": token});
    let request = server.http.request("POST", "/auth/sign-in-by-mail-code").json(&body);
    let elsewhere = request.header("x-forwarded-for", "192.0.2.7").send().await.unwrap();
    assert_eq!(elsewhere.status().as_u16(), 200);
}

#[tokio::test]
async fn a_mail_server_that_is_slow_or_away_holds_no_request_up_and_late_words_are_not_sent() {
    let mail = MailServer::start(Entrance::Open).await;
    mail.behave(Manner::HangFor(ANN));
    let settings = [("MAIL__SMTP_URL", &*mail.url()), ("MAIL__TIMEOUT", "10s"), ("MAIL_CODE__TTL", "2m")];
    let server = Server::start(&settings).await;
    server.http.ask_words(ANN).await.expect(200);
    mail.await_heard("RCPT TO:<ann@example.org>", 1).await;
    let token = server.http.ask_words("bob@example.org").await.expect(200).mail_token("mailLoginToken");
    let words = mail.await_mail("bob@example.org", 1).await.words().expect("words");
    server.http.show_words(&words, &token).await.expect(200);

    mail.behave(Manner::Answer("451 4.7.1 not now"));
    let late = server.http.ask_words("late@example.org").await.expect(200).mail_token("mailLoginToken");
    mail.await_heard("RCPT TO:<late@example.org>", 1).await;
    mail.behave(Manner::Answer("550 5.1.1 no such user"));
    server.http.ask_words("nobody@example.org").await.expect(200);
    mail.await_heard("RCPT TO:<nobody@example.org>", 1).await;
    mail.behave(Manner::Take);
    server.clock.advance(120 * SECOND);
    letters_to(&server, "late@example.org").await;
    let came: Vec<String> = mail.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(came, ["bob@example.org"]);
    server.http.show_words("any words at", &late).await.expect(410);
}

#[tokio::test]
async fn words_wait_for_their_mail_server() {
    let mail = MailServer::start(Entrance::StartTls("PLAIN")).await;
    mail.behave(Manner::HangUp);
    let settings = [("MAIL__SMTP_URL", mail.url()), ("MAIL__SMTP_CA", mail.issuer())];
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut server = Server::start(&settings).await;
    let token = server.http.ask_words(ANN).await.expect(200).mail_token("mailLoginToken");
    mail.await_over(1).await;
    server.restart().await;
    mail.behave(Manner::Take);
    server.clock.advance(60 * SECOND);
    let words = mail.await_mail(ANN, 1).await.words().expect("words");
    server.http.show_words(&words, &token).await.expect(200);
}

#[tokio::test]
async fn while_too_many_mails_wait_no_words_are_promised_and_nothing_is_counted() {
    let settings =
        [("MAIL__SMTP_URL", "smtp://127.0.0.1:9?tls=none"), ("MAIL__QUEUE", "1"), ("LIMITS__FACTOR", "1")];
    let server = Server::start(&settings).await;
    server.http.ask_words(ANN).await.expect(200);
    for _ in 0..5 {
        assert!(!server.http.ask_words("bob@example.org").await.expect(503).header("retry-after").is_empty());
    }
    let hits = text_pairs(&server, "SELECT bucket, bucket FROM hits").await;
    assert_eq!(hits.len(), 4, "one mail's: its source, its network, its address, the server");
}

#[tokio::test]
async fn neither_words_nor_tokens_nor_the_address_are_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (store, log) = (store_url(folder.path()).await, folder.path().join("log"));
    let settings = all_settings(&[("LOG__LEVEL", "trace")], &store, folder.path());
    let process = Process::start_logging(&["serve"], &settings, folder.path(), &log).await;
    let token = process.http.ask_words(ANN).await.expect(200).mail_token("mailLoginToken");
    let mail = folder.path().join("mail");
    let words = eventually("the mail", || mails_in(&mail).iter().find_map(crate::harness::Mail::words)).await;
    process.http.show_words(&wrong(&words), &token).await.expect(403);
    let proof = process.http.show_words(&words, &token).await.expect(200).mail_token("mailAuthToken");
    let made = json!({"password": "correct horse battery", "name": "Ann"});
    process.http.mail_auth("create-account", &proof, &made).await.expect(200);
    process.kill().await;
    let log = std::fs::read_to_string(&log).unwrap();
    let folded = words.replace(' ', "");
    for secret in [ANN, &token, &proof, &words, &folded, &wrong(&words), "correct horse"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
    for event in ["words.mail", "wrong_words", "account.add"] {
        assert!(log.contains(event), "{event} is not in the log");
    }
}

#[tokio::test]
async fn an_address_with_and_one_without_an_account_are_served_alike() {
    let server = Server::start(&[("LIMITS__FACTOR", "1")]).await;
    server.person("known").await;
    let mut told = Vec::new();
    for address in ["known@example.org", "unknown@example.org"] {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            let answer = server.http.ask_words(address).await;
            let keys: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
            statuses.push((answer.status, keys, answer.header("retry-after").to_owned()));
        }
        assert_eq!(words_mailed(&server, address).await, 2);
        let mail = letters_to(&server, address).await.pop().unwrap();
        told.push((statuses, mail.subject, mail.text.replace(&mailed_words(&server, address).await, "")));
    }
    assert_eq!(told[0], told[1]);
}
