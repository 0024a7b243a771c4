//! What all requests share is shared fairly: neither one session nor one network keeps others from it, however much it
//! asks for at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::harness::{Answer, Http, PASSWORD, Server, soon};

/// Requests that are made again and again, many at a time, until it is stopped.
struct Flood {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<BTreeMap<u16, usize>>>,
}

/// What a flood asks for.
#[derive(Clone)]
struct Ask {
    method: &'static str,
    path: &'static str,
    token: Option<String>,
    /// Where it comes from, by the word of a proxy.
    from: Option<&'static str>,
    body: Option<Value>,
}

impl Ask {
    async fn send(&self, http: &Http) -> Answer {
        let mut request = http.request(self.method, self.path);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(from) = self.from {
            request = request.header("x-forwarded-for", from);
        }
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        Answer::read(request.send().await.unwrap()).await
    }
}

impl Flood {
    /// Begins, and returns once it is under way.
    async fn begin(server: &Server, at_once: usize, ask: &Ask) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let refused = Arc::new(AtomicUsize::new(0));
        let client = |_| {
            let (http, ask) = (server.http.clone(), ask.clone());
            let (stop, answered, refused) = (stop.clone(), answered.clone(), refused.clone());
            tokio::spawn(async move {
                let mut statuses = BTreeMap::new();
                while !stop.load(Ordering::Acquire) {
                    let status = ask.send(&http).await.status;
                    *statuses.entry(status).or_default() += 1;
                    refused.fetch_add(usize::from(status == 503), Ordering::AcqRel);
                    answered.fetch_add(1, Ordering::AcqRel);
                }
                statuses
            })
        };
        let clients = (0..at_once).map(client).collect();
        let flood = Self { clients, stop: stop.clone(), refused: refused.clone() };
        soon("the flood", async || (answered.load(Ordering::Acquire) > at_once / 8).then_some(())).await;
        flood
    }

    /// Waits until there is not enough for all of it: before that nobody else could lack anything.
    async fn until_scarce(&self) {
        soon("a refusal", async || (self.refused.load(Ordering::Acquire) > 0).then_some(())).await;
    }

    /// Stops it, and returns how often it got which status.
    async fn end(self) -> BTreeMap<u16, usize> {
        self.stop.store(true, Ordering::Release);
        let mut all = BTreeMap::new();
        for client in self.clients {
            for (status, count) in client.await.unwrap() {
                *all.entry(status).or_default() += count;
            }
        }
        all
    }
}

/// Logs people in, one after the other, each from the address given.
async fn log_in(server: &Server, people: usize, from: Option<&'static str>) {
    for number in 0..people {
        login(server, number, from).await.expect(200);
    }
}

async fn login(server: &Server, number: usize, from: Option<&'static str>) -> Answer {
    let body = json!({"email": format!("person{number}@example.org"), "password": PASSWORD});
    let ask = Ask { method: "POST", path: "/auth/p/login", token: None, from, body: Some(body) };
    ask.send(&server.http).await
}

async fn register(server: &Server, people: usize) {
    for number in 0..people {
        server.person(&format!("person{number}")).await;
    }
}

