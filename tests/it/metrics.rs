//! What a monitor reads, who may read it, and that it says nothing of anybody.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::harness::{Http, NatsServer, Server, soon};

const TOKEN: &str = "a monitor's own secret";

/// The lines of a text in Prometheus' format 0.0.4, after a look at its form.
fn series(text: &str) -> BTreeMap<String, f64> {
    let (mut families, mut series) = (BTreeSet::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            assert!(["gauge", "counter"].contains(&kind) && families.insert(name.to_owned()), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(families.contains(name.split('{').next().unwrap()), "{line}: of no family");
            assert!(series.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{line}: twice");
        }
    }
    assert!(text.ends_with('\n') && series.keys().all(|name| name.starts_with("readylogin_")), "{text}");
    series
}

async fn read(monitor: &Http) -> BTreeMap<String, f64> {
    let answer = monitor.get("/metrics").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    series(&answer.text)
}

#[tokio::test]
async fn without_a_setting_there_are_none() {
    let server = Server::start(&[]).await;
    server.http.get("/metrics").await.expect(404);
    assert!(server.monitor.is_none());
}

#[tokio::test]
async fn with_a_token_they_are_for_who_shows_it() {
    let server = Server::start(&[("METRICS__TOKEN", TOKEN)]).await;
    let ann = server.person("ann").await;
    server.http.get("/metrics").await.expect(401);
    for wrong in [&TOKEN[1..], "", &ann.token] {
        server.http.get_as(wrong, "/metrics").await.expect(401);
    }
    let answer = server.http.get_as(TOKEN, "/metrics").await.expect(200);
    assert!(!series(&answer.text).is_empty());
    server.http.post_as(TOKEN, "/metrics", &json!({})).await.expect(405);
    server.http.get_as(TOKEN, "/dashboard/devices").await.expect(401);
}

#[tokio::test]
async fn a_listener_of_their_own_serves_nothing_else() {
    let server = Server::start(&[("METRICS__LISTEN", "127.0.0.1:0")]).await;
    server.http.get("/metrics").await.expect(404);
    let monitor = server.monitor.as_ref().unwrap();
    for other in ["/", "/healthz", "/account", "/.well-known/jwks.json", "/ws"] {
        monitor.get(other).await.expect(404);
    }
    monitor.post("/metrics", &json!({})).await.expect(405);
    monitor.post("/auth/p/login", &json!({})).await.expect(404);
    read(monitor).await;
}

#[tokio::test]
async fn they_move_with_what_happens_and_name_nobody() {
    let server = Server::start(&[("METRICS__LISTEN", "127.0.0.1:0")]).await;
    let monitor = server.monitor.as_ref().unwrap();
    let at = async |name: &str| read(monitor).await.get(&format!("readylogin_{name}")).copied();
    assert_eq!([at("sockets").await, at("browsers_waiting").await], [Some(0.0), Some(0.0)]);
    assert_eq!([at("up{part=\"store\"}").await, at("up{part=\"bus\"}").await], [Some(1.0), Some(1.0)]);

    let (ann, mut phone) = server.person_with_phone("ann").await;
    assert_eq!([at("sockets").await, at("phones_online").await, at("accounts_online").await], [Some(1.0); 3]);
    let mut waiting = server.socket().await;
    waiting.ready_login().await;
    assert_eq!([at("sockets").await, at("browsers_waiting").await], [Some(2.0), Some(1.0)]);
    waiting.vanish();
    soon("the socket's end", async || (at("browsers_waiting").await == Some(0.0)).then_some(())).await;

    let wrong = "audit_total{event=\"password\",outcome=\"bad_credentials\"}";
    let before = at(wrong).await.unwrap_or_default();
    ann.post("login", &json!({"password": "not the password"})).await.expect(401);
    assert_eq!(at(wrong).await, Some(before + 1.0));
    let code = phone.approved_code(&server, &ann).await;
    assert_eq!(at("audit_total{event=\"approve\",outcome=\"ok\"}").await, Some(1.0));
    ann.exchange(&code).await.token();

    let text = monitor.get("/metrics").await.text;
    for personal in ["example.org", "ann", "127.0.0.1", &code] {
        assert!(!text.replace("readylogin_up", "").contains(personal), "{personal}: {text}");
    }
}

#[tokio::test]
async fn a_bus_that_is_away_shows() {
    let mut nats = NatsServer::start().await;
    let server = Server::start(&[("METRICS__LISTEN", "127.0.0.1:0"), ("BUS__URL", &nats.url())]).await;
    let monitor = server.monitor.as_ref().unwrap();
    let bus = async |wanted: f64| {
        soon("the bus", async || {
            (read(monitor).await["readylogin_up{part=\"bus\"}"] == wanted).then_some(())
        })
        .await;
    };
    bus(1.0).await;
    nats.kill().await;
    bus(0.0).await;
}
