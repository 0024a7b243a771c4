//! Whom an identifier means: addresses and telephone numbers in any spelling; nobody learns whose they are.

use std::time::Duration;

use serde_json::{Value, json};

use super::{added, naming, order, post, refusal, told, wrong_password};
use crate::harness::{Answer, Person, Server, change_store, letters_to, mailed_code, run, text_pairs};

const PHONE: &str = "+41791234567";

/// All of an answer but its date.
fn all(answer: &Answer) -> String {
    let mut headers: Vec<_> = answer.headers.iter().filter(|(name, _)| *name != "date").collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    format!("{} {headers:?} {}", answer.status, answer.text)
}

async fn ann_with_number(server: &Server) -> Person {
    added(server, "p", "ann@example.org", &["--verified", "--phone-number", PHONE]).await
}

#[tokio::test]
async fn an_address_and_a_number_are_known_in_any_spelling() {
    let server = Server::start(&[("ACCOUNTS__PHONE_COUNTRY", "CH")]).await;
    ann_with_number(&server).await;
    for spelling in [
        "ann@example.org",
        "  ANN@Example.ORG ",
        PHONE,
        "0041791234567",
        "+41 (0)79 123 45 67",
        "079 123 45 67",
        "(079) 123-45.67",
        "079/123 45 67",
        "41791234567",
        "\t+41\u{a0}79\u{202f}123 45 67\n",
    ] {
        let done = post(&server, "login", &naming(spelling, &json!({}))).await.expect(200).json();
        assert_eq!(done["account"]["phone"], PHONE, "{spelling}");
        post(&server, "login", &naming(spelling, &json!({"type": "p"}))).await.expect(200);
        refusal(post(&server, "login", &naming(spelling, &json!({"type": "d"}))).await, 401);
    }
}

#[tokio::test]
async fn without_a_country_a_number_needs_its_code() {
    let server = Server::start(&[]).await;
    ann_with_number(&server).await;
    for (spelling, status) in
        [(PHONE, 200), ("0041 79 123 45 67", 200), ("41791234567", 200), ("0791234567", 401)]
    {
        post(&server, "login", &naming(spelling, &json!({}))).await.expect(status);
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "account",
        "add",
        "--kind",
        "p",
        "--email",
        "x@example.org",
        "--password-stdin",
        "--phone-number",
        "0791234567",
    ];
    let refused = run(&arguments, server.settings(), folder.path(), "correct horse battery").await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--phone-number"), "{refused:?}");
}

#[tokio::test]
async fn imported_numbers_are_found_and_those_of_an_older_form_are_not() {
    let server = Server::start(&[("ACCOUNTS__PHONE_COUNTRY", "CH")]).await;
    // Of the password "correct horse battery", by bcrypt with the least cost.
    let made = added(&server, "p", "made@example.org", &[]).await;
    let hash = text_pairs(&server, "SELECT password, email FROM accounts").await[0].0.clone();
    let line =
        json!({"kind": "p", "email": "ann@example.org", "hash": hash, "phone": "079 123 45 67"}).to_string();
    let folder = tempfile::tempdir().unwrap();
    let done = run(&["account", "import"], server.settings(), folder.path(), &line).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let found = post(&server, "login", &naming(PHONE, &json!({}))).await.expect(200).json();
    assert_eq!(found["account"]["email"], "ann@example.org");
    change_store(&server, "UPDATE accounts SET phone = '0797654321' WHERE email_key = 'made@example.org'")
        .await;
    for spelling in ["0797654321", "+41797654321"] {
        refusal(post(&server, "login", &naming(spelling, &json!({}))).await, 401);
    }
    post(&server, "login", &naming(&made.email, &json!({}))).await.expect(200);
}

#[tokio::test]
async fn of_several_with_one_number_the_proven_and_then_the_oldest_is_meant() {
    let server = Server::start(&[]).await;
    let number = ["--phone-number", PHONE];
    let meant = async || {
        let done = post(&server, "login", &naming(PHONE, &json!({}))).await.expect(200).json();
        told(&done["account"], "email")
    };
    added(&server, "d", "third@example.org", &number).await;
    assert_eq!(meant().await, "third@example.org");
    added(&server, "p", "second@example.org", &number).await;
    added(&server, "p", "younger@example.org", &number).await;
    assert_eq!(meant().await, "third@example.org");
    added(&server, "a", "first@example.org", &["--phone-number", PHONE, "--verified"]).await;
    assert_eq!(meant().await, "first@example.org");
    let of = async |kind: &str| {
        let done = post(&server, "login", &naming(PHONE, &json!({"type": kind}))).await.expect(200).json();
        told(&done["account"], "email")
    };
    assert_eq!(
        (of("d").await, of("p").await),
        ("third@example.org".to_owned(), "second@example.org".to_owned())
    );
}