/// One hash at a time, and eight that wait for it.
const NARROW: [(&str, &str); 3] =
    [("PASSWORD__THREADS", "1"), ("PASSWORD__QUEUE", "8"), ("PASSWORD__MEMORY_KIB", "2048")];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_that_changes_its_password_in_a_loop_keeps_nobody_from_logging_in() {
    let server = Server::start(&NARROW).await;
    register(&server, 10).await;
    let mallory = server.person("mallory").await;
    for old in ["not the old one", PASSWORD] {
        let body = json!({"password": old, "new_password": PASSWORD});
        let ask = Ask {
            method: "POST",
            path: "/dashboard/password",
            token: Some(mallory.token.clone()),
            from: None,
            body: Some(body),
        };
        let flood = Flood::begin(&server, 40, &ask).await;
        flood.until_scarce().await;
        log_in(&server, 10, None).await;
        let statuses = flood.end().await;
        assert!(statuses.keys().all(|status| [200, 401, 503].contains(status)), "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_network_that_guesses_in_a_loop_keeps_no_other_network_from_logging_in() {
    let settings = [&NARROW[..], &[("SERVER__TRUSTED_PROXIES", "127.0.0.1")]].concat();
    let server = Server::start(&settings).await;
    register(&server, 10).await;
    let ask = Ask {
        method: "POST",
        path: "/auth/p/login",
        token: None,
        from: Some("203.0.113.7"),
        body: Some(json!({"email": "person0@example.org", "password": "wrong password"})),
    };
    let flood = Flood::begin(&server, 40, &ask).await;
    flood.until_scarce().await;
    log_in(&server, 10, Some("198.51.100.1")).await;
    // Nor an owner in the very same network who is logged in.
    let token = login(&server, 1, Some("198.51.100.1")).await.token();
    let body = Some(json!({"password": PASSWORD, "new_password": PASSWORD}));
    let change = Ask { path: "/dashboard/password", token: Some(token), body, ..ask };
    for _ in 0..5 {
        change.send(&server.http).await.expect(200);
    }
    let statuses = flood.end().await;
    assert!(statuses.keys().all(|status| [401, 503].contains(status)), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_hundred_requests_at_once_with_one_token_keep_nobody_from_logging_in() {
    let server = Server::start(&[]).await;
    register(&server, 30).await;
    let mallory = server.person("mallory").await;
    let asks = [
        ("GET", "/dashboard/devices", None),
        ("POST", "/dashboard/export", Some(json!({"password": PASSWORD}))),
        ("POST", "/dashboard/password", Some(json!({"password": "not it", "new_password": PASSWORD}))),
    ];
    for (method, path, body) in asks {
        let ask = Ask { method, path, token: Some(mallory.token.clone()), from: None, body };
        let flood = Flood::begin(&server, 400, &ask).await;
        let logins = join_all((0..30).map(|number| login(&server, number, None))).await;
        let statuses = flood.end().await;
        let lost: Vec<_> = logins.iter().filter(|answer| answer.status != 200).collect();
        assert!(lost.is_empty(), "{path}: {} of 30 logins lost: {:?}", lost.len(), lost[0]);
        assert!(statuses.keys().all(|status| [200, 401, 503].contains(status)), "{path}: {statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_hundred_requests_at_once_with_a_token_that_is_over_keep_its_owner_from_nothing() {
    let server = Server::start(&[("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    let ann = server.person("ann").await;
    let stolen = ann.post("login", &json!({})).await.token();
    server.http.post_as(&stolen, "/api/v1/auth/logout", &json!({})).await.expect(204);
    let [with_stolen, with_own] =
        [(stolen, "203.0.113.7"), (ann.token.clone(), "198.51.100.1")].map(|(token, from)| Ask {
            method: "GET",
            path: "/dashboard/devices",
            token: Some(token),
            from: Some(from),
            body: None,
        });
    let flood = Flood::begin(&server, 400, &with_stolen).await;
    let answers = join_all((0..30).map(|_| with_own.send(&server.http))).await;
    let statuses = flood.end().await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert!(statuses.keys().all(|status| [401, 503].contains(status)), "{statuses:?}");
}

/// Nobody else is there: all of it is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_address_or_one_account_asks_for_at_once_is_done_while_nobody_else_waits() {
    let server = Server::start(&[("PASSWORD__QUEUE", "400")]).await;
    let ann = server.person("ann").await;
    let devices = (0..400).map(|_| server.http.get_as(&ann.token, "/dashboard/devices"));
    assert!(join_all(devices).await.iter().all(|answer| answer.status == 200));
    let nothing = json!({});
    let logins = (0..200).map(|_| ann.post("login", &nothing));
    assert!(join_all(logins).await.iter().all(|answer| answer.status == 200));
}
