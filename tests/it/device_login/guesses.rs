//! Guesses at the fingerprint of a trusted device by somebody who knows the password.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{log_in_by_mail, login, told, verify, with_mail};
use crate::harness::{Person, Server, letters_to, mailed_code};

const REST: Duration = Duration::from_secs(900);
const LETTER: &str = "Somebody guesses at your trusted devices";

fn device(name: &str) -> Value {
    json!({"device_fingerprint": name, "device_name": "SAMSUNG GALAXY A13"})
}

/// Somebody with a proven address whose device `known` is trusted.
async fn ann(server: &Server) -> Person {
    let ann = with_mail(server, "ann").await;
    log_in_by_mail(server, &ann, &device("known")).await;
    ann
}

async fn guess(server: &Server, person: &Person, times: u32) {
    for n in 0..times {
        login(server, person, &device(&format!("guess {n}"))).await.expect(202);
    }
}

async fn letters(server: &Server, person: &Person) -> usize {
    letters_to(server, &person.email).await.iter().filter(|letter| letter.subject == LETTER).count()
}

#[tokio::test]
async fn ten_unknown_fingerprints_in_a_row_make_all_of_them_worthless_for_a_while() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    let twin = server.twin().await;
    guess(&server, &ann, 5).await;
    guess(&twin, &ann, 4).await;
    login(&server, &ann, &device("known")).await.expect(200);
    guess(&server, &ann, 9).await;
    assert_eq!(letters(&server, &ann).await, 0);
    guess(&twin, &ann, 1).await;
    for place in [&server, &twin] {
        login(place, &ann, &device("known")).await.expect(202);
    }
    assert_eq!(letters(&server, &ann).await, 1);
    // Guesses in that time are none, and make it no longer.
    server.clock.advance(REST - Duration::from_secs(1));
    guess(&server, &ann, 20).await;
    server.clock.advance(Duration::from_secs(1));
    login(&server, &ann, &device("known")).await.expect(200);
    assert_eq!(letters(&server, &ann).await, 1);
}

#[tokio::test]
async fn a_guesser_who_goes_on_has_one_try_for_each_rest() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    guess(&server, &ann, 10).await;
    for _ in 0..3 {
        server.clock.advance(REST);
        guess(&server, &ann, 1).await;
        login(&server, &ann, &device("known")).await.expect(202);
    }
    server.clock.advance(REST);
    login(&server, &ann, &device("known")).await.expect(200);
    guess(&server, &ann, 9).await;
    login(&server, &ann, &device("known")).await.expect(200);
}

#[tokio::test]
async fn many_guesses_at_once_on_two_nodes_are_all_counted() {
    let server = Server::start(&[("PASSWORD__QUEUE", "1000")]).await;
    let ann = ann(&server).await;
    let twin = server.twin().await;
    let bodies: Vec<_> = (0..60).map(|n| device(&format!("guess {n}"))).collect();
    let places = [&server, &twin];
    let all = bodies.iter().enumerate().map(|(n, body)| login(places[n % 2], &ann, body));
    for answer in join_all(all).await {
        answer.expect(202);
    }
    login(&server, &ann, &device("known")).await.expect(202);
    assert_eq!(letters(&server, &ann).await, 1);
}

#[tokio::test]
async fn an_owner_with_many_new_devices_is_never_held_back() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    for n in 0..25 {
        server.clock.advance(Duration::from_secs(61));
        log_in_by_mail(&server, &ann, &device(&format!("new {n}"))).await;
    }
    login(&server, &ann, &device("known")).await.expect(200);
    assert_eq!(letters(&server, &ann).await, 0);
}

#[tokio::test]
async fn only_unknown_fingerprints_beside_the_right_password_count() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    let bob = with_mail(&server, "bob").await;
    let eve = server.person("eve").await;
    for n in 0..12 {
        login(&server, &ann, &json!({})).await.expect(202);
        let mut wrong = device(&format!("guess {n}"));
        wrong["password"] = json!("wrong password");
        login(&server, &ann, &wrong).await.expect(401);
        // Without a second factor there is nothing to be spared, and another account is another account.
        login(&server, &eve, &device(&format!("guess {n}"))).await.expect(200);
    }
    guess(&server, &bob, 12).await;
    login(&server, &ann, &device("known")).await.expect(200);
}

#[tokio::test]
async fn a_second_factor_still_opens_meanwhile_and_ends_the_run_but_not_the_rest() {
    let server = Server::start(&[]).await;
    let ann = ann(&server).await;
    guess(&server, &ann, 10).await;
    server.clock.advance(Duration::from_secs(61));
    log_in_by_mail(&server, &ann, &device("known")).await;
    login(&server, &ann, &device("known")).await.expect(202);
    server.clock.advance(REST);
    guess(&server, &ann, 9).await;
    login(&server, &ann, &device("known")).await.expect(200);
    // A rest that was begun before the clock was set back is no longer than others.
    guess(&server, &ann, 10).await;
    server.clock.step_back(Duration::from_secs(86_400));
    login(&server, &ann, &device("known")).await.expect(200);
}

#[tokio::test]
async fn after_a_hundred_in_a_row_fingerprints_wait_for_a_second_factor() {
    let server = Server::start(&[("LOCK__AFTER", "2"), ("LOCK__DISABLE_AFTER", "4")]).await;
    let ann = ann(&server).await;
    guess(&server, &ann, 2).await;
    for _ in 0..2 {
        server.clock.advance(REST);
        guess(&server, &ann, 1).await;
    }
    server.clock.advance(10 * REST);
    login(&server, &ann, &device("known")).await.expect(202);
    let code = mailed_code(&server, &ann.email).await;
    let done = verify(&server, &ann, &code, &device("known")).await.expect(200).json();
    assert!(!told(&done, "access_token").is_empty());
    login(&server, &ann, &device("known")).await.expect(200);
}
