//! Asking for a mailed code takes the same time for known and unknown addresses.

use std::time::Duration;

use readylogin::clock::Clock;
use serde_json::json;

use super::{nothing_tells, told_apart};
use crate::harness::Server;

/// Longer than a code lives: each round mails new ones.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(1_200);

/// Where something is mailed: a route, the field with the address in it, and the answer's status.
const ROUTES: &[(&str, &str, u16)] = &[
    ("/auth/sending_email", "email", 200),
    ("/api/v1/auth/2fa/request-otp", "identifier", 201),
    ("/auth/send-mail-login-code-v2", "mail", 200),
];

#[tokio::test]
async fn asking_takes_the_same_time_for_known_and_unknown_addresses_and_so_does_what_comes_next() {
    let server = Server::start(&[]).await;
    for n in 0..80 {
        server.person(&format!("known{n}")).await;
    }
    for route in ROUTES {
        nothing_tells(async || {
            let [asks, next] = sample(&server, *route).await;
            server.clock.advance(BETWEEN_ROUNDS);
            let found = [
                told_apart(&asks[0], &asks[1], &format!("{}: known and unknown", route.0)),
                told_apart(&next[0], &next[1], &format!("{}: after known and after unknown", route.0)),
            ];
            found.into_iter().flatten().collect()
        })
        .await;
    }
}

/// How long it takes to ask for the codes of known and of unknown addresses, and to ask for another's right after it.
async fn sample(server: &Server, route: (&str, &str, u16)) -> [[Vec<Duration>; 2]; 2] {
    let (clock, (path, field, status)) = (Clock::system(), route);
    let timed = async |email: String| {
        let mut body = json!({field: email});
        if field == "mail" {
            body["locale"] = json!("en");
        }
        let begun = clock.uptime();
        server.http.post(path, &body).await.expect(status);
        clock.uptime() - begun
    };
    let (mut asks, mut next) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for n in 0..80 {
        // Each comes after the other as often.
        for at in if n % 2 == 0 { [0, 1] } else { [1, 0] } {
            let first = timed(format!("{}{n}@example.org", ["known", "unknown"][at])).await;
            let second = timed(format!("control{n}{at}@example.org")).await;
            // The first ones warm caches up.
            if n >= 5 {
                asks[at].push(first);
                next[at].push(second);
            }
        }
    }
    [asks, next]
}
