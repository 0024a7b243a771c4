//! Many nodes on one store that ring each other over a real NATS server. The clock stands still unless a test moves it, and
//! with it the sweep through the store: what arrives without that was rung.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Certificate, NatsServer, Person, Phone, Server, soon};

/// How often every node looks at the store.
const SWEEP: Duration = Duration::from_millis(500);

/// A NATS server and nodes on one store; the first one's people are everybody's.
async fn nodes<const N: usize>() -> (NatsServer, [Server; N]) {
    let nats = NatsServer::start().await;
    let url = nats.url();
    let settings =
        [("BUS__URL", url.as_str()), ("SERVER__PUBLIC_URL", "http://localhost:1"), ("SERVER__DRAIN", "1s")];
    let mut nodes = vec![Server::start(&settings).await];
    while nodes.len() < N {
        let next = nodes[0].twin().await;
        nodes.push(next);
    }
    nats.until_heard(N, 0).await;
    let Ok(nodes) = nodes.try_into() else { unreachable!("as many as were started") };
    (nats, nodes)
}

/// Somebody whose phone is online at `place`, and heard there.
async fn ann_at(nats: &NatsServer, nodes: usize, home: &Server, place: &Server) -> (Person, Phone) {
    let ann = home.person("ann").await;
    let phone = ann.bind_phone(place).await;
    nats.until_heard(nodes, 1).await;
    (ann, phone)
}

async fn readiness(server: &Server) -> (u16, Value) {
    let answer = server.http.get("/readyz").await;
    (answer.status, answer.json()["bus"].clone())
}

async fn until_bus(server: &Server, word: &str) {
    soon(word, async || (readiness(server).await.1 == word).then_some(())).await;
}

#[tokio::test]
async fn a_browser_a_phone_and_a_client_on_three_nodes() {
    for response in [true, false] {
        let (nats, [a, b, c]) = nodes().await;
        let (ann, mut phone) = ann_at(&nats, 3, &a, &b).await;
        let (mut browser, uuid) = ann.asking_browser(&a).await;
        phone.answer(&uuid, response).await;
        if !response {
            let refused = browser.expect("response_mobile_connection").await;
            assert_eq!((&refused["response"], &refused["code"]), (&json!(false), &json!("")));
            continue;
        }
        let code = browser.expect_code().await;
        ann.at(&c).exchange(&code).await.token();
        assert_eq!(ann.exchange(&code).await.refusal(400), "invalid 2FA token");
    }
}

#[tokio::test]
async fn phones_on_several_nodes_are_all_asked_and_told() {
    let (nats, [a, b]) = nodes().await;
    let (ann, mut first) = ann_at(&nats, 2, &a, &b).await;
    let mut second = ann.bind_another_phone(&a, &first.backup_codes[0]).await;
    nats.until_heard(2, 2).await;
    let (mut browser, uuid) = ann.asking_browser(&a).await;
    assert_eq!(second.socket.expect("ask_mobile_connection").await["uuid"], uuid);
    first.answer(&uuid, true).await;
    let told = second.socket.expect("resolved_mobile_connection").await;
    assert_eq!((&told["reason"], &told["response"]), (&json!("answered"), &json!(true)));
    browser.expect_code().await;
    first.socket.expect_nothing_more().await;
}

#[tokio::test]
async fn a_phone_scans_a_browser_of_another_node() {
    let (nats, [a, b]) = nodes().await;
    let (ann, mut phone) = ann_at(&nats, 2, &a, &b).await;
    let mut browser = a.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    let scan = ann.ask_frame(&uuid);
    let shown = phone.socket.call(&scan).await;
    assert_eq!(
        (&shown["action"], &shown["uuid"], &shown["os"]),
        (&json!("ask_mobile_connection"), &uuid, &json!("Linux"))
    );
    browser.expect_message("Message sent").await;
    let reply = phone.socket.call(&phone.answer_frame(&uuid, true)).await;
    assert_eq!(reply["message"], "Message sent", "{reply}");
    ann.exchange(&browser.expect_code().await).await.token();

    // One that nobody holds, and one that its browser has a pending ask for.
    let nobody = json!("00000000-0000-4000-8000-000000000000");
    assert_eq!(phone.socket.refused(&ann.ask_frame(&nobody)).await, "expired");
    let (_browser, asked) = ann.asking_browser(&a).await;
    phone.socket.expect("ask_mobile_connection").await;
    assert_eq!(phone.socket.refused(&ann.ask_frame(&asked)).await, "already_asked");
    // Somebody waits on the other node, and nobody was asked: not the same as over.
    let mut waiting = a.socket().await;
    let unasked = waiting.ready_login().await["uuid"].clone();
    assert_eq!(phone.socket.refused(&phone.answer_frame(&unasked, true)).await, "not_asked");
}

