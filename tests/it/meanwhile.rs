//! What changes while a request is under way, or while nobody looks: the decision is made on what holds at its commit.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{PASSWORD, Server, current_device};

/// A request whose body is still to come; the server has read and judged its head.
async fn begun(server: &Server, token: &str, path: &str, body_length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {body_length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Requests that came later are answered: the head was read long ago.
    for _ in 0..20 {
        server.http.get_as(token, "/dashboard/2fa").await.expect(200);
    }
    stream
}

async fn finished(mut stream: TcpStream, body: &str) -> String {
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_session_that_ends_while_its_body_is_awaited_changes_nothing() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let request = begun(&server, &phone.token, "/auth/creation_backup_code", 2).await;
    let other = ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[0]})).await.token();
    server.http.delete_as(&other, &format!("/dashboard/device/{}", phone.device)).await.expect(200);
    assert!(finished(request, "{}").await.starts_with("HTTP/1.1 401 "));
    // The codes that there were are good still.
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[1]})).await.token();
}

#[tokio::test]
async fn of_two_password_changes_that_prove_the_same_old_one_the_first_wins() {
    let server = Server::start(&[]).await;
    for round in 0..10 {
        let ann = server.person(&format!("ann{round}")).await;
        let other = ann.post("login", &json!({})).await.token();
        let body = |new: &str| json!({"password": PASSWORD, "new_password": new});
        let (first, second) = (body("the first new one"), body("the second new one"));
        let (a, b) = tokio::join!(
            server.http.post_as(&ann.token, "/dashboard/password", &first),
            server.http.post_as(&other, "/dashboard/password", &second),
        );
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{a:?} {b:?}");
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_no_login_and_spends_no_code() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    server.clock.step_back(Duration::from_secs(86_400));
    ann.post("backup_code_2fa", &json!({"backup_code": phone.backup_codes[0]})).await.token();
}

#[tokio::test]
async fn a_phone_whose_session_has_ended_is_shown_nothing_more() {
    let server = Server::start(&[("DEVICE__SESSION_TTL", "30s")]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    server.clock.advance(Duration::from_secs(31));
    let (_browser, _) = ann.asking_browser(&server).await;
    phone.socket.expect_close(4003).await;
    server.http.get_as(&phone.token, "/dashboard/2fa").await.expect(401);
}

#[tokio::test]
async fn a_device_that_is_logged_out_can_not_be_made_to_approve() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let other = ann.post("login", &json!({})).await.token();
    let device = current_device(&server.http, &other).await;
    let change = json!({"password": PASSWORD, "new_password": "another horse entirely"});
    server.http.post_as(&ann.token, "/dashboard/password", &change).await.expect(200);
    let body = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
    server.http.post_as(&ann.token, "/2fa/method/mobile", &body).await.expect(404);
    let state = server.http.get_as(&ann.token, "/dashboard/2fa").await.expect(200).json();
    assert_eq!(state["double_auth"]["methods"], json!([]));
}

#[tokio::test]
async fn a_browser_hears_at_once_that_the_account_it_asked_is_gone() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, _) = ann.asking_browser(&server).await;
    phone.socket.expect("ask_mobile_connection").await;
    server.http.delete_as(&phone.token, "/dashboard/account").await.expect(204);
    browser.expect_message("The connection has expired").await;
    browser.expect_close(1000).await;
}

#[tokio::test]
async fn log_out_everywhere_ends_every_login_but_other_phones() {
    let server = Server::start(&[]).await;
    let (ann, phone) = server.person_with_phone("ann").await;
    let code = |n: usize| json!({"backup_code": phone.backup_codes[n]});
    let one = ann.post("backup_code_2fa", &code(0)).await.token();
    let two = ann.post("backup_code_2fa", &code(1)).await.token();
    server.http.post_as(&one, "/api/v1/auth/logout?all=true", &json!({})).await.expect(204);
    for token in [&one, &two] {
        server.http.get_as(token, "/dashboard/2fa").await.expect(401);
    }
    server.http.get_as(&phone.token, "/dashboard/2fa").await.expect(200);
}
