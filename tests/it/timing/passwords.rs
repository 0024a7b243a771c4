//! Refusing a wrong password takes the same time, whatever there is behind the address.

use std::time::Duration;

use readylogin::clock::Clock;
use serde_json::json;

use super::{nothing_tells, told_apart};
use crate::alike::accounts;
use crate::harness::{Server, change_store};

/// Where a wrong password is refused: a route, and the name of the field with the address in it.
const PASSWORD_STEPS: &[(&str, &str)] = &[
    ("/auth/p/login", "email"),
    ("/api/auth/sign-in/email", "email"),
    ("/users/two_step_verification_login", "username"),
    ("/api/v1/auth/login", "identifier"),
];

#[tokio::test]
async fn refusals_take_the_same_time() {
    // A hash's real work: the passwords of the other tests cost next to nothing, and would hide it.
    let settings = [("PASSWORD__MEMORY_KIB", "8192"), ("PASSWORD__THREADS", "1")];
    let server = Server::start(&settings).await;
    let _phone = accounts(&server).await;
    let names = ["unknown@example.org", "plain@example.org", "disabled@example.org"];
    let mut asked: Vec<_> = PASSWORD_STEPS.iter().flat_map(|step| names.map(|name| (step, name))).collect();
    asked.push((&PASSWORD_STEPS[0], "no address"));
    change_store(&server, "UPDATE accounts SET phone = '+41791234567' WHERE email = 'plain@example.org'")
        .await;
    asked.extend(["+41791234567", "+41791234568"].map(|number| (&PASSWORD_STEPS[3], number)));
    nothing_tells(async || {
        let samples = sample(&server, &asked).await;
        let compared = samples.iter().zip(&asked).map(|(sample, (step, name))| {
            let unknown = asked.iter().position(|(other, _)| *other == *step).unwrap();
            told_apart(&samples[unknown], sample, &format!("{} for {name}", step.0))
        });
        compared.flatten().collect()
    })
    .await;
}

/// How long each refusal takes, of all of them in turn.
async fn sample(server: &Server, asked: &[(&(&str, &str), &str)]) -> Vec<Vec<Duration>> {
    let clock = Clock::system();
    let mut samples = vec![Vec::new(); asked.len()];
    for round in 0..65 {
        for (((path, field), name), sample) in asked.iter().zip(&mut samples) {
            let mut body = json!({"password": "wrong password", "provider": "Email"});
            body[*field] = json!(name);
            let begun = clock.uptime();
            server.http.post(path, &body).await.expect(401);
            // The first ones warm caches up.
            if round >= 5 {
                sample.push(clock.uptime() - begun);
            }
        }
    }
    samples
}

/// The old password is proven before anything is done for the new one.
#[tokio::test]
async fn a_refused_change_of_password_takes_the_time_of_one_hash() {
    let settings = [("PASSWORD__MEMORY_KIB", "32768"), ("PASSWORD__THREADS", "1")];
    let server = Server::start(&settings).await;
    let ann = server.person("ann").await;
    let change = json!({"password": "wrong password", "new_password": "another horse entirely"});
    let clock = Clock::system();
    nothing_tells(async || {
        let (mut login, mut changed) = (Duration::MAX, Duration::MAX);
        for _ in 0..5 {
            let begun = clock.uptime();
            ann.post("login", &json!({"password": "wrong password"})).await.expect(401);
            let between = clock.uptime();
            server.http.post_as(&ann.token, "/dashboard/password", &change).await.expect(401);
            login = login.min(between - begun);
            changed = changed.min(clock.uptime() - between);
        }
        let is_more = changed > login.mul_f64(1.6);
        is_more.then(|| format!("a login takes {login:?}, a change {changed:?}")).into_iter().collect()
    })
    .await;
}