#[tokio::test]
async fn a_browser_that_comes_back_on_another_node_is_rung_there_and_its_old_socket_is_over() {
    for asked in [false, true] {
        let (nats, [a, b, c]) = nodes().await;
        let (ann, mut phone) = ann_at(&nats, 3, &a, &c).await;
        let mut old = a.socket().await;
        let hello = old.ready_login().await;
        if asked {
            old.call(&ann.ask_frame(&hello["uuid"])).await;
        }
        let resume =
            |secret: &Value| json!({"action": "resumeLogin", "uuid": hello["uuid"], "resume": secret});
        let mut browser = b.socket().await;
        let back = browser.call(&resume(&hello["resume"])).await;
        assert_eq!(back["message"], "Connection ready", "{back}");
        old.expect_close(4001).await;
        // And home again: the row says so, whatever the uuid says.
        let mut last = a.socket().await;
        assert_eq!(last.call(&resume(&back["resume"])).await["message"], "Connection ready");
        browser.expect_close(4001).await;
        if !asked {
            last.call(&ann.ask_frame(&hello["uuid"])).await;
        }
        phone.answer(&hello["uuid"], true).await;
        ann.at(&b).exchange(&last.expect_code().await).await.token();
        let mut late = c.socket().await;
        assert_eq!(late.refused(&resume(&hello["resume"])).await, "expired");
    }
}

#[tokio::test]
async fn a_phone_that_is_revoked_on_one_node_drops_at_once_on_the_other() {
    let (nats, [a, b]) = nodes().await;
    let (_ann, mut phone) = ann_at(&nats, 2, &a, &b).await;
    a.http.delete_as(&phone.token, &format!("/dashboard/device/{}", phone.device)).await.expect(200);
    phone.socket.expect_end().await;
    // And with its last phone the node does not listen for the account any more.
    nats.until_heard(2, 0).await;
}

#[tokio::test]
async fn while_the_bus_is_away_the_store_brings_everything_and_it_heals() {
    let (mut nats, [a, b]) = nodes().await;
    let (ann, mut phone) = ann_at(&nats, 2, &a, &b).await;
    assert_eq!(readiness(&a).await, (200, json!("up")));
    nats.kill().await;
    for node in [&a, &b] {
        until_bus(node, "away").await;
        assert_eq!(readiness(node).await.0, 503);
    }
    // Within a node nothing is missing.
    let mut here = ann.bind_another_phone(&a, &phone.backup_codes[0]).await;
    let (mut browser, uuid) = ann.asking_browser(&a).await;
    here.answer(&uuid, true).await;
    ann.exchange(&browser.expect_code().await).await.token();
    // What that ask was for the other node's phone is over: it shows the next one.
    let (mut browser, uuid) = ann.asking_browser(&a).await;
    here.socket.expect("ask_mobile_connection").await;
    b.clock.advance(SWEEP);
    let shown = phone.socket.expect("ask_mobile_connection").await;
    assert_eq!(shown["uuid"], uuid);
    let reply = phone.socket.call(&phone.answer_frame(&uuid, true)).await;
    assert_eq!(reply["message"], "Message sent", "{reply}");
    // Nothing rings for the browser: a look at the store brings its code.
    a.clock.advance(SWEEP);
    ann.exchange(&browser.expect_code().await).await.token();
    assert_eq!(here.socket.expect("resolved_mobile_connection").await["response"], true);

    nats.begin().await;
    for node in [&a, &b] {
        until_bus(node, "up").await;
    }
    nats.until_heard(2, 2).await;
    let (mut browser, uuid) = ann.asking_browser(&a).await;
    phone.answer(&uuid, true).await;
    browser.expect_code().await;
}

