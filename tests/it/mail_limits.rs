//! How many mails with words strangers may have sent: per source, per address, in all; over restarts, nodes and races.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Http, Server, text_pairs, words_mailed};

const ANN: &str = "ann@example.org";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A server with limits, behind a proxy that says who asks.
async fn limited(more: &[(&str, &str)]) -> Server {
    let base =
        [("LIMITS__FACTOR", "1"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1"), ("STORE__CONNECTIONS", "16")];
    Server::start(&[&base, more].concat()).await
}

async fn ask_from(http: &Http, source: &str, mail: &str) -> Answer {
    let body = json!({"mail": mail, "locale": "en"});
    let request = http.request("POST", "/auth/send-mail-login-code-v2").json(&body);
    Answer::read(request.header("x-forwarded-for", source).send().await.unwrap()).await
}

/// The seconds that a refusal names.
#[track_caller]
fn wait(answer: Answer) -> u64 {
    let answer = answer.expect(429);
    assert_eq!(answer.json()["error"], "too_many_requests");
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn an_address_gets_two_in_five_minutes_and_six_a_day_whoever_asks() {
    let mut server = limited(&[]).await;
    let twin = server.twin().await;
    ask_from(&server.http, "192.0.2.1", ANN).await.expect(200);
    server.clock.advance(MINUTE);
    ask_from(&twin.http, "192.0.2.2", "ANN@Example.ORG").await.expect(200);
    assert_eq!(wait(ask_from(&server.http, "192.0.2.3", ANN).await), 240);
    server.restart().await;
    assert_eq!(wait(ask_from(&server.http, "192.0.2.3", " Ann@example.org").await), 240);
    assert_eq!(wait(ask_from(&twin.http, "192.0.2.4", ANN).await), 240);
    server.clock.advance(4 * MINUTE);
    ask_from(&server.http, "192.0.2.3", ANN).await.expect(200);
    assert_eq!(wait(ask_from(&server.http, "192.0.2.3", ANN).await), 60);
    server.clock.advance(5 * MINUTE);
    for minutes in [0, 5, 5] {
        server.clock.advance(minutes * MINUTE);
        ask_from(&server.http, "192.0.2.3", ANN).await.expect(200);
    }
    // The first was 20 minutes ago; it leaves after a day.
    server.clock.advance(5 * MINUTE);
    server.restart().await;
    assert_eq!(wait(ask_from(&server.http, "192.0.2.3", ANN).await), 86_400 - 25 * 60);
    server.clock.advance(24 * HOUR - 25 * MINUTE - SECOND);
    assert_eq!(wait(ask_from(&twin.http, "192.0.2.3", ANN).await), 1);
    server.clock.advance(SECOND);
    ask_from(&server.http, "192.0.2.3", ANN).await.expect(200);
    assert_eq!(wait(ask_from(&server.http, "192.0.2.3", ANN).await), 60);
}

#[tokio::test]
async fn two_hundred_at_once_for_one_address_are_two_mails() {
    let server = limited(&[("MAIL_CODE__TOTAL_1M", "1000")]).await;
    let twin = server.twin().await;
    let asks = (0..200).map(|n: usize| {
        let http = [&server, &twin][n % 2].http.clone();
        tokio::spawn(async move { ask_from(&http, &format!("192.0.2.{n}"), ANN).await.status })
    });
    let mut sent = 0;
    for ask in asks.collect::<Vec<_>>() {
        match ask.await.unwrap() {
            200 => sent += 1,
            429 | 503 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!((sent, words_mailed(&server, ANN).await), (2, 2));
}

#[tokio::test]
async fn other_spellings_of_a_domain_are_no_other_mailbox() {
    let server = limited(&[]).await;
    server.http.ask_words("ann@bücher.example").await.expect(200);
    server.http.ask_words("ann@xn--bcher-kva.example").await.expect(200);
    for mail in ["ann@BÜCHER.example", "ann@XN--bcher-kva.EXAMPLE"] {
        assert_eq!(wait(server.http.ask_words(mail).await), 300, "{mail}");
    }
}

#[tokio::test]
async fn a_source_is_stopped_before_it_uses_up_what_is_everybody_s() {
    let server = limited(&[("MAIL_CODE__TOTAL_1M", "12")]).await;
    for n in 0..10 {
        ask_from(&server.http, "192.0.2.1", &format!("a{n}@example.org")).await.expect(200);
    }
    for n in 10..40 {
        assert_eq!(wait(ask_from(&server.http, "192.0.2.1", &format!("a{n}@example.org")).await), 600);
    }
    ask_from(&server.http, "192.0.2.2", "b@example.org").await.expect(200);
    // One customer of IPv6 is one source, whatever address it takes.
    for n in 0..10 {
        server.clock.advance(MINUTE);
        ask_from(&server.http, &format!("2001:db8::{n:x}"), &format!("c{n}@example.org")).await.expect(200);
    }
    ask_from(&server.http, "2001:db8::ffff", "c@example.org").await.expect(429);
    ask_from(&server.http, "2001:db8:0:1::1", "c@example.org").await.expect(200);
}

#[tokio::test]
async fn a_source_has_fifty_a_day() {
    let mut server = limited(&[]).await;
    for n in 0..50 {
        if n > 0 && n % 10 == 0 {
            server.clock.advance(10 * MINUTE);
        }
        ask_from(&server.http, "192.0.2.1", &format!("a{n}@example.org")).await.expect(200);
    }
    server.clock.advance(10 * MINUTE);
    server.restart().await;
    assert_eq!(wait(ask_from(&server.http, "192.0.2.1", ANN).await), 86_400 - 50 * 60);
    ask_from(&server.http, "192.0.2.2", ANN).await.expect(200);
}

#[tokio::test]
async fn many_sources_use_up_what_the_server_sends_exactly() {
    let settings =
        [("MAIL_CODE__TOTAL_1M", "20"), ("MAIL_CODE__TOTAL_1H", "30"), ("MAIL_CODE__TOTAL_1D", "35")];
    let mut server = limited(&settings).await;
    let twin = server.twin().await;
    let asks = (0..60).map(|n: usize| {
        let http = [&server, &twin][n % 2].http.clone();
        let (source, mail) = (format!("192.0.2.{n}"), format!("a{n}@example.org"));
        tokio::spawn(async move { ask_from(&http, &source, &mail).await.status })
    });
    let mut sent = 0;
    for ask in asks.collect::<Vec<_>>() {
        match ask.await.unwrap() {
            200 => sent += 1,
            429 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(sent, 20);
    assert_eq!(wait(ask_from(&server.http, "198.51.100.1", "b@example.org").await), 60);
    server.restart().await;
    server.clock.advance(MINUTE);
    for n in 0..10 {
        ask_from(&server.http, &format!("198.51.100.{n}"), &format!("b{n}@example.org")).await.expect(200);
    }
    assert_eq!(wait(ask_from(&twin.http, "198.51.100.99", "c@example.org").await), 3540);
    server.clock.advance(HOUR);
    for n in 0..5 {
        ask_from(&server.http, &format!("203.0.113.{n}"), &format!("c{n}@example.org")).await.expect(200);
    }
    assert_eq!(wait(ask_from(&server.http, "203.0.113.99", "d@example.org").await), 86_400 - 3660);
}

#[tokio::test]
async fn who_is_refused_writes_nothing_and_no_address_is_kept() {
    let server = limited(&[]).await;
    let rows = async || {
        let mut rows = text_pairs(&server, "SELECT bucket, CAST(at AS TEXT) FROM hits ORDER BY id").await;
        rows.extend(
            text_pairs(&server, "SELECT CAST(at AS TEXT), '' FROM mailed_code_turns ORDER BY at").await,
        );
        rows.extend(text_pairs(&server, "SELECT event, outcome FROM audit ORDER BY id").await);
        rows.extend(text_pairs(&server, "SELECT email, language FROM mail_logins ORDER BY email").await);
        rows
    };
    for _ in 0..2 {
        server.http.ask_words(ANN).await.expect(200);
    }
    let before = rows().await;
    for _ in 0..20 {
        server.clock.advance(SECOND);
        server.http.ask_words(ANN).await.expect(429);
    }
    assert_eq!(rows().await, before);
    let buckets = text_pairs(&server, "SELECT bucket, bucket FROM hits").await;
    assert!(buckets.iter().all(|(bucket, _)| !bucket.contains("ann") && bucket.len() == 43), "{buckets:?}");
}

#[tokio::test]
async fn a_clock_that_is_put_back_lifts_no_limit_and_makes_none_for_ever() {
    let server = limited(&[]).await;
    for _ in 0..2 {
        server.http.ask_words(ANN).await.expect(200);
    }
    server.clock.step_back(2 * MINUTE);
    assert_eq!(wait(server.http.ask_words(ANN).await), 420);
    // A clock that was wrong by a year is not held against anybody.
    server.clock.step_back(365 * 24 * HOUR);
    server.http.ask_words(ANN).await.expect(200);
}

#[tokio::test]
async fn the_factor_stretches_and_switches_off() {
    let server = limited(&[("LIMITS__FACTOR", "1.5")]).await;
    for _ in 0..3 {
        server.http.ask_words(ANN).await.expect(200);
    }
    server.http.ask_words(ANN).await.expect(429);
    let server = limited(&[("LIMITS__FACTOR", "0"), ("MAIL_CODE__TOTAL_1M", "1")]).await;
    for _ in 0..20 {
        server.http.ask_words(ANN).await.expect(200);
    }
}
