//! Accounts that are made for whom mailed words have proven to own the address: once, and where registration is open.

use serde_json::json;

use crate::harness::{PASSWORD, Person, Server, claims, letters_to, mailed_words, text_pairs};

const ANN: &str = "ann@example.org";

#[tokio::test]
async fn an_account_is_made_for_whom_the_address_is_proven() {
    let server = Server::start(&[]).await;
    let body = json!({"mail": "Ann@Example.org", "locale": "de"});
    let asked = server.http.post("/auth/send-mail-login-code-v2", &body).await.expect(200);
    let words = mailed_words(&server, ANN).await;
    let shown = server.http.show_words(&words, &asked.mail_token("mailLoginToken")).await;
    let proof = shown.expect(200).mail_token("mailAuthToken");
    for weak in ["short", "password1", "xxAnn@Example.orgxx"] {
        server.http.mail_auth("create-account", &proof, &json!({"password": weak})).await.expect(400);
    }
    server
        .http
        .mail_auth("create-account", &proof, &json!({"password": PASSWORD, "type": "zebra"}))
        .await
        .expect(400);
    let made = json!({"password": PASSWORD, "name": "Ann\u{202e}", "name_device": "Laptop"});
    let made = server.http.mail_auth("create-account", &proof, &made).await.expect(200);
    assert!(made.json()["refresh_token"].as_str().is_some_and(|token| token.len() == 64));
    let token = made.token();
    assert_eq!(
        (&claims(&token)["amr"], &claims(&token)["acr"]),
        (&json!(["otp"]), &json!("urn:readylogin:acr:mail"))
    );
    assert_eq!(claims(&token)["patient"], "Ann@Example.org");
    let rows = text_pairs(
        &server,
        "SELECT language, CAST(verified AS TEXT) FROM accounts WHERE verified_at IS NOT NULL",
    )
    .await;
    assert_eq!(rows, [("de".to_owned(), "1".to_owned())]);
    server
        .http
        .mail_auth("create-account", &proof, &json!({"password": PASSWORD, "type": "d"}))
        .await
        .expect(410);
    Person::known(&server.http, "p", ANN).post("login", &json!({})).await.token();
}

#[tokio::test]
async fn a_taken_address_is_told_to_its_owner_alone_and_nothing_is_spent() {
    let server = Server::start(&[]).await;
    server.person("ann").await;
    let proof = server.mail_proof(ANN).await;
    let body = json!({"password": "another horse entirely"});
    assert_eq!(
        server.http.mail_auth("create-account", &proof, &body).await.refusal(409),
        "there is such an account already"
    );
    server.http.mail_auth("create-account", &"x".repeat(32), &body).await.expect(410);
    let doctor = json!({"password": PASSWORD, "type": "d"});
    server.http.mail_auth("create-account", &proof, &doctor).await.token();
    Person::known(&server.http, "p", ANN).post("login", &json!({})).await.token();
}

#[tokio::test]
async fn while_registration_is_closed_nobody_learns_anything_and_nothing_is_spent() {
    let server = Server::start(&[]).await;
    server.person("ann").await;
    let closed = server.twin_with(&[("ACCOUNTS__REGISTRATION", "closed")]).await;
    let (anns, bobs) = (server.mail_proof(ANN).await, server.mail_proof("bob@example.org").await);
    for proof in [anns.as_str(), &bobs, "unknown"] {
        for password in ["short", PASSWORD] {
            let refused =
                closed.http.mail_auth("create-account", proof, &json!({"password": password})).await;
            assert_eq!(refused.refusal(403), "registration is closed");
        }
    }
    closed.http.mail_auth("sign-in", &anns, &json!({})).await.token();
    server.http.mail_auth("create-account", &bobs, &json!({"password": PASSWORD})).await.token();
}

#[tokio::test]
async fn a_hundred_at_once_make_one_account() {
    let server = Server::start(&[("PASSWORD__QUEUE", "1000")]).await;
    let twin = server.twin().await;
    let proof = server.mail_proof(ANN).await;
    let races = (0..100).map(|n: usize| {
        let (http, proof) = ([&server, &twin][n % 2].http.clone(), proof.clone());
        let kind = ["p", "d", "a"][n % 3];
        let body = json!({"password": PASSWORD, "type": kind});
        tokio::spawn(async move { http.mail_auth("create-account", &proof, &body).await.status })
    });
    let mut seen = Vec::new();
    for race in races.collect::<Vec<_>>() {
        seen.push(race.await.unwrap());
    }
    assert_eq!(seen.iter().filter(|status| **status == 200).count(), 1, "{seen:?}");
    assert!(seen.iter().all(|status| [200, 409, 410].contains(status)), "{seen:?}");
    assert_eq!(text_pairs(&server, "SELECT kind, email FROM accounts").await.len(), 1);
    // The owner got the words and nothing else.
    assert_eq!(letters_to(&server, ANN).await.len(), 1);
}
