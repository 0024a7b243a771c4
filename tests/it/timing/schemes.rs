//! Nobody can tell by time whose password another system hashed, nor which addresses have an account among those.

use std::fmt::Write as _;
use std::time::Duration;

use readylogin::clock::Clock;

use super::{median, nothing_tells, told_apart};
use crate::harness::{PATIENCE, Server};
use crate::import::{PASSWORD, SCHEMES, import_all, line, login};

/// A bcrypt hash of this cost and of nobody's password.
fn bcrypt(cost: u32) -> String {
    SCHEMES[0].1.replace("$05$", &format!("${cost:02}$"))
}

/// How long an attempt with a wrong password takes.
async fn refusal(server: &Server, name: &str) -> Duration {
    let clock = Clock::system();
    let begun = clock.uptime();
    login(server, name, "wrong password").await.expect(401);
    clock.uptime() - begun
}

/// So many accounts of each half, and as many addresses without one.
const EACH: usize = 40;

/// A half of the accounts comes from a system with a slower hash: nobody can tell by time which addresses have an
/// account, and of which half it is.
#[tokio::test]
async fn unknown_addresses_take_the_time_of_known_ones_in_the_same_proportion() {
    let settings = [("PASSWORD__MEMORY_KIB", "4096"), ("PASSWORD__THREADS", "1")];
    let mut server = Server::start(&settings).await;
    let today =
        "$argon2id$v=19$m=4096,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$GV7fluZsuZyQ43LZVwYo8av+WRdw1ah6QQmf/ICuqEQ";
    let mut lines = String::new();
    for n in 0..EACH {
        let _ =
            write!(lines, "{}{}", line(&format!("slow{n}"), &bcrypt(8)), line(&format!("fast{n}"), today));
    }
    import_all(&server, &lines).await;
    server.restart().await;
    nothing_tells(async || {
        let Sample { slow, fast, unknown } = sample(&server).await;
        assert!(median(&slow) > 2.0 * median(&fast), "the schemes are too much alike to tell anything");
        let limit = Duration::from_secs_f64((median(&slow) * median(&fast)).sqrt());
        // Two looks at each address: what is drawn for it must not change.
        let (drawn_slow, drawn_fast): (Vec<_>, Vec<_>) =
            unknown.iter().partition(|times| times.iter().min().unwrap() > &limit);
        let all =
            |of: &[&Vec<Duration>]| of.iter().flat_map(|times| times.iter().copied()).collect::<Vec<_>>();
        // As many of each as accounts have: half of 80, five standard deviations either way. With that, and each scheme
        // alike, all of them are: a median of two speeds together says nothing.
        if !(18..=62).contains(&drawn_slow.len()) {
            return vec![format!("{} of 80 unknown addresses are slow", drawn_slow.len())];
        }
        let found = [
            told_apart(&slow, &all(&drawn_slow), "slow ones"),
            told_apart(&fast, &all(&drawn_fast), "fast ones"),
        ];
        found.into_iter().flatten().collect()
    })
    .await;
}

struct Sample {
    slow: Vec<Duration>,
    fast: Vec<Duration>,
    /// For each address without an account.
    unknown: Vec<Vec<Duration>>,
}

async fn sample(server: &Server) -> Sample {
    let mut sample = Sample { slow: Vec::new(), fast: Vec::new(), unknown: vec![Vec::new(); 2 * EACH] };
    for round in 0..3 {
        for n in 0..EACH {
            let slow = refusal(server, &format!("slow{n}")).await;
            let fast = refusal(server, &format!("fast{n}")).await;
            let strange =
                [refusal(server, &format!("who{n}")).await, refusal(server, &format!("nobody{n}")).await];
            // The first ones warm caches up.
            if round > 0 {
                sample.slow.push(slow);
                sample.fast.push(fast);
                sample.unknown[2 * n].push(strange[0]);
                sample.unknown[2 * n + 1].push(strange[1]);
            }
        }
    }
    sample
}

/// A server that runs notices an import: its unknown addresses take the time of the accounts that came.
#[tokio::test]
async fn a_running_server_draws_by_the_new_proportions() {
    let server = Server::start(&[("PASSWORD__THREADS", "1")]).await;
    // So slow that no waiting for the disk comes near it.
    let lines: String = (0..50).map(|n| line(&format!("n{n}"), &bcrypt(11))).collect();
    import_all(&server, &lines).await;
    let slow = refusal(&server, "n0").await;
    let clock = Clock::system();
    let begun = clock.uptime();
    loop {
        server.clock.advance(Duration::from_millis(500));
        let mut least = Duration::MAX;
        for _ in 0..3 {
            least = least.min(refusal(&server, "nobody").await);
        }
        if least > slow / 2 {
            break;
        }
        assert!(clock.uptime() - begun < PATIENCE, "unknown addresses take {least:?}, known ones {slow:?}");
    }
}

/// The least of some attempts, which is what the work costs.
async fn least(server: &Server, name: &str) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..5 {
        least = least.min(refusal(server, name).await);
    }
    least
}

/// Accounts of another system, with a hash that costs a fraction of today's, on two nodes; all of them have just logged
/// in at the first.
async fn hashed_anew() -> (Server, Server) {
    let settings = [("PASSWORD__THREADS", "1"), ("PASSWORD__MEMORY_KIB", "65536")];
    let mut server = Server::start(&settings).await;
    let lines: String = (0..12).map(|n| line(&format!("n{n}"), SCHEMES[0].1)).collect();
    import_all(&server, &lines).await;
    server.restart().await;
    let other = server.twin().await;
    let (known, unknown) = (least(&server, "n0").await, least(&server, "nobody").await);
    for n in 0..12 {
        login(&server, &format!("n{n}"), PASSWORD).await.expect(200);
    }
    let anew = least(&server, "n0").await;
    assert!(
        anew > 3 * known.max(unknown),
        "the schemes are too much alike: {known:?}, {unknown:?}, {anew:?}"
    );
    (server, other)
}

/// The clock stands still: nothing is counted again meanwhile.
#[tokio::test]
async fn unknown_addresses_follow_at_once_when_accounts_are_hashed_anew() {
    let (server, _other) = hashed_anew().await;
    nothing_tells(async || {
        let mut found = Vec::new();
        for name in ["nobody", "who", "somebody", "else"] {
            let (known, unknown) = (least(&server, "n0").await, least(&server, name).await);
            if unknown < known / 2 {
                found.push(format!("{name} takes {unknown:?}, known ones {known:?}"));
            }
        }
        found
    })
    .await;
}

#[tokio::test]
async fn other_nodes_follow_at_their_next_look() {
    let (server, other) = hashed_anew().await;
    let known = least(&server, "n0").await;
    server.clock.advance(Duration::from_secs(1));
    let clock = Clock::system();
    let begun = clock.uptime();
    loop {
        let unknown = least(&other, "nobody").await;
        if unknown > known / 2 {
            break;
        }
        assert!(
            clock.uptime() - begun < PATIENCE,
            "unknown addresses take {unknown:?}, known ones {known:?}"
        );
    }
}
