//! Races on sockets: what happens at once happens as if in some order, and never crosses accounts.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Person, Phone, Server, Socket};

const ROUNDS: u32 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_phones_that_answer_at_once_one_wins() {
    let server = Server::start(&[]).await;
    let (ann, mut yes) = server.person_with_phone("ann").await;
    let mut no = ann.bind_another_phone(&server, &yes.backup_codes[0]).await;
    for round in 0..ROUNDS {
        let (mut browser, uuid) = ann.asking_browser(&server).await;
        for phone in [&mut yes, &mut no] {
            assert_eq!(phone.socket.expect("ask_mobile_connection").await["uuid"], uuid);
        }
        let frames = (yes.answer_frame(&uuid, true), no.answer_frame(&uuid, false));
        // Each begins as often as the other.
        if round % 2 == 0 {
            tokio::join!(yes.socket.send(&frames.0), no.socket.send(&frames.1));
        } else {
            tokio::join!(no.socket.send(&frames.1), yes.socket.send(&frames.0));
        }
        let told = browser.expect("response_mobile_connection").await;
        browser.expect_close(1000).await;
        let approved = told["response"] == true;
        let (winner, loser) = if approved { (&mut yes, &mut no) } else { (&mut no, &mut yes) };
        winner.socket.expect_message("Message sent").await;
        winner.socket.expect_nothing_more().await;
        check_lost(loser, &uuid, approved).await;
        if approved {
            ann.exchange(told["code"].as_str().unwrap()).await.token();
        } else {
            assert_eq!(told["code"], "");
        }
    }
}

/// The loser hears that it was late, and that the ask is over, in either order.
async fn check_lost(loser: &mut Phone, uuid: &Value, approved: bool) {
    let mut frames = [loser.socket.receive().await, loser.socket.receive().await];
    frames.sort_by_key(|frame| frame.get("action").is_some());
    assert_eq!(frames[0]["error"], "already_answered", "{frames:?}");
    assert_eq!([&frames[1]["uuid"], &frames[1]["response"]], [uuid, &json!(approved)], "{frames:?}");
    assert_eq!(frames[1]["reason"], "answered", "{frames:?}");
    loser.socket.expect_nothing_more().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_logins_at_once_never_cross() {
    let server = Server::start(&[("PASSWORD__QUEUE", "1000")]).await;
    let mut people = Vec::new();
    for number in 0..20 {
        people.push(server.person_with_phone(&format!("person{number}")).await);
    }
    let owners: Vec<Person> = people.iter().map(|(person, _)| person.clone()).collect();
    let browsers = (0..100).map(|number| owners[number % 20].asking_browser(&server));
    let asked = join_all(browsers).await;
    let uuids: Vec<Value> = asked.iter().map(|(_, uuid)| uuid.clone()).collect();

    let answered = people.into_iter().enumerate().map(|(number, (_, mut phone))| {
        let own: Vec<Value> = uuids.iter().skip(number).step_by(20).cloned().collect();
        async move {
            let mut shown = Vec::new();
            for _ in 0..own.len() {
                shown.push(phone.socket.expect("ask_mobile_connection").await["uuid"].clone());
            }
            assert!(own.iter().all(|uuid| shown.contains(uuid)), "person{number} saw another's ask");
            for uuid in &own {
                let reply = phone.socket.call(&phone.answer_frame(uuid, true)).await;
                assert_eq!(reply["message"], "Message sent");
            }
            phone.socket.expect_nothing_more().await;
        }
    });
    join_all(answered).await;
    let exchanged = asked
        .into_iter()
        .enumerate()
        .map(|(number, (browser, _))| check_code(browser, &owners[number % 20], &owners[(number + 1) % 20]));
    join_all(exchanged).await;
}

async fn check_code(mut browser: Socket, own: &Person, other: &Person) {
    let code = browser.expect_code().await;
    assert_eq!(other.exchange(&code).await.refusal(400), "invalid 2FA token");
    own.exchange(&code).await.token();
    assert_eq!(own.exchange(&code).await.refusal(400), "invalid 2FA token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_resume_at_once_one_is_left() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    for _ in 0..10 {
        let mut browser = server.socket().await;
        let hello = browser.ready_login().await;
        let resume = json!({"action": "resumeLogin", "uuid": hello["uuid"], "resume": hello["resume"]});
        browser.call(&ann.ask_frame(&hello["uuid"])).await;
        let mut sockets = join_all((0..8).map(|_| server.socket())).await;
        let replies = join_all(sockets.iter_mut().map(|socket| socket.call(&resume))).await;
        assert!(replies.iter().all(|reply| reply["uuid"] == hello["uuid"]), "{replies:?}");
        phone.answer(&hello["uuid"], true).await;
        let ends = join_all(sockets.iter_mut().map(Socket::last_word)).await;
        let told: Vec<_> = ends.iter().flatten().collect();
        assert_eq!(told.len(), 1, "{ends:?}");
        ann.exchange(told[0]["code"].as_str().unwrap()).await.token();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_and_the_asks_end_at_once_agree() {
    let server = Server::start(&[("PAIRING__ASK_TTL", "10s")]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    for _ in 0..ROUNDS {
        let (mut browser, uuid) = ann.asking_browser(&server).await;
        phone.socket.expect("ask_mobile_connection").await;
        let answer = phone.answer_frame(&uuid, true);
        let clock = server.clock.clone();
        tokio::join!(
            phone.socket.send(&answer),
            async move { clock.advance(std::time::Duration::from_secs(10)) }
        );
        let told = browser.receive().await;
        browser.expect_close(1000).await;
        let mut reply = phone.socket.receive().await;
        if reply["action"] == "resolved_mobile_connection" {
            reply = phone.socket.receive().await;
        } else if reply["error"] == "expired" {
            phone.socket.expect("resolved_mobile_connection").await;
        }
        if told["error"] == "expired" {
            assert_eq!(reply["error"], "expired", "an approval was acknowledged and lost");
        } else {
            assert_eq!(reply["message"], "Message sent");
            ann.exchange(told["code"].as_str().unwrap()).await.token();
        }
        phone.socket.expect_nothing_more().await;
    }
}
