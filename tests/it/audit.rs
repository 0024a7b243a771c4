//! The audit trail: what was granted or changed has a row each time, and no refusal that somebody can repeat fills the disk.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Answer, Server, await_number, number, text_pairs};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// How many rows there are of an event and outcome, and how many they stand for.
async fn rows(server: &Server, event: &str, outcome: &str) -> (i64, i64) {
    let of = format!("FROM audit WHERE event = '{event}' AND outcome = '{outcome}'");
    let rows = number(server.settings(), &format!("SELECT COUNT(*) {of}")).await;
    let sum = format!("SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) {of}");
    (rows, number(server.settings(), &sum).await)
}

async fn counted(server: &Server, event: &str, outcome: &str) -> Option<u64> {
    let text = server.monitor.as_ref().unwrap().get("/metrics").await.text;
    let name = format!("readylogin_audit_total{{event=\"{event}\",outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).map(|value| value.parse().unwrap())
}

async fn server() -> Server {
    Server::start(&[("METRICS__LISTEN", "127.0.0.1:0")]).await
}

#[tokio::test]
async fn answers_about_unknown_pairings_are_counted_and_leave_no_row() {
    let server = server().await;
    let (_ann, mut phone) = server.person_with_phone("ann").await;
    let before = number(server.settings(), "SELECT COUNT(*) FROM audit").await;
    for n in 0..200 {
        let uuid = json!(uuid::Uuid::from_u128(n));
        assert_eq!(phone.socket.refused(&phone.answer_frame(&uuid, n % 2 == 0)).await, "expired");
    }
    assert_eq!(number(server.settings(), "SELECT COUNT(*) FROM audit").await, before);
    assert_eq!(counted(&server, "approve", "expired").await, Some(100));
    assert_eq!(counted(&server, "refuse", "expired").await, Some(100));
}

#[tokio::test]
async fn answers_to_what_is_over_or_was_answered_share_a_row_and_the_approval_has_its_own() {
    let server = server().await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    for _ in 0..3 {
        let (mut browser, uuid) = ann.asking_browser(&server).await;
        phone.answer(&uuid, true).await;
        for _ in 0..10 {
            let again = phone.socket.call(&phone.answer_frame(&uuid, true)).await;
            assert_eq!(again["message"], "Message sent");
            phone.socket.refused(&phone.answer_frame(&uuid, false)).await;
        }
        ann.exchange(&browser.expect_code().await).await.token();
    }
    assert_eq!(rows(&server, "approve", "ok").await, (3, 3));
    assert_eq!(rows(&server, "approve", "repeated").await, (1, 30));
    let refused = "SELECT outcome, CAST(count AS TEXT) FROM audit WHERE event = 'refuse'";
    assert_eq!(text_pairs(&server, refused).await, [("already_answered".to_owned(), "30".to_owned())]);
}

#[tokio::test]
async fn wrong_passwords_of_an_hour_share_a_row_for_each_account_and_logins_have_their_own() {
    let server = server().await;
    let ann = server.person("ann").await;
    let logins = rows(&server, "login", "ok").await.0;
    let wrong = json!({"password": "not the password"});
    let stranger = json!({"email": "nobody@example.org", "password": "not the password"});
    for n in 1..=20 {
        ann.post("login", &wrong).await.expect(401);
        ann.post("login", &stranger).await.expect(401);
        if n % 5 == 0 {
            ann.post("login", &json!({})).await.token();
        }
    }
    assert_eq!(rows(&server, "password", "bad_credentials").await, (2, 40));
    assert_eq!(rows(&server, "login", "ok").await, (logins + 4, logins + 4));
    assert_eq!(counted(&server, "password", "bad_credentials").await, Some(40));
    let span = "SELECT CAST(at AS TEXT), CAST(until AS TEXT) FROM audit WHERE count = 20";
    let now = server.clock.now().0.to_string();
    assert_eq!(text_pairs(&server, span).await, vec![(now.clone(), now); 2]);

    server.clock.advance(HOUR);
    ann.post("login", &wrong).await.expect(401);
    assert_eq!(rows(&server, "password", "bad_credentials").await, (3, 41));
}

#[tokio::test]
async fn codes_for_unknown_addresses_and_wrong_codes_share_rows() {
    let server = server().await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let guess =
        async |code: String| -> Answer { ann.post("backup_code_2fa", &json!({"backup_code": code})).await };
    for n in 0..4 {
        guess(format!("wrong-{n}")).await;
    }
    let outcomes = "SELECT outcome, CAST(count AS TEXT) FROM audit WHERE event = 'login' AND outcome <> 'ok'";
    let merged = text_pairs(&server, outcomes).await;
    assert_eq!(merged.iter().map(|(_, count)| count.as_str()).collect::<Vec<_>>(), ["4"], "{merged:?}");
    ann.laptop(&phone.backup_codes[0]).await;
}

#[tokio::test]
async fn every_node_counts_in_rows_of_its_own() {
    let server = server().await;
    let twin = server.twin().await;
    let ann = server.person("ann").await;
    for _ in 0..5 {
        ann.post("login", &json!({"password": "not the password"})).await.expect(401);
        ann.at(&twin).post("login", &json!({"password": "not the password"})).await.expect(401);
    }
    assert_eq!(rows(&server, "password", "bad_credentials").await, (2, 10));
}

#[tokio::test]
async fn rows_are_kept_for_as_long_as_the_setting_says_and_then_swept() {
    let server = Server::start(&[("AUDIT__KEEP", "10d")]).await;
    let ann = server.person("ann").await;
    ann.post("login", &json!({"password": "not the password"})).await.expect(401);
    let left = "SELECT COUNT(*) FROM audit";
    let written = number(server.settings(), left).await;
    assert!(written >= 2);
    let swept = "SELECT COUNT(*) FROM leases WHERE expires_at = ";
    server.clock.advance(10 * DAY - Duration::from_secs(60));
    let until = server.clock.now().0 + 120_000;
    await_number(server.settings(), &format!("{swept}{until}"), |held| held == 1).await;
    assert_eq!(number(server.settings(), left).await, written);
    server.clock.advance(Duration::from_secs(120));
    await_number(server.settings(), left, |left| left == 0).await;
}
