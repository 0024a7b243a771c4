//! A store that does not answer for a while: everybody is told to come back, who waits goes on waiting, and it heals.

use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use crate::chaos::Proxy;
use crate::harness::{Server, StoreKind, all_settings, soon, store_kind, store_url, url_of};

/// What keeps a server from its store.
enum Away {
    /// Somebody else's lock on the file.
    Locked(SqliteConnection),
    /// A connection that is cut.
    Cut(Proxy),
}

/// A server whose store can be taken away, and what does that.
async fn server() -> (Server, Away, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = store_url(folder.path()).await;
    if store_kind() == StoreKind::Sqlite {
        let server = Server::on(&all_settings(&[], &url, folder.path())).await;
        let other = SqliteConnection::connect(url_of(server.settings())).await.unwrap();
        return (server, Away::Locked(other), folder);
    }
    let (scheme, rest) = url.split_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(address.rsplit(':').next().unwrap().parse().unwrap()).await;
    let url = format!("{scheme}@127.0.0.1:{}/{database}", proxy.port());
    (Server::on(&all_settings(&[], &url, folder.path())).await, Away::Cut(proxy), folder)
}

impl Away {
    async fn set(&mut self, away: bool) {
        match self {
            Self::Locked(other) => {
                other.execute(if away { "BEGIN EXCLUSIVE" } else { "ROLLBACK" }).await.unwrap();
            }
            Self::Cut(proxy) => proxy.set_cut(away),
        }
    }
}

#[tokio::test]
async fn while_the_store_is_away_everybody_is_told_to_come_back_and_nobody_is_let_in() {
    let (server, mut store, _folder) = server().await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let code = phone.approved_code(&server, &ann).await;
    let mut browser = server.socket().await;
    let uuid = browser.ready_login().await["uuid"].clone();

    store.set(true).await;
    let refused = browser.call(&ann.ask_frame(&uuid)).await;
    assert_eq!((&refused["error"], &refused["retryAfter"]), (&json!("busy"), &json!(2)), "{refused}");
    let refused = ann.exchange(&code).await.expect(503);
    assert_eq!((refused.header("retry-after"), &refused.json()["error"]), ("2", &json!("busy")));
    // Waiting and beginning to wait need no store.
    server.socket().await.ready_login().await;

    store.set(false).await;
    soon("the store", async || (server.http.get("/readyz").await.status == 200).then_some(())).await;
    let token = soon("a token", async || {
        let answer = ann.exchange(&code).await;
        (answer.status == 200).then(|| answer.token())
    });
    token.await;
    let sent = soon("the ask", async || {
        let reply = browser.call(&ann.ask_frame(&uuid)).await;
        (reply["message"] == "Message sent").then_some(())
    });
    sent.await;
    phone.answer(&uuid, true).await;
    browser.expect_code().await;
}
