//! Load is refused, not suffered: sockets have seats, hashing has a queue, and sources are who they are.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

use crate::harness::{
    PASSWORD, PATIENCE, Person, Process, Server, Socket, all_settings, current_device, store_url,
};

/// The status and `Retry-After` of a refused handshake.
async fn turned_away(server: &Server, headers: &[(&'static str, &str)]) -> (u16, String) {
    match Socket::try_open(server.url(), headers).await {
        Err(tungstenite::Error::Http(refusal)) => {
            let wait = refusal.headers().get("retry-after").map_or("", |value| value.to_str().unwrap());
            (refusal.status().as_u16(), wait.to_owned())
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("there was a seat"),
    }
}

/// Opens a socket as soon as a seat is given back.
async fn a_seat(server: &Server, headers: &[(&'static str, &str)]) -> Socket {
    let look = async {
        loop {
            match Socket::try_open(server.url(), headers).await {
                Ok(socket) => return socket,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("a seat is given back")
}

#[tokio::test]
async fn a_source_has_so_many_seats_and_gets_them_back() {
    let settings =
        [("LIMITS__FACTOR", "1"), ("SOCKET__PER_SOURCE", "3"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start(&settings).await;
    let mut sockets = vec![server.socket().await, server.socket().await, server.socket().await];
    assert_eq!(turned_away(&server, &[]).await, (429, "10".to_owned()));
    // Others are served, and who waits already notices nothing.
    let elsewhere = [("x-forwarded-for", "192.0.2.7")];
    Socket::try_open(server.url(), &elsewhere).await.unwrap().ready_login().await;
    server.http.get("/healthz").await.expect(200);
    for socket in &mut sockets {
        socket.ready_login().await;
    }
    sockets.pop().unwrap().vanish();
    a_seat(&server, &[]).await.ready_login().await;
}

#[tokio::test]
async fn one_ipv6_customer_is_one_source() {
    let settings =
        [("LIMITS__FACTOR", "1"), ("SOCKET__PER_SOURCE", "1"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start(&settings).await;
    let _first = Socket::try_open(server.url(), &[("x-forwarded-for", "2001:db8::1")]).await.unwrap();
    let neighbour = [("x-forwarded-for", "2001:db8::ffff:1")];
    assert_eq!(turned_away(&server, &neighbour).await.0, 429);
    Socket::try_open(server.url(), &[("x-forwarded-for", "2001:db8:0:1::1")]).await.unwrap();
}

#[tokio::test]
async fn the_server_has_so_many_seats_and_gets_them_back() {
    let server = Server::start(&[("SOCKET__TOTAL", "2")]).await;
    let (first, mut second) = (server.socket().await, server.socket().await);
    assert_eq!(turned_away(&server, &[]).await, (503, "10".to_owned()));
    second.ready_login().await;
    server.person("ann").await;
    first.vanish();
    a_seat(&server, &[]).await.ready_login().await;
}

#[tokio::test]
async fn a_handshake_that_is_refused_keeps_no_seat() {
    let settings = [
        ("LIMITS__FACTOR", "1"),
        ("SOCKET__PER_SOURCE", "1"),
        ("SOCKET__TOTAL", "2"),
        ("SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let server = Server::start(&settings).await;
    for _ in 0..5 {
        assert_eq!(turned_away(&server, &[("origin", "https://evil.example")]).await.0, 403);
    }
    server.http.get("/ws").await.expect(426);
    let mut first = server.socket().await;
    for _ in 0..5 {
        assert_eq!(turned_away(&server, &[]).await.0, 429);
    }
    Socket::try_open(server.url(), &[("x-forwarded-for", "192.0.2.7")]).await.unwrap().ready_login().await;
    first.ready_login().await;
}

/// What the phone is shown as the browser's address.
async fn shown_address(settings: &[(&str, &str)], headers: &[(&'static str, &str)]) -> Value {
    let server = Server::start(settings).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let mut browser = Socket::try_open(server.url(), headers).await.unwrap();
    let uuid = browser.ready_login().await["uuid"].clone();
    browser.call(&ann.ask_frame(&uuid)).await;
    phone.socket.expect("ask_mobile_connection").await["ip"].clone()
}

#[tokio::test]
async fn a_stranger_s_word_on_where_it_is_is_not_believed() {
    let headers = [("x-forwarded-for", "192.0.2.7"), ("forwarded", "for=192.0.2.8")];
    assert_eq!(shown_address(&[], &headers).await, "127.0.0.1");
    let other = [("SERVER__TRUSTED_PROXIES", "10.0.0.0/8")];
    assert_eq!(shown_address(&other, &headers).await, "127.0.0.1");
}

#[tokio::test]
async fn a_trusted_proxy_s_word_is_and_only_its_own() {
    let trusted = [("SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let shown = async |headers: &[(&'static str, &str)]| shown_address(&trusted, headers).await;
    assert_eq!(shown(&[("x-forwarded-for", "192.0.2.7")]).await, "192.0.2.7");
    // What the client itself had written stands to the left of what the proxy saw.
    assert_eq!(shown(&[("x-forwarded-for", "203.0.113.9, 192.0.2.7")]).await, "192.0.2.7");
    assert_eq!(
        shown(&[("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "192.0.2.7")]).await,
        "192.0.2.7"
    );
    assert_eq!(shown(&[("forwarded", "for=203.0.113.9, for=\"[2001:db8::7]:1\"")]).await, "2001:db8::7");
    assert_eq!(shown(&[("x-forwarded-for", "nonsense")]).await, "127.0.0.1");
    assert_eq!(shown(&[]).await, "127.0.0.1");
}

#[tokio::test]
async fn a_full_hash_queue_says_busy_and_who_waits_notices_nothing() {
    // A hash of about half a second, one at a time, and one that waits for its turn.
    let settings = [
        ("PASSWORD__THREADS", "1"),
        ("PASSWORD__QUEUE", "1"),
        ("PASSWORD__MEMORY_KIB", "131072"),
        ("PASSWORD__ITERATIONS", "4"),
    ];
    let server = Server::start(&settings).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut waiting, uuid) = ann.asking_browser(&server).await;
    let mut late = server.socket().await;
    let late_uuid = late.ready_login().await["uuid"].clone();

    let logins = (0..6).map(|_| {
        let ann = ann.clone();
        tokio::spawn(async move { ann.post("login", &json!({})).await })
    });
    let mut logins: futures_util::stream::FuturesUnordered<_> = logins.collect();
    let first = futures_util::StreamExt::next(&mut logins).await.unwrap().unwrap();
    assert_eq!((first.status, first.header("retry-after")), (503, "2"), "{first:?}");
    assert_eq!(first.json()["error"], "busy");
    // While the queue is full: the same on a socket, which stays open, as do those that wait.
    let refused = late.call(&ann.ask_frame(&late_uuid)).await;
    assert_eq!((&refused["error"], &refused["retryAfter"]), (&json!("busy"), &json!(2)), "{refused}");
    phone.answer(&uuid, true).await;
    let code = waiting.expect_code().await;

    let mut statuses = vec![first.status];
    while let Some(answer) = futures_util::StreamExt::next(&mut logins).await {
        statuses.push(answer.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503, 503, 503, 503]);
    ann.exchange(&code).await.token();
    assert_eq!(late.call(&ann.ask_frame(&late_uuid)).await["message"], "Message sent");
}

#[tokio::test]
async fn logins_that_give_up_give_their_places_back() {
    let settings = [("PASSWORD__THREADS", "1"), ("PASSWORD__QUEUE", "2"), ("PASSWORD__MEMORY_KIB", "32768")];
    let server = Server::start(&settings).await;
    let ann = server.person("ann").await;
    for _ in 0..10 {
        let login = async { ann.post("login", &json!({})).await };
        let _ = tokio::time::timeout(std::time::Duration::from_millis(5), login).await;
    }
    let look = async { while ann.post("login", &json!({})).await.status == 503 {} };
    tokio::time::timeout(PATIENCE, look).await.expect("a place is given back");
}

#[tokio::test]
async fn logins_at_once_survive_a_change_of_cost() {
    let cheap = Server::start(&[]).await;
    let ann = cheap.person("ann").await;
    let setting = |name: &str| cheap.settings().iter().find(|(key, _)| key == name).unwrap().1.clone();
    let (store, seal) = (setting("READYLOGIN_STORE__URL"), setting("READYLOGIN_KEYS__SEAL_FILE"));
    let dear = [
        ("STORE__URL", store.as_str()),
        ("KEYS__SEAL_FILE", &seal),
        ("PASSWORD__MEMORY_KIB", "256"),
        ("PASSWORD__QUEUE", "100"),
    ];
    let dear = Server::start(&dear).await;
    let logins = (0..20).map(|_| {
        let ann: Person = ann.at(&dear);
        tokio::spawn(async move { ann.post("login", &json!({"password": PASSWORD})).await })
    });
    let logins: Vec<_> = logins.collect();
    for login in logins {
        login.await.unwrap().token();
    }
}

#[tokio::test]
async fn those_who_wait_do_not_take_the_last_file_handle() {
    let folder = tempfile::tempdir().unwrap();
    let settings = all_settings(&[], &store_url(folder.path()).await, folder.path());
    let server = Process::start_with_files(300, &settings, folder.path()).await;
    let ann = Person::register(&server.http, "p", "ann@example.org").await;
    let mut phone = ann.bind_phone(&server).await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    let mut crowd = Vec::new();
    let refused = loop {
        match Socket::try_open(&server.url, &[]).await {
            Ok(socket) => crowd.push(socket),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(&refused, tungstenite::Error::Http(answer) if answer.status() == 503), "{refused:?}");
    assert_eq!(crowd.len(), 148, "half of 300 handles, less the phone and the browser");
    browser.call(&ann.ask_frame(&uuid)).await;
    phone.answer(&uuid, true).await;
    let code = browser.expect_code().await;
    ann.exchange(&code).await.token();
}

/// A server whose sockets may come from anywhere, as a declared proxy has it, and the headers of one address.
async fn small_server(total: &str) -> Server {
    let settings = [("SOCKET__TOTAL", total), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    Server::start(&settings).await
}

/// The token of an approving phone that has not opened a socket.
async fn approving_token(server: &Server, owner: &Person) -> String {
    let token = owner.post("login", &json!({"name_device": "Pixel"})).await.token();
    let device = current_device(&server.http, &token).await;
    let body = json!({"method_2fa": "MOBILE", "trusted_device_id": device});
    server.http.post_as(&token, "/2fa/method/mobile", &body).await.expect(200);
    token
}

async fn socket_from(server: &Server, address: &str) -> Option<Socket> {
    Socket::try_open(server.url(), &[("x-forwarded-for", address)]).await.ok()
}

#[tokio::test]
async fn six_addresses_that_fill_all_seats_keep_no_phone_and_no_browser_of_others_out() {
    let server = small_server("30").await;
    let ann = server.person("ann").await;
    let token = approving_token(&server, &ann).await;
    let mut crowd = Vec::new();
    for n in 0..60 {
        let Some(mut socket) = socket_from(&server, &format!("198.51.{}.1", n % 6)).await else { continue };
        socket.ready_login().await;
        crowd.push(socket);
    }
    assert!(crowd.len() >= 27, "{}", crowd.len());

    let mut phone_socket = socket_from(&server, "192.0.2.1").await.expect("a seat for the phone");
    let ready = json!({"action": "ready", "authToken": token});
    assert_eq!(phone_socket.call(&ready).await["message"], "Connection ready");
    let mut browser =
        socket_from(&server, "203.0.113.1").await.expect("a seat for a browser of another network");
    let uuid = browser.ready_login().await["uuid"].clone();
    browser.call(&ann.ask_frame(&uuid)).await;
    phone_socket.expect("ask_mobile_connection").await;
    let answer =
        json!({"action": "responseMobileConnection", "authToken": token, "uuid": uuid, "response": true});
    phone_socket.call(&answer).await;
    ann.exchange(&browser.expect_code().await).await.token();
}

#[tokio::test]
async fn the_newest_browser_of_the_largest_network_is_told_to_come_back_and_an_asked_one_is_not() {
    let server = small_server("3").await;
    let ann = server.person("ann").await;
    let mut asked = socket_from(&server, "198.51.100.1").await.unwrap();
    let mut older = socket_from(&server, "198.51.100.2").await.unwrap();
    older.ready_login().await;
    let mut newest = socket_from(&server, "198.51.100.3").await.unwrap();
    newest.ready_login().await;
    let uuid = asked.ready_login().await["uuid"].clone();
    asked.call(&ann.ask_frame(&uuid)).await;
    let mut newcomer = socket_from(&server, "192.0.2.1").await.expect("a seat");
    newest.expect_close(1013).await;
    newcomer.ready_login().await;
    older.expect_pong().await;
    asked.expect_pong().await;
}

#[tokio::test]
async fn a_seat_that_is_kept_for_phones_is_lost_to_a_socket_that_is_not_ready_in_five_seconds() {
    let server = small_server("10").await;
    let ann = server.person("ann").await;
    let token = approving_token(&server, &ann).await;
    let mut crowd = Vec::new();
    for n in 0..9 {
        crowd.push(socket_from(&server, &format!("198.51.{n}.1")).await.unwrap());
    }
    let mut silent = socket_from(&server, "192.0.2.1").await.expect("the place that is kept");
    server.clock.advance(std::time::Duration::from_secs(5));
    silent.expect_close(1013).await;
    silent.vanish();
    let mut browser = a_seat(&server, &[("x-forwarded-for", "192.0.2.2")]).await;
    browser.send(&json!({"action": "readyLogin", "os": "", "browser": "", "location": ""})).await;
    browser.receive().await;
    browser.expect_close(1013).await;
    browser.vanish();
    let mut phone_socket = a_seat(&server, &[("x-forwarded-for", "192.0.2.3")]).await;
    let ready = json!({"action": "ready", "authToken": token});
    assert_eq!(phone_socket.call(&ready).await["message"], "Connection ready");
    server.clock.advance(std::time::Duration::from_secs(6));
    phone_socket.expect_pong().await;
}
