//! What is over leaves the store, in batches, by one node at a time; what is not stays.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Server, StoreKind, await_number, execute, number, store_kind};

const MINUTE: Duration = Duration::from_secs(60);

/// More than two batches.
const MANY: i64 = 1200;
/// In a thousand years.
const FAR: i64 = 33_000_000_000_000;

/// A table, how rows of it are made (`$I` a number, `$T` when it is over, `$ID` its name), and how those are found again.
const TABLES: [(&str, &str, &str); 15] = [
    (
        "pairings (uuid, os, browser, location, ip, expires_at, resumes, asks, state)",
        "'$ID' || i, '', '', '', '', $T, 0, 0, 'ready'",
        "pairings WHERE uuid LIKE '$ID%'",
    ),
    (
        "tickets (hash, account_id, device_id, pairing, created_at, expires_at)",
        "CAST('$ID' || i AS BLOB), 1, 1, '$ID', 1, $T",
        "tickets WHERE pairing = '$ID'",
    ),
    (
        "devices (account_id, device_type, name, os, browser, location, ip, created_at)",
        "1, '', '$ID' || i, '', '', '', '', 1",
        "devices WHERE name LIKE '$ID%'",
    ),
    (
        "sessions (uuid, account_id, device_id, client_id, amr, acr, auth_time, proved_at, created_at, expires_at)",
        "'$ID-time-' || i, 1, (SELECT id FROM devices WHERE name = '$ID' || i), '', '', '', 1, 1, 1, $T",
        "sessions WHERE uuid LIKE '$ID-time-%'",
    ),
    (
        "sessions (uuid, account_id, device_id, client_id, amr, acr, auth_time, proved_at, created_at, expires_at, revoked_at)",
        "'$ID-revoked-' || i, 1, (SELECT id FROM devices WHERE name = '$ID' || i), '', '', '', 1, 1, 1, $FAR, $T",
        "sessions WHERE uuid LIKE '$ID-revoked-%'",
    ),
    (
        "refresh_tokens (hash, session, expires_at)",
        "CAST('$ID-time-' || i AS BLOB), '$ID-time-' || i, $FAR",
        "refresh_tokens WHERE session LIKE '$ID-time-%' AND expires_at = $FAR",
    ),
    (
        "refresh_tokens (hash, session, expires_at)",
        "CAST('$ID-revoked-' || i AS BLOB), '$ID-revoked-' || i, $FAR",
        "refresh_tokens WHERE session LIKE '$ID-revoked-%' AND expires_at = $FAR",
    ),
    (
        "refresh_tokens (hash, session, expires_at)",
        "CAST('$ID-by-itself-' || i AS BLOB), 'live-time-1', $T",
        "refresh_tokens WHERE expires_at = $T",
    ),
    (
        "mailed_codes (subject, hash, tries, created_at, expires_at)",
        "CAST('$ID' AS BLOB), CAST('x' AS BLOB), 0, 1, $T",
        "mailed_codes WHERE subject = CAST('$ID' AS BLOB)",
    ),
    ("mailed_code_turns (subject, at)", "CAST('$ID' || i AS BLOB), $T", "mailed_code_turns WHERE at = $T"),
    (
        "challenges (hash, account_id, password_version, remember, tries, expires_at)",
        "CAST('$ID' || i AS BLOB), 1, 1, 0, 0, $T",
        "challenges WHERE expires_at = $T",
    ),
    (
        "trusts (account_id, hash, name, ip, created_at, used_at, expires_at)",
        "1, CAST('$ID' || i AS BLOB), '$ID', '', 1, 1, $T",
        "trusts WHERE name = '$ID'",
    ),
    ("hits (bucket, at, expires_at)", "'$ID', 1, $T", "hits WHERE bucket = '$ID'"),
    ("signals (at, kind, account_id)", "$T, 'account', 1", "signals WHERE at = $T AND kind = 'account'"),
    ("audit (at, event, outcome, source)", "$T, '$ID', 'ok', ''", "audit WHERE event = '$ID'"),
];

/// With names and times in their places.
fn filled(sql: &str, name: &str, over: i64) -> String {
    let bytes = if store_kind() == StoreKind::Postgres { "BYTEA" } else { "BLOB" };
    let sql =
        sql.replace("$ID", name).replace("$T", &over.to_string()).replace("$FAR", &(FAR + 1).to_string());
    sql.replace("BLOB", bytes)
}

/// Rows in every table that are over at a time.
async fn fill(server: &Server, name: &str, count: i64, over: i64) {
    for (table, values, _) in TABLES {
        let values = filled(values, name, over);
        let sql = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             INSERT INTO {table} SELECT {values} FROM n"
        );
        execute(server.settings(), sql).await;
    }
    let node = filled("INSERT INTO rates SELECT 1, $T, 1, $T, CAST('' AS BLOB)", name, over);
    execute(server.settings(), node).await;
}

