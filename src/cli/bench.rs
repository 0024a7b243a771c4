//! `bench`: what a waiting browser costs, and how fast an approval reaches it, on a server of its own.

mod child;
mod crowd;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::client::Client;
use super::failure::Usage;
use super::login::{Browser, Owner, Phone};
use super::output;
use super::serve::Signals;
use super::temporary::{Temporary, readable_password};
use crate::clock::Clock;
use child::Child;
use crowd::Crowd;

/// Measure memory per waiting browser and the way of an approval
///
/// Starts a server as a process of its own, with a temporary store and without limits on rates, lets browsers wait,
/// reads what memory they cost, and then logs in with a phone while they wait. No settings file is read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many browsers wait
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sockets: u32,
    /// How many logins are timed
    #[arg(long, default_value_t = 200, value_name = "M", value_parser = clap::value_parser!(u32).range(1..))]
    logins: u32,
    /// Also time logins whose browser waits on a second node, reached over this NATS server (nats://127.0.0.1:4222)
    #[arg(long, value_name = "URL")]
    bus: Option<String>,
    /// Keep everything in this empty database (postgres://…) instead of a temporary SQLite file
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Browsers that wait before memory is read first: by then the server has made what it makes once.
const WARM_UP: u32 = 200;
/// Open files beside the sockets, in either process.
const OTHER_FILES: u64 = 200;
/// How long the server is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(1);

/// What came out.
struct Report {
    sockets: u32,
    /// Bytes of the server's own memory.
    before: u64,
    after: u64,
    opened_in: Duration,
    /// From the phone's approval to the browser's code, shortest first.
    approvals: Vec<Duration>,
    /// The same where the browser waits on another node than the phone; empty without a bus.
    across: Vec<Duration>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let needed = u64::from(args.sockets) + u64::from(WARM_UP) + OTHER_FILES;
    if let Some(limit) = open_files().filter(|limit| *limit < needed) {
        let fits = limit.saturating_sub(u64::from(WARM_UP) + OTHER_FILES);
        return Err(Usage(format!(
            "--sockets {}: this needs {needed} open files in each process, and the limit is {limit}: run \
             `ulimit -n {needed}` first, or give --sockets {fits}",
            args.sockets
        ))
        .into());
    }
    let mut signals = Signals::new()?;
    tokio::select! {
        report = Box::pin(measure(&args)) => tell(&report?, args.json),
        () = signals.next() => bail!("stopped before the end"),
    }
}

async fn measure(args: &Args) -> anyhow::Result<Report> {
    let mut temporary = Temporary::new()?;
    temporary.set("limits.factor", "0");
    temporary.set("socket.ping_every", "1h");
    temporary.set("pairing.ttl", "1h");
    if let Some(store) = &args.store {
        temporary.set("store.url", store);
    }
    if let Some(bus) = &args.bus {
        temporary.set("bus.url", bus);
    }
    super::init_log(&temporary.config()?)?;
    let owner = Owner { kind: "p", email: "maria@example.org", password: readable_password() };
    temporary.add(std::slice::from_ref(&owner)).await?;
    let child = Child::start(&temporary).await?;
    let clock = Clock::system();

    let mut crowd = Crowd::new(child.address);
    crowd.grow(WARM_UP, |_| {}).await?;
    let before = child.settled_memory(SETTLE).await?;
    let start = clock.uptime();
    crowd.grow(args.sockets, |open| progress(&format!("{open} of {} browsers wait", args.sockets))).await?;
    let opened_in = clock.uptime().saturating_sub(start);
    let after = child.settled_memory(SETTLE).await?;
    let other = match &args.bus {
        Some(_) => Some(Child::start(&temporary).await.context("the second node")?),
        None => None,
    };
    let places = [Some(child.address), other.as_ref().map(|other| other.address)];
    let [approvals, across] = time_logins(places, &owner, args.logins, &clock).await?;
    progress("");
    Ok(Report { sockets: args.sockets, before, after, opened_in, approvals, across })
}