#[tokio::test]
async fn who_can_write_to_the_bus_can_make_nobody_believe_anything() {
    let (nats, [a, b]) = nodes().await;
    let (ann, mut phone) = ann_at(&nats, 2, &a, &b).await;
    let stranger = async_nats::connect(nats.url()).await.unwrap();
    let (mut browser, uuid) = ann.asking_browser(&a).await;
    phone.socket.expect("ask_mobile_connection").await;
    let account = nats.subjects().await.into_iter().find(|s| s.starts_with("rl.account.")).unwrap();
    let number = account.rsplit('.').next().unwrap().parse::<i64>().unwrap();
    let resolved = json!({"do": "resolved", "account": number, "pairing": uuid, "number": 1, "reason": "answered", "approved": true});
    let scan = json!({"do": "scan", "account": number, "pairing": uuid});
    for subject in nats.subjects().await {
        for frame in [&resolved, &scan] {
            let forged = [vec![0; 32], frame.to_string().into_bytes()].concat();
            stranger.publish(subject.clone(), forged.into()).await.unwrap();
            stranger.publish(subject.clone(), frame.to_string().into()).await.unwrap();
        }
        stranger.publish(subject, vec![0xff; 100_000].into()).await.unwrap();
    }
    stranger.flush().await.unwrap();
    // What the nodes ring themselves comes behind the forged frames: nothing came of those before it.
    let (_other, next) = ann.asking_browser(&a).await;
    assert_eq!(phone.socket.expect("ask_mobile_connection").await["uuid"], next);
    let reply = phone.socket.call(&phone.answer_frame(&uuid, true)).await;
    assert_eq!(reply["message"], "Message sent", "{reply}");
    browser.expect_code().await;
}

#[tokio::test]
async fn browsers_that_merely_wait_cost_nothing_on_the_bus() {
    let (nats, [a]) = nodes().await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut browser = a.socket().await;
        browser.ready_login().await;
        waiting.push(browser);
    }
    let subjects = nats.subjects().await;
    assert_eq!(subjects.len(), 1, "{subjects:?}");
}

#[tokio::test]
async fn a_node_starts_while_the_bus_is_away_and_says_so() {
    let mut nats = NatsServer::start().await;
    nats.kill().await;
    let node = Server::start(&[("BUS__URL", &nats.url())]).await;
    assert_eq!(readiness(&node).await, (503, json!("away")));
    let (ann, mut phone) = node.person_with_phone("ann").await;
    phone.approved_code(&node, &ann).await;
    nats.begin().await;
    until_bus(&node, "up").await;
    nats.until_heard(1, 1).await;
}

#[tokio::test]
async fn the_bus_speaks_tls_and_takes_names_passwords_and_certificates() {
    let (own, other) = (Certificate::new(), Certificate::new());
    let (cert, key) = (own.file("cert.pem"), own.file("key.pem"));
    let tls = ["--tls", "--tlsverify", "--tlscert", &cert, "--tlskey", &key, "--tlscacert", &cert];
    let nats = NatsServer::start_with(&[&tls[..], &["--user", "rl", "--pass", "hunter2"]].concat()).await;
    let url = |who: &str| format!("tls://{who}@127.0.0.1:{}", nats.port());
    let right = url("rl:hunter2");
    let full = [("BUS__URL", right.as_str()), ("BUS__CA", &cert), ("BUS__CERT", &cert), ("BUS__KEY", &key)];
    let a = Server::start(&full).await;
    until_bus(&a, "up").await;
    let b = a.twin().await;
    nats.until_heard(2, 0).await;
    let (ann, mut phone) = ann_at(&nats, 2, &a, &b).await;
    let (mut browser, uuid) = ann.asking_browser(&a).await;
    phone.answer(&uuid, true).await;
    ann.exchange(&browser.expect_code().await).await.token();

    // Each of these alone is no way in, and none stops a node from serving.
    let (wrong, stranger) = (url("rl:hunter3"), other.file("cert.pem"));
    for change in [("BUS__URL", wrong.as_str()), ("BUS__CA", &stranger)] {
        let c = a.twin_with(&[change]).await;
        let (bob, mut phone) = c.person_with_phone(change.0).await;
        phone.approved_code(&c, &bob).await;
        assert_eq!(readiness(&c).await, (503, json!("away")), "{change:?}");
    }
}
