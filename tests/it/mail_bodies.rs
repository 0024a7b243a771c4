//! Mailed words: bodies and addresses that are refused, lists, the device's token, and the order in which they are looked at.

use serde_json::{Value, json};

use crate::harness::{Answer, Server, letters_to, text_pairs, words_mailed};

const SEND: &str = "/auth/send-mail-login-code-v2";
const PASSWORD: &str = "another horse entirely";

/// Whole bodies of the five routes, with all that may be left out.
fn routes() -> Vec<(&'static str, Value, &'static [&'static str])> {
    const DEVICE: [&str; 8] =
        ["name_device", "device_name", "device_type", "device_os", "os", "browser", "location", "client_id"];
    let with_device = |mut body: Value| {
        for name in DEVICE {
            body[name] = json!("x");
        }
        body
    };
    let sign_in = json!({"mailAuthToken": "x", "type": "p", "otp": "123456", "password": PASSWORD});
    let create = json!({"mailAuthToken": "x", "type": "p", "password": PASSWORD, "name": "Ann"});
    vec![
        (
            SEND,
            json!({"mail": "ann@example.org", "locale": "en", "deviceAuthToken": "x"}),
            &["mail", "locale"],
        ),
        (
            "/auth/sign-in-by-mail-code",
            json!({"receivedCode": "one two three", "mailLoginToken": "x"}),
            &["receivedCode", "mailLoginToken"],
        ),
        ("/auth/mail-auth/sign-in", with_device(sign_in), &["mailAuthToken"]),
        ("/auth/mail-auth/create-account", with_device(create), &["mailAuthToken", "password"]),
        (
            "/auth/mail-auth/recover-password",
            json!({"mailAuthToken": "x", "type": "p", "password": PASSWORD}),
            &["mailAuthToken", "password"],
        ),
    ]
}

#[tokio::test]
async fn unknown_fields_wrong_types_and_missing_fields_are_refused_on_every_route() {
    let server = Server::start(&[]).await;
    for (route, whole, needed) in routes() {
        let as_it_should = server.http.post(route, &whole).await;
        assert!([401, 410].contains(&as_it_should.status), "{route}: {as_it_should:?}");
        for unknown in ["x", "Mail", "mailauthtoken", "email", "remember", "__proto__", "acr_values"] {
            let mut body = whole.clone();
            body[unknown] = json!("x");
            assert_eq!(server.http.post(route, &body).await.status, 400, "{route} {unknown}");
        }
        for name in whole.as_object().unwrap().keys() {
            for wrong in [json!(5), json!(true), json!([]), json!(["x"]), json!({"$ne": ""})] {
                let mut body = whole.clone();
                body[name] = wrong;
                assert_eq!(server.http.post(route, &body).await.status, 400, "{route} {name}");
            }
            let mut body = whole.clone();
            body.as_object_mut().unwrap().remove(name);
            let is_needed = needed.contains(&name.as_str());
            assert_eq!(server.http.post(route, &body).await.status == 400, is_needed, "{route} {name}");
        }
        assert_eq!(server.http.get(route).await.expect(405).header("allow"), "POST");
        let twice = whole.to_string().replacen('{', &format!("{{\"{}\":\"x\",", needed[0]), 1);
        let request = server.http.request("POST", route).header("content-type", "application/json");
        Answer::read(request.body(twice).send().await.unwrap()).await.expect(400);
    }
    let nothing = text_pairs(&server, "SELECT recipient, subject FROM outbox").await;
    assert!(nothing.is_empty(), "{nothing:?}");
}

#[tokio::test]
async fn what_is_no_plain_address_gets_nothing() {
    let server = Server::start(&[]).await;
    let long = format!("{}@example.org", "a".repeat(65));
    let longer = format!("ann@{}.example.org", "a".repeat(250));
    for mail in [
        "",
        " ",
        "ann",
        "@example.org",
        "ann@",
        "a b@example.org",
        "ann@example.org.",
        "ann@example..org",
        "ann@exa mple.org",
        "ann@-example.org",
        "ann@exam_ple.org",
        "Ann <ann@example.org>",
        "<ann@example.org>",
        "\"ann\"@example.org",
        "\"a b\"@example.org",
        "ann@example.org,eve@example.org",
        "ann@example.org;eve@example.org",
        "ann@example.org eve@example.org",
        "ann@[127.0.0.1]",
        "ann@example.org\r\nBcc: eve@example.org",
        "ann\r\n@example.org",
        "ann@example.org\u{0}",
        "ann\u{0}@example.org",
        "ann\u{202e}@example.org",
        "ann\u{200b}@example.org",
        "ann@exam\u{ad}ple.org",
        "ann@example\u{3002}org",
        "ann@@example.org",
        "eve@evil.test@example.org",
        "ann%eve@",
        ".ann@example.org",
        "ann@xn--a",
        "ann@xn--\u{fc}",
        "ann@1.2.3.4.5",
        "mailto:ann@example.org",
        &long,
        &longer,
    ] {
        let answer = server.http.ask_words(mail).await;
        assert_eq!(answer.clone().refusal(400), "Invalid email", "{mail:?}: {answer:?}");
    }
    let nothing = text_pairs(&server, "SELECT recipient, subject FROM outbox").await;
    assert!(nothing.is_empty(), "{nothing:?}");
}

#[tokio::test]
async fn sound_addresses_of_every_sort_get_their_words() {
    let server = Server::start(&[]).await;
    for mail in
        ["Ann.O'Brien+tag@Example.ORG", "ann@sub.sub.example.org", "x_y-z=1@example.org", "änn@example.org"]
    {
        server.http.ask_words(mail).await.expect(200).mail_token("mailLoginToken");
    }
    server.http.ask_words("  padded@example.org ").await.expect(200);
    assert_eq!(words_mailed(&server, "Ann.O'Brien+tag@Example.ORG").await, 1);
    assert_eq!(words_mailed(&server, "padded@example.org").await, 1);
}

#[tokio::test]
async fn a_lookalike_of_an_address_gets_no_mail_of_its_own() {
    let server = Server::start(&[]).await;
    server.person("mike").await;
    // The Kelvin sign is lower-cased to a k: whoever has that other mailbox must not get into this account.
    server.http.ask_words("mi\u{212a}e@example.org").await.expect(200);
    let mail = letters_to(&server, "mike@example.org").await;
    assert!(mail.iter().any(|mail| mail.words().is_some()), "{mail:?}");
    assert!(mail.iter().all(|mail| !mail.raw.contains('\u{212a}')));
    assert!(letters_to(&server, "mi\u{212a}e@example.org").await.is_empty());
}

#[tokio::test]
async fn the_allow_list_lets_only_whom_it_names_through() {
    let settings = [("MAIL_CODE__ALLOW", "ann@example.org, example.net, .example.com, bücher.example")];
    let server = Server::start(&settings).await;
    for mail in [
        "ann@example.org",
        "ANN@EXAMPLE.ORG",
        "any@example.net",
        "any@example.com",
        "any@a.b.EXAMPLE.com",
        "any@xn--bcher-kva.example",
        "any@BÜCHER.example",
    ] {
        server.http.ask_words(mail).await.expect(200).mail_token("mailLoginToken");
    }
    for mail in [
        "bob@example.org",
        "ann+x@example.org",
        "any@a.example.net",
        "any@example.net.evil.test",
        "any@badexample.com",
        "any@a.bücher.example",
    ] {
        let answer = server.http.ask_words(mail).await.expect(200);
        assert_eq!(answer.json(), json!({"mailAddressNotWhitelisted": true}), "{mail}");
        assert_eq!(words_mailed(&server, mail).await, 0);
    }
}

#[tokio::test]
async fn the_block_list_is_not_passed_by_another_spelling() {
    let settings = [(
        "MAIL_CODE__BLOCK",
        "example.net, .example.com, bücher.example, xn--mnchen-3ya.example, eve@example.org",
    )];
    let server = Server::start(&settings).await;
    for mail in [
        "any@example.net",
        "any@EXAMPLE.NET",
        "any@ｅｘａｍｐｌｅ.net",
        "any@example.com",
        "any@a.b.example.com",
        "any@bücher.example",
        "any@Bücher.Example",
        "any@xn--bcher-kva.example",
        "any@XN--BCHER-KVA.example",
        "any@MÜNCHEN.example",
        "any@münchen.example",
        "EVE@example.org",
    ] {
        let answer = server.http.ask_words(mail).await.expect(200);
        assert_eq!(answer.json(), json!({"mailServerBlacklisted": true}), "{mail}");
        assert_eq!(words_mailed(&server, mail).await, 0);
    }
    // The entry without a dot is that domain and no other; a trailing dot is no address.
    server.http.ask_words("any@a.example.net").await.expect(200).mail_token("mailLoginToken");
    server.http.ask_words("any@example.net.").await.expect(400);
}

async fn send(server: &Server, mail: &str, device: &str) -> Answer {
    server.http.post(SEND, &json!({"mail": mail, "locale": "en", "deviceAuthToken": device})).await
}

#[tokio::test]
async fn a_device_s_token_must_be_good_if_there_is_one() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    send(&server, "ann@example.org", &ann.token).await.expect(200).mail_token("mailLoginToken");
    send(&server, "other@example.org", &ann.token).await.expect(200);
    for bad in ["", "x", "1234abcde", &format!("{}x", ann.token), "a.b.c"] {
        let refused = send(&server, "ann@example.org", bad).await;
        assert_eq!(refused.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        assert_eq!(refused.refusal(401), "Not authenticated");
    }
    let body = json!({"mail": "ann@example.org", "locale": "en", "deviceAuthToken": null});
    server.http.post(SEND, &body).await.expect(200);
    server.http.send("POST", "/api/v1/auth/logout", Some(&ann.token), None).await.expect(204);
    send(&server, "ann@example.org", &ann.token).await.expect(401);
    assert_eq!(words_mailed(&server, "ann@example.org").await, 2);
}

#[tokio::test]
async fn shape_address_allow_list_block_list_device_and_rate_are_looked_at_in_this_order() {
    let settings = [
        ("LIMITS__FACTOR", "1"),
        ("MAIL_CODE__ALLOW", "example.org, example.net"),
        ("MAIL_CODE__BLOCK", "example.net, example.com"),
        ("MAIL_CODE__TOTAL_1M", "1"),
    ];
    let server = Server::start(&settings).await;
    server.http.ask_words("ann@example.org").await.expect(200);
    // Each of these is wrong in this and in all that is looked at later.
    server
        .http
        .post(SEND, &json!({"mail": "nonsense", "locale": 5, "deviceAuthToken": "x"}))
        .await
        .expect(400);
    assert_eq!(send(&server, "nonsense", "x").await.refusal(400), "Invalid email");
    let both = send(&server, "ann@example.com", "x").await.expect(200);
    assert_eq!(both.json(), json!({"mailAddressNotWhitelisted": true}));
    let blocked = send(&server, "ann@example.net", "x").await.expect(200);
    assert_eq!(blocked.json(), json!({"mailServerBlacklisted": true}));
    send(&server, "ann@example.org", "x").await.expect(401);
    server.http.ask_words("ann@example.org").await.expect(429);
}
