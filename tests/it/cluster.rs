//! Three server processes on one store and one NATS server: what the death, the end or the sleep of one of them costs.

use serde_json::json;

use crate::durable::{Login, asked, resume_frame, resumed};
use crate::harness::{NatsServer, Process, Socket, all_settings, run, soon, store_url};

/// The processes, and what they share.
struct Cluster {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    nats: NatsServer,
}

impl Cluster {
    async fn start<const N: usize>(more: &[(&str, &str)]) -> (Self, [Process; N]) {
        let (folder, nats) = (tempfile::tempdir().unwrap(), NatsServer::start().await);
        let url = nats.url();
        let common = [("BUS__URL", url.as_str()), ("SERVER__PUBLIC_URL", "http://localhost:1")];
        let settings =
            all_settings(&[&common, more].concat(), &store_url(folder.path()).await, folder.path());
        let cluster = Self { folder, settings, nats };
        let mut nodes = Vec::new();
        for _ in 0..N {
            nodes.push(cluster.node().await);
        }
        cluster.nats.until_heard(N, 0).await;
        let Ok(nodes) = nodes.try_into() else { unreachable!("as many as were started") };
        (cluster, nodes)
    }

    async fn node(&self) -> Process {
        Process::start(&["serve"], &self.settings, self.folder.path()).await
    }

    async fn command(&self, arguments: &[&str]) {
        let done = run(arguments, &self.settings, self.folder.path(), "").await;
        assert_eq!(done.code, Some(0), "{done:?}");
    }
}

/// A login that was asked for at the first node; its phone moves to the second.
async fn asked_across(a: &Process, b: &Process, name: &str) -> Login {
    let mut login = asked(a, name).await;
    login.phone.reconnect(b).await;
    login
}

#[tokio::test]
async fn nodes_that_start_at_once_on_an_empty_store_all_come_up() {
    let (folder, nats) = (tempfile::tempdir().unwrap(), NatsServer::start().await);
    let url = nats.url();
    // Which node makes the seal key's file is not what this is about.
    let key = "5e".repeat(32);
    let settings = [("BUS__URL", url.as_str()), ("KEYS__SEAL", &key)];
    let settings = all_settings(&settings, &store_url(folder.path()).await, folder.path());
    let start = || Process::start(&["serve"], &settings, folder.path());
    let nodes = futures_util::future::join_all((0..4).map(|_| start())).await;
    let mut keys = Vec::new();
    for node in &nodes {
        soon("ready", async || (node.http.get("/readyz").await.status == 200).then_some(())).await;
        keys.push(node.http.get("/.well-known/jwks.json").await.expect(200).text);
    }
    keys.dedup();
    assert_eq!(keys.len(), 1, "one signing key for all of them: {keys:?}");
}

#[tokio::test]
async fn a_killed_node_takes_no_approval_with_it() {
    let (_cluster, [a, b, c]) = Cluster::start(&[]).await;
    let mut login = asked_across(&a, &b, "ann").await;
    a.kill().await;
    login.phone.answer(&login.hello["uuid"], true).await;
    let code = resumed(&c, &login.hello).await.expect_code().await;
    login.person.at(&b).exchange(&code).await.token();
    assert_eq!(login.person.at(&c).exchange(&code).await.refusal(400), "invalid 2FA token");
}

#[tokio::test]
async fn a_stopped_node_lets_everybody_go_and_is_not_missed() {
    let (_cluster, [a, b, c]) = Cluster::start(&[("SERVER__DRAIN", "2s")]).await;
    let mut login = asked_across(&a, &b, "ann").await;
    a.signal("TERM").await;
    login.browser.expect_close(1001).await;
    assert_eq!(a.wait().await, Some(0));
    let mut browser = resumed(&c, &login.hello).await;
    login.phone.answer(&login.hello["uuid"], true).await;
    let code = browser.expect_code().await;
    login.person.at(&b).exchange(&code).await.token();
}

#[tokio::test]
async fn a_node_that_slept_through_an_approval_gives_out_no_second_code() {
    let (_cluster, [a, b, c]) = Cluster::start(&[]).await;
    let mut login = asked_across(&a, &b, "ann").await;
    a.signal("STOP").await;
    login.phone.answer(&login.hello["uuid"], true).await;
    let code = resumed(&c, &login.hello).await.expect_code().await;
    login.person.at(&c).exchange(&code).await.token();
    a.signal("CONT").await;
    // Its socket was taken over, or is told that there is nothing left; never the code again.
    let told = login.browser.next_text().await;
    assert!(told.as_ref().is_none_or(|frame| frame["error"] == "expired"), "{told:?}");
    let mut late = a.socket().await;
    assert_eq!(late.refused(&resume_frame(&login.hello)).await, "expired");
}

