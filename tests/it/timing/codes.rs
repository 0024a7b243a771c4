//! Asking for a mailed code takes the same time for known and unknown addresses.

use std::time::Duration;

use readylogin::clock::Clock;

use super::{nothing_tells, told_apart};
use crate::harness::Server;
use crate::mailed_codes::ask;

/// Longer than a code lives: each round mails new ones.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(1_200);

#[tokio::test]
async fn asking_takes_the_same_time_for_known_and_unknown_addresses_and_so_does_what_comes_next() {
    let server = Server::start(&[]).await;
    for n in 0..80 {
        server.person(&format!("known{n}")).await;
    }
    nothing_tells(async || {
        let [asks, next] = sample(&server).await;
        server.clock.advance(BETWEEN_ROUNDS);
        let found = [
            told_apart(&asks[0], &asks[1], "known and unknown"),
            told_apart(&next[0], &next[1], "after known and after unknown"),
        ];
        found.into_iter().flatten().collect()
    })
    .await;
}

/// How long it takes to ask for the codes of known and of unknown addresses, and to ask for another's right after it.
async fn sample(server: &Server) -> [[Vec<Duration>; 2]; 2] {
    let clock = Clock::system();
    let timed = async |email: String| {
        let begun = clock.uptime();
        ask(server, &email).await.expect(200);
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
