//! The second call of `/users` takes the same time for known and unknown addresses while no login is under way.

use std::time::Duration;

use readylogin::clock::Clock;
use serde_json::json;

use super::{nothing_tells, told_apart};
use crate::harness::Server;

const CONFIRM: &str = "/users/two_step_verification_confirm";

#[tokio::test]
async fn a_second_step_without_a_first_takes_the_same_time_for_known_and_unknown_addresses() {
    let server = Server::start(&[]).await;
    let (ann, doctor) = (server.person("known").await, server.person_of("d", "known").await);
    ann.turn_mail_on(&server, &ann.token).await;
    doctor.turn_mail_on(&server, &doctor.token).await;
    nothing_tells(async || {
        let [known, unknown] = sample(&server).await;
        told_apart(&known, &unknown, "known and unknown").into_iter().collect()
    })
    .await;
}

/// How long a refusal takes for an address that two accounts have, and for one that none has.
async fn sample(server: &Server) -> [Vec<Duration>; 2] {
    let clock = Clock::system();
    let mut samples = [Vec::new(), Vec::new()];
    for n in 0..300 {
        // Each comes after the other as often.
        for at in if n % 2 == 0 { [0, 1] } else { [1, 0] } {
            let email = format!("{}@example.org", ["known", "other"][at]);
            let body = json!({"email": email, "provider": "Email", "token": "123456"});
            let begun = clock.uptime();
            server.http.post(CONFIRM, &body).await.expect(400);
            // The first ones warm caches up.
            if n >= 20 {
                samples[at].push(clock.uptime() - begun);
            }
        }
    }
    samples
}
