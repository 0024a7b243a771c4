//! How many mails with words strangers may have sent: per source, per address, in all; over restarts, nodes and races.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Http, Server, change_store, text_pairs, words_mailed};

const ANN: &str = "ann@example.org";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A server with limits and without shares of them, behind a proxy that says who asks.
async fn limited(more: &[(&str, &str)]) -> Server {
    let whole = [("MAIL_CODE__NETWORK_SHARE", "1"), ("MAIL_CODE__GENERAL_SHARE", "1")];
    shared(&[&whole, more].concat()).await
}

/// The same with the shares of the settings.
async fn shared(more: &[(&str, &str)]) -> Server {
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

/// The status of a request from a network of its own.
async fn ask_from_network(server: &Server, network: usize, mail: &str) -> u16 {
    ask_from(&server.http, &format!("10.{}.{}.1", network / 256, network % 256), mail).await.status
}

#[tokio::test]
async fn a_patient_network_gets_a_tenth_of_each_span_and_leaves_the_rest() {
    let mut server = shared(&[("MAIL_CODE__TOTAL_1D", "200")]).await;
    let twin = server.twin().await;
    for (network, other) in [("192.0.2.", "192.0.3.1"), ("2001:db8:0:", "2001:db8:1::1")] {
        let source = |n: usize| {
            if network.contains(':') { format!("{network}{n:x}::1") } else { format!("{network}{n}") }
        };
        let mail = |n: usize| format!("a{n}@{}.example", if network.contains(':') { "six" } else { "four" });
        for n in 0..20 {
            if n == 10 {
                assert_eq!(wait(ask_from(&twin.http, &source(99), &mail(99)).await), 60);
                server.clock.advance(MINUTE);
            }
            ask_from(&[&server, &twin][n % 2].http, &source(n), &mail(n)).await.expect(200);
        }
        // Twenty are a tenth of the day's; the oldest is a minute old.
        server.clock.advance(MINUTE);
        server.restart().await;
        assert_eq!(wait(ask_from(&server.http, &source(98), &mail(98)).await), 86_400 - 120);
        ask_from(&server.http, other, &mail(97)).await.expect(200);
    }
}

#[tokio::test]
async fn past_the_general_share_owners_get_words_and_others_an_answer_alike() {
    let mut server = shared(&[("MAIL_CODE__TOTAL_1M", "9"), ("MAIL_CODE__NETWORK_SHARE", "1")]).await;
    server.person("ann").await;
    for n in 0..6 {
        assert_eq!(ask_from_network(&server, n, &format!("u{n}@example.org")).await, 200);
    }
    let body = |mail: &str| json!({"mail": mail, "locale": "en"});
    let mut answers = Vec::new();
    for mail in ["ann@example.org", "nobody@example.org"] {
        let answer = server.http.post("/auth/send-mail-login-code-v2", &body(mail)).await.expect(200);
        let token = answer.mail_token("mailLoginToken");
        assert_eq!(token.len(), 32);
        let mut told = Vec::new();
        for _ in 0..4 {
            let tried = server.http.show_words("apple river quiet", &token).await;
            told.push((tried.status, tried.text.clone()));
        }
        server.restart().await;
        // Both have asked once; at the third time both are refused alike.
        told.push((ask_from_network(&server, 20, mail).await, String::new()));
        let third = ask_from(&server.http, "10.1.0.1", mail).await;
        told.push((third.status, format!("{} {}", third.text, third.header("retry-after"))));
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(
        answers[0].iter().map(|(status, _)| *status).collect::<Vec<_>>(),
        [403, 403, 410, 410, 200, 429]
    );
    assert_eq!(words_mailed(&server, "ann@example.org").await, 2);
    assert_eq!(words_mailed(&server, "nobody@example.org").await, 0);
    // Six and two were sent; the ninth is another owner's, and then there are none for anybody.
    server.person("bob").await;
    assert_eq!(ask_from_network(&server, 30, "bob@example.org").await, 200);
    server.person("cleo").await;
    for mail in ["cleo@example.org", "noone@example.org"] {
        assert_eq!(wait(ask_from(&server.http, "10.2.0.1", mail).await), 60);
    }
}

#[tokio::test]
async fn while_registration_is_closed_unknown_addresses_get_and_use_up_nothing() {
    let settings = [("MAIL_CODE__TOTAL_1M", "2"), ("MAIL_CODE__NETWORK_SHARE", "1")];
    let server = shared(&settings).await;
    server.person("ann").await;
    server.person("bob").await;
    let closed = server.twin_with(&[("ACCOUNTS__REGISTRATION", "closed")]).await;
    for n in 0..20 {
        assert_eq!(ask_from_network(&closed, n, &format!("u{n}@example.org")).await, 200);
    }
    for mail in ["ann@example.org", "bob@example.org"] {
        assert_eq!(ask_from_network(&closed, 30, mail).await, 200);
        assert_eq!(words_mailed(&closed, mail).await, 1);
    }
    assert_eq!(words_mailed(&closed, "u0@example.org").await, 0);
}

/// How long a request for words takes.
#[expect(clippy::disallowed_methods, reason = "a duration of real time is measured")]
async fn timed(server: &Server, mail: &str) -> Duration {
    let begin = tokio::time::Instant::now();
    assert_eq!(ask_from_network(server, 0, mail).await, 200);
    begin.elapsed()
}

#[tokio::test]
async fn however_many_unknown_addresses_were_named_another_is_served_as_fast_as_an_owner_s() {
    let settings = [
        ("MAIL_CODE__NETWORK_SHARE", "1"),
        ("MAIL_CODE__PER_SOURCE_10M", "100"),
        ("ACCOUNTS__REGISTRATION", "closed"),
    ];
    let open = shared(&[]).await;
    for n in 0..6 {
        open.person(&format!("ann{n}")).await;
    }
    let server = open.twin_with(&settings).await;
    assert_eq!(ask_from_network(&server, 100, "nobody@example.org").await, 200);
    let many = "WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 300000) \
         INSERT INTO hits (bucket, number, at, expires_at) \
         SELECT bucket, number + n, at, expires_at FROM hits, more WHERE number = 1";
    change_store(&server, many).await;
    // As PostgreSQL does by itself within a minute.
    change_store(&server, "ANALYZE hits").await;
    let (mut unknown, mut known) = (Vec::new(), Vec::new());
    for n in 0..6 {
        unknown.push(timed(&server, &format!("u{n}@example.org")).await);
        known.push(timed(&server, &format!("ann{n}@example.org")).await);
    }
    // What else the machine does makes some of them slow, and none of them fast.
    let (fastest, owners) = (unknown.iter().min().unwrap(), known.iter().min().unwrap());
    assert!(*fastest < 2 * *owners + Duration::from_millis(5), "{unknown:?} and {known:?}");
}

#[tokio::test]
async fn many_at_once_share_what_is_general_and_what_is_owners_exactly() {
    let settings = [("MAIL_CODE__TOTAL_1M", "30"), ("MAIL_CODE__NETWORK_SHARE", "1")];
    let server = shared(&settings).await;
    let twin = server.twin().await;
    let asks = (0..60).map(|n: usize| {
        let http = [&server, &twin][n % 2].http.clone();
        let (source, mail) = (format!("10.3.{n}.1"), format!("u{n}@example.org"));
        tokio::spawn(async move { ask_from(&http, &source, &mail).await.status })
    });
    for ask in asks.collect::<Vec<_>>() {
        assert_eq!(ask.await.unwrap(), 200);
    }
    let mut sent = 0;
    for n in 0..60 {
        sent += words_mailed(&server, &format!("u{n}@example.org")).await;
    }
    assert_eq!(sent, 20);
}
