//! Whose a mailed code is, how often it is mailed, and that nobody but its account's own tries can use it up.

use std::time::Duration;

use serde_json::json;

use crate::device_login::{naming, post};
use crate::harness::{
    Browser, PASSWORD, Person, Server, change_store, letters_to, mailed_code, number, text_pairs, wrong,
};

const MINUTE: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(1);

/// Somebody with mailed codes on.
async fn with_mail(server: &Server, kind: &'static str, name: &str) -> Person {
    let person = server.person_of(kind, name).await;
    person.turn_mail_on(server, &person.token).await;
    person
}

/// The codes that were mailed to an address so far, oldest first.
async fn codes(server: &Server, email: &str) -> Vec<String> {
    letters_to(server, email).await.iter().filter_map(crate::harness::Mail::code).collect()
}

async fn ask(server: &Server, email: &str) {
    server.http.post("/auth/sending_email", &json!({"email": email})).await.expect(200);
}

async fn opens(person: &Person, code: &str) {
    person.post("email_2fa", &json!({"token_2fa": code})).await.token();
}

async fn check_refused(person: &Person, code: &str) {
    let refusal = person.post("email_2fa", &json!({"token_2fa": code})).await.refusal(400);
    assert_eq!(refusal, "invalid 2FA token");
}

/// Asks until a code comes that is another one than `than`: of a million draws one is the same.
async fn another_code(server: &Server, person: &Person, than: &str) -> String {
    let code = person.login_code(server).await;
    assert_ne!(code, than, "one time in a million");
    code
}

#[tokio::test]
async fn a_code_asked_for_by_address_is_entered_for_each_account_and_comes_in_one_letter() {
    let server = Server::start(&[]).await;
    let (ann, doctor) = (with_mail(&server, "p", "ann").await, with_mail(&server, "d", "ann").await);
    let code = ann.login_code(&server).await;
    assert_eq!(codes(&server, &ann.email).await.len(), 1);
    // Each account spends its own.
    opens(&ann, &code).await;
    check_refused(&ann, &code).await;
    opens(&doctor, &code).await;
    check_refused(&doctor, &code).await;
}

#[tokio::test]
async fn a_code_mailed_for_one_account_is_none_of_its_siblings() {
    let server = Server::start(&[]).await;
    let (ann, doctor) = (with_mail(&server, "p", "ann").await, with_mail(&server, "d", "ann").await);
    post(&server, "login", &naming(&ann.email, &json!({"type": "p"}))).await.expect(202);
    let code = mailed_code(&server, &ann.email).await;
    check_refused(&doctor, &code).await;
    // Asked for by the address, the same digits are entered for the account that had none.
    ask(&server, &ann.email).await;
    assert_eq!(codes(&server, &ann.email).await, [code.as_str(), code.as_str()]);
    opens(&doctor, &code).await;
    opens(&ann, &code).await;
}

#[tokio::test]
async fn a_code_sent_for_a_sibling_account_a_moment_ago_keeps_none_of_the_owner_s_from_being_sent() {
    for by_address in [false, true] {
        let server = Server::start(&[]).await;
        let (ann, stranger) = (with_mail(&server, "p", "ann").await, with_mail(&server, "d", "ann").await);
        for _ in 0..5 {
            post(&server, "login", &naming(&stranger.email, &json!({"type": "d"}))).await.expect(202);
        }
        assert_eq!(codes(&server, &ann.email).await.len(), 1);
        if by_address {
            ask(&server, &ann.email).await;
        } else {
            post(&server, "login", &naming(&ann.email, &json!({"type": "p"}))).await.expect(202);
        }
        let all = codes(&server, &ann.email).await;
        assert_eq!(all.len(), 2);
        opens(&ann, &all[1]).await;
    }
}

#[tokio::test]
async fn wrong_tries_at_a_sibling_account_leave_the_owner_s_code_alive() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    // A stranger registers the address under another kind.
    let stranger = with_mail(&server, "d", "ann").await;
    let code = ann.login_code(&server).await;
    for _ in 0..8 {
        check_refused(&stranger, &wrong(&code)).await;
    }
    check_refused(&stranger, &code).await;
    opens(&ann, &code).await;
}

#[tokio::test]
async fn a_code_asked_for_each_minute_never_ends_the_one_that_is_being_typed() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let twin = server.twin().await;
    let first = ann.login_code(&server).await;
    for minute in 1..10 {
        server.clock.advance(MINUTE);
        ask(if minute % 2 == 0 { &server } else { &twin }, &ann.email).await;
    }
    let all = codes(&server, &ann.email).await;
    assert_eq!(all.len(), 10);
    // The same in the first half of its life, on every node; then a new one, for as long.
    assert!(all[..5].iter().all(|code| *code == first), "{all:?}");
    assert_ne!(all[5], first, "one time in a million");
    assert!(all[5..].iter().all(|code| *code == all[5]), "{all:?}");
    server.clock.advance(MINUTE - MOMENT);
    opens(&ann, &first).await;
}

#[tokio::test]
async fn each_of_two_codes_lives_to_its_own_end() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let first = ann.login_code(&server).await;
    server.clock.advance(5 * MINUTE);
    let second = another_code(&server, &ann, &first).await;
    server.clock.advance(5 * MINUTE);
    check_refused(&ann, &first).await;
    server.clock.advance(5 * MINUTE - MOMENT);
    opens(&ann, &second).await;
}

