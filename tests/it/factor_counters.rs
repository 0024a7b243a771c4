//! What guessing at mailed codes and authenticator apps costs: one run for each method, one block for all.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Answer, App, PASSWORD, Person, Phone, Server, letters_to, wrong};

const MINUTE: Duration = Duration::from_secs(60);

/// Somebody with every second factor on.
struct Fort {
    server: Server,
    ann: Person,
    phone: Phone,
    app: App,
}

impl Fort {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let server = Server::start(settings).await;
        let (ann, phone) = server.proven_person_with_phone("ann").await;
        ann.turn_mail_on(&server, &phone.token).await;
        let app = ann.bind_app(&server, &phone.token).await;
        // A phone that was bound before a block began: not in the same millisecond.
        server.clock.advance(MINUTE);
        Self { server, ann, phone, app }
    }

    async fn mail(&self, code: &str) -> Answer {
        self.ann.post("email_2fa", &json!({"token_2fa": code})).await
    }

    async fn totp(&self, code: &str) -> Answer {
        self.ann.post("third_party_2fa", &json!({"token_2fa": code})).await
    }

    async fn backup(&self, code: &str) -> Answer {
        self.ann.post("backup_code_2fa", &json!({"backup_code": code})).await
    }

    async fn guess_mail(&self, times: usize) {
        for n in 0..times {
            assert_eq!(self.mail("x").await.refusal(400), "invalid 2FA token", "guess {n}");
        }
    }

    async fn guess_totp(&self, times: usize) {
        for n in 0..times {
            let wrong = self.app.wrong_code(&self.server);
            assert_eq!(self.totp(&wrong).await.refusal(400), "token 2fa is invalid", "guess {n}");
        }
    }

    async fn guess_backup(&self, times: usize) {
        for n in 0..times {
            assert_eq!(self.backup("x").await.refusal(400), "invalid backup code", "guess {n}");
        }
    }

    /// Every kind of check is blocked for this many seconds still, whether its code is right or wrong.
    async fn check_blocked(&self, seconds: u32) {
        let code = self.ann.login_code(&self.server).await;
        for (what, answer) in [
            ("mailed code", self.mail(&code).await),
            ("wrong mailed code", self.mail(&wrong(&code)).await),
            ("app", self.totp(&self.app.code(&self.server)).await),
            ("wrong app", self.totp("x").await),
            ("backup code", self.backup(&self.phone.backup_codes[9]).await),
            ("wrong backup code", self.backup("x").await),
        ] {
            assert_eq!((answer.status, answer.header("retry-after")), (423, &*seconds.to_string()), "{what}");
            assert_eq!(answer.json()["error"], "locked");
        }
    }

    /// What a login asks for.
    async fn asked(&self) -> Value {
        self.ann.post("login", &json!({})).await.expect(200).json()["Methods"].clone()
    }
}

#[tokio::test]
async fn ten_wrong_codes_of_any_method_block_all_of_them() {
    for method in ["mail", "totp", "backup"] {
        let mut fort = Fort::new(&[]).await;
        match method {
            "mail" => fort.guess_mail(10).await,
            "totp" => fort.guess_totp(10).await,
            _ => fort.guess_backup(10).await,
        }
        fort.check_blocked(900).await;
        // The password's own step, and the phone, are as before.
        assert_eq!(fort.asked().await, json!(["EMAIL", "MOBILE", "AUTHENTIFICATOR"]));
        let wrong = json!({"password": "wrong password", "token_2fa": "x"});
        let refused = fort.ann.post("third_party_2fa", &wrong).await;
        assert_eq!(refused.refusal(401), "Email and password mismatch");
        fort.server.clock.advance(MINUTE);
        let approved = fort.phone.approved_code(&fort.server, &fort.ann).await;
        fort.ann.exchange(&approved).await.token();
        fort.check_blocked(840).await;
        fort.server.clock.advance(14 * MINUTE);
        // What was refused unseen is not used up.
        let code = fort.ann.login_code(&fort.server).await;
        fort.mail(&code).await.token();
        fort.totp(&fort.app.code(&fort.server)).await.token();
        fort.backup(&fort.phone.backup_codes[9]).await.token();
        let told = letters_to(&fort.server, &fort.ann.email).await;
        assert_eq!(told.iter().filter(|letter| letter.subject == "Too many wrong codes").count(), 1);
    }
}

#[tokio::test]
async fn a_block_lasts_as_long_as_the_settings_say_and_survives_a_restart() {
    let mut server = Server::start(&[("LOCK__AFTER", "3"), ("LOCK__FOR", "30s")]).await;
    let ann = server.person("ann").await;
    let app = ann.bind_app(&server, &ann.token).await;
    let login = async |server: &Server, code: &str| {
        let answer = ann.at(server).post("third_party_2fa", &json!({"token_2fa": code})).await;
        (answer.status, answer.header("retry-after").to_owned())
    };
    for _ in 0..2 {
        assert_eq!(login(&server, "x").await.0, 400);
    }
    server.restart().await;
    assert_eq!(login(&server, "x").await.0, 400);
    for (left, millis) in [("30", 29_999), ("1", 1)] {
        server.restart().await;
        assert_eq!(login(&server, &app.code(&server)).await, (423, left.to_owned()));
        server.clock.advance(Duration::from_millis(millis));
    }
    assert_eq!(login(&server, &app.code(&server)).await.0, 200);
}