fn remaining(rows: &str, name: &str, over: i64) -> String {
    format!("SELECT COUNT(*) FROM {}", filled(rows, name, over))
}

#[tokio::test]
async fn all_that_is_over_leaves_while_logins_go_on_and_what_is_not_stays() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    fill(&server, "live", 1, FAR).await;
    fill(&server, "over", MANY, 1).await;
    let logins = tokio::spawn(async move {
        for _ in 0..40 {
            ann.post("login", &json!({})).await.token();
        }
    });
    server.clock.advance(MINUTE);
    for (_, _, rows) in TABLES {
        await_number(server.settings(), &remaining(rows, "over", 1), |left| left == 0).await;
        assert_eq!(number(server.settings(), &remaining(rows, "live", FAR)).await, 1, "{rows}");
    }
    await_number(server.settings(), "SELECT COUNT(*) FROM rates", |left| left == 1).await;
    logins.await.unwrap();
    assert_eq!(
        number(server.settings(), "SELECT COUNT(*) FROM sessions WHERE uuid LIKE '%-%-%-%-%'").await,
        41
    );
}

#[tokio::test]
async fn what_is_over_is_kept_for_a_day() {
    let server = Server::start(&[("SESSION__TTL", "1h")]).await;
    let ann = server.person("ann").await;
    server.http.post_as(&ann.token, "/api/v1/auth/logout", &json!({})).await.expect(204);
    let sessions = async || number(server.settings(), "SELECT COUNT(*) FROM sessions").await;
    assert_eq!(sessions().await, 1);
    for _ in 0..2 {
        server.clock.advance(12 * 60 * MINUTE);
        renewed(&server).await;
        assert_eq!(sessions().await, 1);
    }
    server.clock.advance(61 * MINUTE);
    await_number(server.settings(), "SELECT COUNT(*) FROM sessions", |left| left == 0).await;
    await_number(server.settings(), "SELECT COUNT(*) FROM devices", |left| left == 0).await;
}

const HOLDER: &str = "SELECT holder FROM leases WHERE name = 'sweep'";

/// A server whose loops have begun.
async fn running() -> Server {
    let server = Server::start(&[]).await;
    server.http.get("/readyz").await.expect(200);
    server
}

/// Waits until somebody has taken the lease at the present time, and says who.
async fn renewed(server: &Server) -> i64 {
    let until = server.clock.now().0 + 120_000;
    let taken = format!("SELECT COUNT(*) FROM leases WHERE expires_at = {until}");
    await_number(server.settings(), &taken, |leases| leases == 1).await;
    number(server.settings(), HOLDER).await
}

#[tokio::test]
async fn one_of_two_nodes_cleans_up_and_the_other_follows_when_it_stops() {
    let mut server = running().await;
    server.clock.advance(MINUTE);
    let first = renewed(&server).await;
    let twin = server.twin().await;
    for _ in 0..3 {
        server.clock.advance(MINUTE);
        assert_eq!(renewed(&server).await, first);
    }
    server.stop().await;
    // The other may have come to its turn only now, and have it already.
    let kept = format!("SELECT COUNT(*) FROM leases WHERE holder = {first}");
    assert_eq!(number(twin.settings(), &kept).await, 0);
    twin.clock.advance(MINUTE);
    assert_ne!(renewed(&twin).await, first);
}

#[tokio::test]
async fn a_dead_holder_s_lease_is_taken_over_once_it_has_run_out() {
    let server = running().await;
    let until = server.clock.now().0 + 120_000;
    execute(server.settings(), format!("INSERT INTO leases VALUES ('sweep', 1, {until})")).await;
    let hit = "INSERT INTO hits (bucket, at, expires_at) VALUES ('over', 1, 1)";
    execute(server.settings(), hit.to_owned()).await;
    for _ in 0..2 {
        server.clock.advance(MINUTE - Duration::from_millis(1));
        // Whatever a minute brings has been begun when this is answered.
        for _ in 0..20 {
            server.http.get("/readyz").await.expect(200);
        }
        assert_eq!(number(server.settings(), HOLDER).await, 1);
        assert_eq!(number(server.settings(), "SELECT COUNT(*) FROM hits").await, 1);
    }
    server.clock.advance(MINUTE);
    assert_ne!(renewed(&server).await, 1);
    await_number(server.settings(), "SELECT COUNT(*) FROM hits", |left| left == 0).await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_nobody_from_cleaning_up() {
    let mut server = running().await;
    server.clock.advance(MINUTE);
    let first = renewed(&server).await;
    execute(server.settings(), "UPDATE leases SET holder = 1".to_owned()).await;
    server.clock.step_back(24 * 60 * MINUTE);
    server.clock.advance(MINUTE);
    assert_eq!(renewed(&server).await, first);
    server.stop().await;
}