#[tokio::test]
async fn a_right_code_spends_the_other_live_one_too() {
    let server = Server::start(&[]).await;
    let (ann, doctor) = (with_mail(&server, "p", "ann").await, with_mail(&server, "d", "ann").await);
    let first = ann.login_code(&server).await;
    server.clock.advance(5 * MINUTE);
    let second = another_code(&server, &ann, &first).await;
    opens(&ann, &second).await;
    check_refused(&ann, &first).await;
    opens(&doctor, &first).await;
    check_refused(&doctor, &second).await;
}

#[tokio::test]
async fn a_code_that_one_account_has_used_does_not_come_back_while_its_sibling_holds_it() {
    let server = Server::start(&[]).await;
    let (ann, doctor) = (with_mail(&server, "p", "ann").await, with_mail(&server, "d", "ann").await);
    let first = ann.login_code(&server).await;
    opens(&ann, &first).await;
    let second = another_code(&server, &ann, &first).await;
    check_refused(&ann, &first).await;
    opens(&ann, &second).await;
    opens(&doctor, &first).await;
}

#[tokio::test]
async fn the_sixth_wrong_try_kills_every_code_of_its_account() {
    let server = Server::start(&[("LOCK__AFTER", "90")]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let first = ann.login_code(&server).await;
    for _ in 0..3 {
        check_refused(&ann, &wrong(&first)).await;
    }
    server.clock.advance(5 * MINUTE);
    // A new code is no new round: the tries of the one beside it are its own, too.
    let second = another_code(&server, &ann, &first).await;
    let neither = if wrong(&first) == second { wrong(&second) } else { wrong(&first) };
    for _ in 0..2 {
        check_refused(&ann, &neither).await;
    }
    for code in [&first, &second] {
        check_refused(&ann, code).await;
    }
    // The next is a round of its own, and what was dead stays so.
    let third = another_code(&server, &ann, &second).await;
    check_refused(&ann, &second).await;
    opens(&ann, &third).await;
}

#[tokio::test]
async fn never_more_than_two_codes_of_an_account_live_whichever_surface_asks() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    let on = json!({"password": PASSWORD, "method": "otp"});
    browser.post("/two-factor/enable", &on).await.expect(200);
    let ann = Person::known(&server.http, "p", "ann@example.org");
    for round in 0..40 {
        if round % 3 == 0 {
            ask(&server, &ann.email).await;
        } else {
            let mut browser = Browser::second_step(&server, "ann").await;
            browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
        }
        let now = server.clock.now().0;
        let live = format!(
            "SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM mailed_codes WHERE used_at IS NULL AND ended_at IS NULL \
             AND expires_at > {now} GROUP BY subject) AS each_one"
        );
        let most = number(server.settings(), &live).await;
        assert!((1..=2).contains(&most), "{most} in round {round}");
        // Each asking sends one, and it is good: here the last of them is tried.
        let all = codes(&server, &ann.email).await;
        assert_eq!(all.len(), round + 1);
        if round == 39 {
            opens(&ann, &all[39]).await;
        }
        server.clock.advance(Duration::from_secs(61));
    }
}

#[tokio::test]
async fn a_code_asked_for_through_the_two_factor_surface_lives_three_minutes() {
    let server = Server::start(&[]).await;
    let mut browser = Browser::signed_up(&server, "ann").await;
    let on = json!({"password": PASSWORD, "method": "otp"});
    browser.post("/two-factor/enable", &on).await.expect(200);
    let ann = Person::known(&server.http, "p", "ann@example.org");
    let long = ann.login_code(&server).await;
    server.clock.advance(MINUTE);
    let mut browser = Browser::second_step(&server, "ann").await;
    browser.post("/two-factor/send-otp", &json!({})).await.expect(200);
    let short = mailed_code(&server, &ann.email).await;
    assert_ne!(long, short, "one time in a million");
    server.clock.advance(3 * MINUTE);
    check_refused(&ann, &short).await;
    opens(&ann, &long).await;
}

#[tokio::test]
async fn a_code_refused_as_over_stays_over_when_the_clock_steps_back() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    let code = ann.login_code(&server).await;
    server.clock.advance(10 * MINUTE);
    check_refused(&ann, &code).await;
    server.clock.step_back(5 * MINUTE);
    check_refused(&ann, &code).await;
    // Nor does the minute of a mail that is in the future keep the owner waiting.
    let next = another_code(&server, &ann, &code).await;
    opens(&ann, &next).await;
}

#[tokio::test]
async fn a_code_for_enabling_that_was_guessed_at_is_not_mailed_again_within_the_minute() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    change_store(&server, "UPDATE accounts SET verified = 1, verified_at = 1").await;
    for _ in 0..3 {
        server.http.get_as(&ann.token, "/users/enable_2fa").await.expect(200);
        let code = mailed_code(&server, &ann.email).await;
        for _ in 0..6 {
            let body = json!({"email": ann.email, "provider": "Email", "token": wrong(&code)});
            server.http.post_as(&ann.token, "/users/enable_2fa_confirm", &body).await.expect(400);
        }
    }
    assert_eq!(codes(&server, &ann.email).await.len(), 1);
}

#[tokio::test]
async fn a_removed_account_leaves_no_code_behind() {
    let server = Server::start(&[]).await;
    let ann = with_mail(&server, "p", "ann").await;
    ann.login_code(&server).await;
    server.http.delete_as(&ann.token, "/dashboard/account").await.expect(204);
    ask(&server, "nobody@example.org").await;
    let nobody = number(server.settings(), "SELECT COUNT(*) FROM mailed_codes").await;
    assert_eq!(nobody, 3, "one for each kind of account that another address could have");
    assert!(text_pairs(&server, "SELECT kind, email FROM accounts").await.is_empty());
}