/// Logs in again and again while the crowd waits, with the browser at each of the places in turn and the phone at the
/// first; returns the ways of the approvals for each place, shortest first.
async fn time_logins(
    places: [Option<SocketAddr>; 2],
    owner: &Owner,
    logins: u32,
    clock: &Clock,
) -> anyhow::Result<[Vec<Duration>; 2]> {
    let [home, _] = places;
    let client = Client::silent(home.context("no server")?);
    let mut phone = Phone::bind(&client, owner).await.context("the phone")?;
    let mut ways = [Vec::new(), Vec::new()];
    for login in 0..logins {
        progress(&format!("{login} of {logins} logins"));
        for (place, ways) in places.iter().zip(&mut ways) {
            let Some(place) = place else { continue };
            ways.push(time_login(&Client::silent(*place), &mut phone, owner, clock).await?);
        }
    }
    ways.iter_mut().for_each(|ways| ways.sort_unstable());
    Ok(ways)
}

/// One login: from the approval to the browser.
async fn time_login(
    client: &Client,
    phone: &mut Phone<'_>,
    owner: &Owner,
    clock: &Clock,
) -> anyhow::Result<Duration> {
    let mut browser = Browser::open(client).await.context("a browser")?;
    browser.ask(owner).await.context("a browser")?;
    let uuid = phone.asked().await.context("the phone")?;
    let start = clock.uptime();
    let hear = async {
        let code = browser.answered().await?;
        Ok((code, clock.uptime().saturating_sub(start)))
    };
    let ((), (code, way)) = tokio::try_join!(phone.approve(&uuid), hear)?;
    browser.exchange(owner, &code).await.context("a browser")?;
    Ok(way)
}

fn tell(report: &Report, as_json: bool) -> anyhow::Result<()> {
    let each = report.after.saturating_sub(report.before) / u64::from(report.sockets);
    let (p50, p99) = (percentile(&report.approvals, 50), percentile(&report.approvals, 99));
    let seconds = report.opened_in.as_secs_f64();
    let across = [50, 99].map(|percent| millis(percentile(&report.across, percent)));
    if as_json {
        let mut figures = json!({
            "sockets": report.sockets, "bytes_per_socket": each, "memory_before": report.before,
            "memory_after": report.after, "open_seconds": seconds, "logins": report.approvals.len(),
            "approve_p50_ms": millis(p50), "approve_p99_ms": millis(p99),
        });
        if !report.across.is_empty() {
            figures["across_p50_ms"] = json!(across[0]);
            figures["across_p99_ms"] = json!(across[1]);
        }
        return output::json(&figures);
    }
    output::line(&format!(
        "{} browsers wait: {each} bytes of the server's memory each ({:.1} MiB before, {:.1} MiB after)",
        report.sockets,
        mebibytes(report.before),
        mebibytes(report.after)
    ))?;
    output::line(&format!("opened in {seconds:.1} s, {:.0} a second", f64::from(report.sockets) / seconds))?;
    output::line(&format!(
        "{} logins: from approval to browser p50 {:.2} ms, p99 {:.2} ms",
        report.approvals.len(),
        millis(p50),
        millis(p99)
    ))?;
    if report.across.is_empty() {
        return Ok(());
    }
    let [p50, p99] = across;
    output::line(&format!("the same with the browser on another node: p50 {p50:.2} ms, p99 {p99:.2} ms"))
}

/// The smallest value that at least `percent` of them don't exceed; `sorted` begins with the shortest.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

fn mebibytes(bytes: u64) -> f64 {
    Duration::from_micros(bytes).as_secs_f64() * 1e6 / f64::from(1 << 20)
}

/// Shows on a terminal how far things are; an empty text clears the line.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\u{1b}[2K{text}");
    }
}

/// How many files this process, and so its child, may have open; `None` when there is no limit, or none to be read.
fn open_files() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let all = (1..=200).map(Duration::from_millis).collect::<Vec<_>>();
        assert_eq!(percentile(&all, 50), Duration::from_millis(100));
        assert_eq!(percentile(&all, 99), Duration::from_millis(198));
        assert_eq!(percentile(&all[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn sizes_and_times_are_told_in_people_s_units() {
        assert!((mebibytes(3 << 19) - 1.5).abs() < 1e-9);
        assert!((millis(Duration::from_nanos(1_234_567)) - 1.235).abs() < 1e-9);
    }
}