#[tokio::test]
async fn a_success_ends_the_run_of_its_own_method_and_of_no_other() {
    let fort = Fort::new(&[]).await;
    fort.guess_mail(9).await;
    fort.guess_totp(9).await;
    fort.totp(&fort.app.code(&fort.server)).await.token();
    fort.guess_totp(9).await;
    fort.backup(&fort.phone.backup_codes[0]).await.token();
    // The mailed codes' run went on all the time.
    fort.guess_mail(1).await;
    fort.check_blocked(900).await;
    fort.server.clock.advance(15 * MINUTE);
    // And the app's, with nine, too: a block ends none.
    fort.guess_totp(1).await;
    fort.check_blocked(900).await;
}

#[tokio::test]
async fn a_mailed_success_ends_the_mailed_run() {
    let fort = Fort::new(&[]).await;
    fort.guess_mail(9).await;
    let code = fort.ann.login_code(&fort.server).await;
    fort.mail(&code).await.token();
    fort.guess_mail(9).await;
    fort.totp(&fort.app.code(&fort.server)).await.token();
}

#[tokio::test]
async fn a_new_code_resets_no_run() {
    let fort = Fort::new(&[]).await;
    for _ in 0..5 {
        let code = fort.ann.login_code(&fort.server).await;
        for _ in 0..2 {
            fort.mail(&wrong(&code)).await.expect(400);
        }
        fort.server.clock.advance(MINUTE);
    }
    fort.check_blocked(840).await;
}

#[tokio::test]
async fn an_expired_code_counts_beside_a_live_one_and_a_used_one_does_not() {
    let fort = Fort::new(&[]).await;
    let old = fort.ann.login_code(&fort.server).await;
    fort.server.clock.advance(5 * MINUTE);
    let used = fort.ann.login_code(&fort.server).await;
    assert_ne!(used, old, "one time in a million");
    fort.mail(&used).await.token();
    // Both are spent by that.
    for code in [&used, &old] {
        for _ in 0..20 {
            fort.mail(code).await.expect(400);
        }
    }
    let expired = fort.ann.login_code(&fort.server).await;
    fort.server.clock.advance(5 * MINUTE);
    fort.ann.login_code(&fort.server).await;
    fort.server.clock.advance(5 * MINUTE);
    for _ in 0..10 {
        assert_eq!(fort.mail(&expired).await.refusal(400), "invalid 2FA token");
    }
    fort.check_blocked(900).await;
}