#[tokio::test]
async fn whoever_has_no_account_or_no_right_password_gets_one_answer() {
    let server = Server::start(&[]).await;
    let ann = ann_with_number(&server).await;
    let disabled = added(&server, "p", "disabled@example.org", &["--phone-number", "+41791111111"]).await;
    order(&server, &disabled, "disable").await;
    let mut answers = vec![all(&wrong_password(&server, PHONE).await)];
    for route in ["login", "2fa/verify"] {
        for named in [
            ann.email.as_str(),
            PHONE,
            "+41791111111",
            "disabled@example.org",
            "+41790000000",
            "nobody@example.org",
        ] {
            let body = naming(
                named,
                &json!({"password": "wrong password", "otp": "123456", "device_fingerprint": "x"}),
            );
            answers.push(all(&post(&server, route, &body).await));
        }
        // Nobody's, and never a failure of the server, whatever the password.
        for named in [
            "Ann <ann@example.org>",
            "\"ann\"@example.org",
            "ann@example.org.",
            ".ann@example.org",
            "ann@@example.org",
            "ann@example.org\r\nBcc: eve@example.org",
            "ann@example.org\0",
            "' OR 1=1 --",
            "ann'--@example.org",
            "{\"$ne\":null}",
            "../../etc/passwd",
            "${jndi:ldap://x}@example.org",
            "ann",
            "@",
            "+",
            "00",
            "++41791234567",
            "+41791234567;ext=1",
            "tel:+41791234567",
            "+4179123456７",
            "\u{202e}ann@example.org",
            "nobody",
            "nobody@invalid",
            "0791234567",
            "%",
            "_@example.org",
            &"9".repeat(20_000),
            &format!("{}@example.org", "x".repeat(20_000)),
        ] {
            let body = naming(named, &json!({"otp": "123456"}));
            answers.push(all(&post(&server, route, &body).await));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(answers[0].starts_with("401 "), "{answers:?}");
}

#[tokio::test]
async fn numbers_are_throttled_like_addresses_known_or_not() {
    let server = Server::start(&[("LIMITS__FACTOR", "0.5"), ("SERVER__TRUSTED_PROXIES", "127.0.0.1")]).await;
    ann_with_number(&server).await;
    let mut told = Vec::new();
    let cases = [
        ("ann@example.org", "192.0.2.1"),
        ("nobody@example.org", "192.0.2.2"),
        (PHONE, "192.0.2.3"),
        ("+41790000000", "192.0.2.4"),
    ];
    for (named, ip) in cases {
        let ask = async |route: &str, body: &Value| {
            let request = server.http.request("POST", &format!("/api/v1/auth/{route}"));
            Answer::read(request.header("x-forwarded-for", ip).json(body).send().await.unwrap()).await
        };
        let wrong = naming(named, &json!({"password": "wrong password"}));
        for _ in 0..5 {
            ask("login", &wrong).await.expect(401);
        }
        told.push(all(&ask("login", &wrong).await.expect(429)));
        // However it is spelled.
        let spelled = naming(&format!(" {named} "), &json!({}));
        refusal(ask("login", &spelled).await, 429);
        for _ in 0..5 {
            ask("2fa/request-otp", &json!({"identifier": named})).await.expect(201);
        }
        told.push(all(&ask("2fa/request-otp", &json!({"identifier": named})).await.expect(429)));
    }
    assert!(told.iter().step_by(2).all(|answer| *answer == told[0]), "{told:#?}");
    assert!(told.iter().skip(1).step_by(2).all(|answer| *answer == told[1]), "{told:#?}");
}

#[tokio::test]
async fn a_code_is_asked_for_by_number_and_reaches_the_address() {
    let server = Server::start(&[]).await;
    let ann = ann_with_number(&server).await;
    let unknown = "+41790000000";
    let mut answers = Vec::new();
    for named in [PHONE, unknown, "nobody@example.org", &ann.email] {
        answers.push(all(&post(&server, "2fa/request-otp", &json!({"identifier": named})).await.expect(201)));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    // By number and by address it is one code, and within a minute there is no second one.
    assert_eq!(letters_to(&server, &ann.email).await.len(), 1);
    server.clock.advance(Duration::from_secs(61));
    for _ in 0..3 {
        post(&server, "2fa/request-otp", &json!({"identifier": PHONE})).await.expect(201);
    }
    assert_eq!(letters_to(&server, &ann.email).await.len(), 2);
    for garbage in ["nobody", "0791234567", "ann@", "Ann <ann@example.org>", "call me"] {
        let asked = post(&server, "2fa/request-otp", &json!({"identifier": garbage})).await;
        assert!(refusal(asked, 422).0.ends_with("identifier"), "{garbage}");
    }
    // The code opens a login once mailed codes are on.
    ann.turn_mail_on(&server, &ann.post("login", &json!({})).await.token()).await;
    let code = mailed_code(&server, &ann.email).await;
    let body = naming(PHONE, &json!({"otp": code}));
    post(&server, "2fa/verify", &body).await.expect(200);
    order(&server, &ann, "disable").await;
    server.clock.advance(Duration::from_secs(61));
    let before = letters_to(&server, &ann.email).await.len();
    assert_eq!(all(&post(&server, "2fa/request-otp", &json!({"identifier": PHONE})).await), answers[0]);
    assert_eq!(letters_to(&server, &ann.email).await.len(), before);
}
