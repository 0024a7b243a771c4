//! The audit trail: what was granted or changed has a row each time, and no refusal that somebody can repeat fills the disk.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::harness::{Answer, Server, StoreKind, await_number, number, store_kind, text_pairs, url_of};

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

/// What a stranger can do by a name alone: guess its password, have a code and words mailed to it.
async fn by_name(server: &Server, name: &str) -> [u16; 3] {
    let email = format!("{name}@example.org");
    let guess = json!({"email": email, "password": "not the password"});
    let code = json!({"email": email});
    let words = json!({"mail": email, "locale": "en"});
    let (guess, code, words) = tokio::join!(
        server.http.post("/auth/p/login", &guess),
        server.http.post("/auth/sending_email", &code),
        server.http.post("/auth/send-mail-login-code-v2", &words),
    );
    [guess.status, code.status, words.status]
}

const SERVED: [u16; 3] = [401, 200, 200];

#[tokio::test]
async fn names_have_rows_of_their_own_whether_or_not_an_account_has_them() {
    let server = server().await;
    server.person("ann").await;
    for name in ["ann", "nobody", "noone"] {
        for _ in 0..2 {
            assert_eq!(by_name(&server, name).await, SERVED);
            server.clock.advance(Duration::from_secs(61));
        }
    }
    assert_eq!(rows(&server, "password", "bad_credentials").await, (3, 6));
    assert_eq!(rows(&server, "code.mail", "ok").await, (1, 2));
    assert_eq!(rows(&server, "code.mail", "unknown").await, (2, 4));
    let [sent, not_sent] =
        [rows(&server, "words.mail", "ok").await, rows(&server, "words.mail", "not_sent").await];
    assert_eq!((sent.0 + not_sent.0, sent.1 + not_sent.1), (3, 6));
    let keys = text_pairs(&server, "SELECT merged, source FROM audit WHERE merged IS NOT NULL").await;
    assert!(keys.iter().all(|(key, _)| !key.contains("ann") && !key.contains("nobody")), "{keys:?}");
}

#[tokio::test]
async fn a_unit_under_way_for_one_name_holds_up_that_name_alone_whether_or_not_it_is_known() {
    if store_kind() != StoreKind::Postgres {
        return;
    }
    let server = server().await;
    for name in ["ann", "bob", "cid"] {
        server.person(name).await;
    }
    for (name, known, unknown) in [("ann", "bob", "eve"), ("nobody", "cid", "fay")] {
        assert_eq!(by_name(&server, name).await, SERVED);
        server.clock.advance(Duration::from_secs(61));
        // As a unit does between its statement and its COMMIT.
        let mut unit = PgConnection::connect(url_of(server.settings())).await.unwrap();
        unit.execute("BEGIN; SELECT id FROM audit FOR UPDATE").await.unwrap();
        for other in [known, unknown] {
            assert_eq!(by_name(&server, other).await, SERVED, "{other} beside {name}");
        }
        assert_eq!(by_name(&server, name).await, [503; 3], "{name} waits for its own rows");
        unit.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_password_waits_for_nothing_of_the_account_and_is_counted_all_the_same() {
    if store_kind() != StoreKind::Postgres {
        return;
    }
    let server = server().await;
    let ann = server.person("ann").await;
    let mut unit = PgConnection::connect(url_of(server.settings())).await.unwrap();
    unit.execute("BEGIN; SELECT id FROM accounts FOR UPDATE").await.unwrap();
    ann.post("login", &json!({"password": "not the password"})).await.expect(401);
    unit.execute("COMMIT").await.unwrap();
    let counted = "SELECT failed_attempts FROM accounts";
    await_number(server.settings(), counted, |counted| counted == 1).await;
}