#[tokio::test]
async fn two_hundred_guesses_at_once_at_two_methods_never_exceed_their_runs() {
    let fort = Fort::new(&[("PASSWORD__QUEUE", "1000")]).await;
    let twin = fort.server.twin().await;
    let (nodes, code) = ([fort.ann.clone(), fort.ann.at(&twin)], fort.ann.login_code(&fort.server).await);
    let guesses = (0..200).map(|n: usize| {
        let (person, code) = (nodes[n % 2].clone(), wrong(&code));
        let route = if n % 4 < 2 { "email_2fa" } else { "third_party_2fa" };
        let code = if n % 4 < 2 { code } else { "x".to_owned() };
        tokio::spawn(async move { (route, person.post(route, &json!({"token_2fa": code})).await.status) })
    });
    let (mut mail, mut totp, mut blocked) = (0, 0, 0);
    for guess in guesses.collect::<Vec<_>>() {
        match guess.await.unwrap() {
            ("email_2fa", 400) => mail += 1,
            ("third_party_2fa", 400) => totp += 1,
            (_, 423) => blocked += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(mail <= 10 && totp <= 10 && (mail == 10 || totp == 10), "{mail} {totp}");
    assert_eq!(mail + totp + blocked, 200);
    fort.server.clock.advance(15 * MINUTE);
    fort.totp(&fort.app.code(&fort.server)).await.token();
}

#[tokio::test]
async fn six_parallel_guesses_at_a_code_kill_it_and_no_right_one_slips_through_later() {
    let fort = Fort::new(&[("PASSWORD__QUEUE", "1000"), ("LOCK__AFTER", "50")]).await;
    let code = fort.ann.login_code(&fort.server).await;
    let guesses = (0..12).map(|_| {
        let (ann, guess) = (fort.ann.clone(), wrong(&code));
        tokio::spawn(async move { ann.post("email_2fa", &json!({"token_2fa": guess})).await.status })
    });
    for guess in guesses.collect::<Vec<_>>() {
        assert_eq!(guess.await.unwrap(), 400);
    }
    assert_eq!(fort.mail(&code).await.refusal(400), "invalid 2FA token");
}

#[tokio::test]
async fn a_hundred_in_a_row_end_a_method_until_it_is_bound_again() {
    let mut fort = Fort::new(&[]).await;
    for _ in 0..10 {
        fort.guess_totp(10).await;
        fort.server.clock.advance(15 * MINUTE);
    }
    assert_eq!(fort.asked().await, json!(["EMAIL", "MOBILE"]));
    assert_eq!(fort.totp(&fort.app.code(&fort.server)).await.refusal(400), "token 2fa is invalid");
    for _ in 0..10 {
        fort.guess_mail(10).await;
        fort.server.clock.advance(15 * MINUTE);
    }
    assert_eq!(fort.asked().await, json!(["MOBILE"]));
    let code = fort.ann.login_code(&fort.server).await;
    assert_eq!(fort.mail(&code).await.refusal(400), "email is not a valid 2FA method");
    // Never the phone, and never the password.
    fort.phone.reconnect(&fort.server).await;
    let approved = fort.phone.approved_code(&fort.server, &fort.ann).await;
    let token = fort.ann.exchange(&approved).await.token();
    fort.ann.turn_mail_on(&fort.server, &token).await;
    let app = fort.ann.bind_app(&fort.server, &token).await;
    assert_eq!(fort.asked().await, json!(["EMAIL", "MOBILE", "AUTHENTIFICATOR"]));
    let code = fort.ann.login_code(&fort.server).await;
    fort.mail(&code).await.token();
    fort.totp(&app.code(&fort.server)).await.token();
    // Their runs begin anew.
    fort.guess_mail(9).await;
    fort.totp(&app.code_at(&fort.server, 1)).await.token();
}

#[tokio::test]
async fn guessing_the_only_method_away_does_not_leave_the_password_alone() {
    let server = Server::start(&[]).await;
    for method in ["mail", "totp"] {
        let ann = server.person(method).await;
        let app = match method {
            "mail" => {
                ann.turn_mail_on(&server, &ann.token).await;
                None
            }
            _ => Some(ann.bind_app(&server, &ann.token).await),
        };
        let fresh = json!({"password": PASSWORD});
        let made = server.http.post_as(&ann.token, "/auth/creation_backup_code", &fresh).await.expect(201);
        let codes = made.json()["double_auth"]["code"].clone();
        let route = if app.is_some() { "third_party_2fa" } else { "email_2fa" };
        for _ in 0..10 {
            for _ in 0..10 {
                ann.post(route, &json!({"token_2fa": "x"})).await.expect(400);
            }
            ann.post(route, &json!({"token_2fa": "x"})).await.expect(423);
            server.clock.advance(15 * MINUTE);
        }
        let asked = ann.post("login", &json!({})).await.expect(200).json();
        assert!(asked.get("token").is_none(), "{method}: {asked}");
        assert_eq!(asked["Methods"], json!([]), "{method}");
        let right = match &app {
            Some(app) => app.code(&server),
            None => ann.login_code(&server).await,
        };
        ann.post(route, &json!({"token_2fa": right})).await.expect(400);
        // A backup code still opens the account, for its owner to bind a method again.
        let token = ann.post("backup_code_2fa", &json!({"backup_code": codes[0]})).await.token();
        let on = server.http.get_as(&token, "/dashboard/2fa").await.expect(200).json();
        assert_eq!(on["double_auth"]["methods"], json!(["BACKUPCODE"]));
        ann.turn_mail_on(&server, &token).await;
        let code = ann.login_code(&server).await;
        ann.post("email_2fa", &json!({"token_2fa": code})).await.token();
    }
}

#[tokio::test]
async fn guesses_at_an_app_that_is_being_set_up_count() {
    let server = Server::start(&[]).await;
    let ann = server.person("ann").await;
    let app = ann.begin_app(&server, &ann.token).await;
    let confirm = async |code: String| {
        server.http.post_as(&ann.token, "/2fa/method/third_party", &json!({"token": code})).await
    };
    for _ in 0..10 {
        confirm(app.wrong_code(&server)).await.expect(400);
    }
    assert_eq!(confirm(app.code(&server)).await.expect(423).header("retry-after"), "900");
    server.clock.advance(15 * MINUTE);
    let body = json!({"token": app.code(&server), "password": PASSWORD});
    server.http.post_as(&ann.token, "/2fa/method/third_party", &body).await.expect(200);
}

#[tokio::test]
async fn turning_mailed_codes_on_again_without_a_proof_resets_no_run() {
    let server = Server::start(&[]).await;
    let eve = server.person("eve").await;
    eve.turn_mail_on(&server, &eve.token).await;
    for _ in 0..9 {
        eve.post("email_2fa", &json!({"token_2fa": "000000"})).await.expect(400);
    }
    eve.turn_mail_on(&server, &eve.token).await;
    eve.post("email_2fa", &json!({"token_2fa": "000000"})).await.expect(400);
    eve.post("email_2fa", &json!({"token_2fa": "000000"})).await.expect(423);
}