#[tokio::test]
async fn a_browser_whose_ring_was_lost_hears_within_two_seconds() {
    let (mut cluster, [a, b]) = Cluster::start(&[]).await;
    let mut login = asked_across(&a, &b, "ann").await;
    login.phone.socket.expect("ask_mobile_connection").await;
    cluster.nats.kill().await;
    let reply = login.phone.socket.call(&login.phone.answer_frame(&login.hello["uuid"], true)).await;
    assert_eq!(reply["message"], "Message sent", "{reply}");
    let clock = readylogin::clock::Clock::system();
    let begun = clock.uptime();
    login.browser.expect_code().await;
    let waited = clock.uptime() - begun;
    assert!(waited.as_secs() < 2, "{waited:?}");
}

#[tokio::test]
async fn what_an_operator_does_holds_on_all_nodes_within_a_second() {
    let (cluster, [a, b, c]) = Cluster::start(&[("JWT__JWKS_MAX_AGE", "1s")]).await;
    let mut login = asked_across(&a, &b, "ann").await;
    let published = async |node: &Process| {
        let keys = node.http.get("/.well-known/jwks.json").await.expect(200).json();
        keys["keys"].as_array().unwrap().len()
    };
    cluster.command(&["keys", "rotate"]).await;
    for node in [&a, &b, &c] {
        soon("the new key", async || (published(node).await == 2).then_some(())).await;
    }
    cluster.command(&["account", "disable", "--kind", "p", "--email", "ann@example.org"]).await;
    login.phone.socket.expect_end().await;
    let last = login.browser.last_word().await.unwrap();
    assert_eq!(last["error"], "expired", "{last}");
    for node in [&a, &b, &c] {
        let refused = login.person.at(node).post("login", &json!({})).await;
        assert_eq!(refused.refusal(403), "Not authorized, this account is disable");
    }
}

#[tokio::test]
async fn a_draining_node_says_so_and_lets_its_sockets_go_in_waves() {
    let (_cluster, [a]) = Cluster::start(&[("SERVER__DRAIN", "8s")]).await;
    let mut sockets: Vec<Socket> = Vec::new();
    for _ in 0..120 {
        let mut socket = a.socket().await;
        socket.ready_login().await;
        sockets.push(socket);
    }
    a.signal("TERM").await;
    soon("503", async || (a.http.get("/readyz").await.status == 503).then_some(())).await;
    let refused = Socket::try_open(&a.url, &[]).await.err().expect("no new sockets").to_string();
    assert!(refused.contains("503"), "{refused}");
    // Waves are a quarter of a second and more apart: those of the last one are still served.
    let mut served = 0;
    for socket in &mut sockets {
        socket.send(&json!({"action": "nothing more"})).await;
        served += u32::from(socket.next_text().await.is_some());
    }
    assert!((1..=70).contains(&served), "{served} of 120 were not told to go at once");
    assert_eq!(a.wait().await, Some(0));
}

#[tokio::test]
async fn the_bus_s_password_is_in_no_log() {
    let (folder, mut nats) = (tempfile::tempdir().unwrap(), NatsServer::start().await);
    let url = nats.url().replace("://", "://node:open-sesame@");
    let settings = [("BUS__URL", url.as_str()), ("LOG__LEVEL", "trace"), ("SERVER__DRAIN", "1s")];
    let settings = all_settings(&settings, &store_url(folder.path()).await, folder.path());
    let log = folder.path().join("log");
    let node = Process::start_logging(&["serve"], &settings, folder.path(), &log).await;
    nats.until_heard(1, 0).await;
    nats.kill().await;
    soon("503", async || (node.http.get("/readyz").await.status == 503).then_some(())).await;
    nats.begin().await;
    nats.until_heard(1, 0).await;
    node.signal("TERM").await;
    assert_eq!(node.wait().await, Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("bus: away"), "{log}");
    let told = log.lines().find(|line| line.contains("open-sesame"));
    assert_eq!(told, None);
}
