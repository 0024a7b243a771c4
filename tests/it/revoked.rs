//! A signing key that leaked: `keys revoke` ends it at once, and everything that it signed.

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Server, key_rows, run};
use readylogin::clock::Clock;

async fn kids(server: &Server) -> Vec<Value> {
    let set = server.http.get("/.well-known/jwks.json").await.expect(200).json();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn a_revoked_key_takes_its_tokens_with_it_and_another_signs_at_once() {
    for algorithm in ["ES256", "HS256"] {
        let settings = [("JWT__ALGORITHM", algorithm), ("JWT__JWKS_MAX_AGE", "1h")];
        let server = Server::start_with(&settings, Clock::system()).await;
        let (ann, mut phone) = server.person_with_phone("ann").await;
        let bob = server.person("bob").await;
        let leaked = key_rows(server.settings()).await.remove(0).0;
        let folder = tempfile::tempdir().unwrap();
        let done = run(&["keys", "revoke", "--kid", &leaked], server.settings(), folder.path(), "").await;
        assert_eq!(done.code, Some(0), "{done:?}");
        // Who is online with such a token leaves, and does not come back with it.
        phone.socket.expect_close(4003).await;
        for token in [&ann.token, &bob.token, &phone.token] {
            server.http.get_as(token, "/dashboard/devices").await.expect(401);
        }
        let mut socket = server.socket().await;
        let ready = json!({"action": "ready", "authToken": phone.token});
        assert_eq!(socket.refused(&ready).await, "not_authenticated");
        let [(fresh, ..)] = key_rows(server.settings()).await.try_into().unwrap();
        assert_ne!(fresh, leaked);
        assert!(done.stdout.contains(&fresh) && done.stdout.contains(&leaked), "{done:?}");
        let published = kids(&server).await;
        assert_eq!(published, if algorithm == "HS256" { vec![] } else { vec![json!(fresh)] });
        let token = bob.post("login", &json!({})).await.token();
        server.http.get_as(&token, "/dashboard/devices").await.expect(200);
        // The phone signs in again, by a backup code, and is what it was.
        let mut phone = ann.bind_another_phone(&server, &phone.backup_codes[0]).await;
        let (mut browser, uuid) = ann.asking_browser(&server).await;
        phone.answer(&uuid, true).await;
        ann.exchange(&browser.expect_code().await).await.token();
    }
}

#[tokio::test]
async fn revoking_a_key_that_does_not_sign_leaves_the_others_alone() {
    let server = Server::start_with(&[("JWT__JWKS_MAX_AGE", "1h")], Clock::system()).await;
    let ann = server.person("ann").await;
    let folder = tempfile::tempdir().unwrap();
    let command = async |arguments: &[&str]| run(arguments, server.settings(), folder.path(), "").await;
    command(&["keys", "rotate"]).await;
    let [(signs, ..), (waits, ..)] = key_rows(server.settings()).await.try_into().unwrap();
    assert_eq!(command(&["keys", "revoke", "--kid", &waits]).await.code, Some(0));
    let noticed = async {
        while kids(&server).await != [json!(signs)] {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, noticed).await.expect("it is published no more");
    server.http.get_as(&ann.token, "/dashboard/devices").await.expect(200);
    assert_eq!(key_rows(server.settings()).await.len(), 1);

    let unknown = command(&["keys", "revoke", "--kid", &waits]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("there is no such key"), "{unknown:?}");
    assert_eq!(command(&["keys", "revoke"]).await.code, Some(2));
}
