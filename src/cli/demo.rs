//! `demo`: a server with a store of its own, and one login over the network, told frame by frame.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::client::{Client, Direction};
use super::frames::redacted;
use super::login::{Browser, Owner, Phone};
use super::output;
use super::serve::Signals;
use super::temporary::{Temporary, readable_password};
use crate::app::Server;
use crate::clock::Clock;

/// Watch one login, frame by frame, on a server of its own
///
/// Starts a server with a temporary store and two accounts, and logs one of them in over the loopback network: a
/// browser waits, a phone is asked and approves, the code becomes a token. Every frame is printed as it stands on the
/// wire, passwords excepted. Then the server stays up for you to try the pages, until Ctrl-C; everything it kept is
/// removed. No settings file is read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End after the scripted login
    #[arg(long)]
    once: bool,
    /// Listen on this address [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let mut temporary = Temporary::new()?;
    if let Some(address) = args.listen {
        temporary.listen(address);
    }
    let config = temporary.config()?;
    super::init_log(&config)?;
    let owners = [("p", "maria@example.org"), ("d", "doctor@example.org")];
    let owners = owners.map(|(kind, email)| Owner { kind, email, password: readable_password() });
    temporary.add(&owners).await?;
    let server = Server::start(config, Clock::system()).await?;
    output::line(&format!("listening on http://{}", server.address()))?;

    let (address, url) = (server.address(), server.url().to_owned());
    let mut outcome = Ok(());
    let play = async { outcome = play(address, &url, &owners, args.once, &mut signals).await };
    server.run_until(play).await?;
    outcome
}

async fn play(
    address: SocketAddr,
    url: &str,
    owners: &[Owner; 2],
    once: bool,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    tokio::select! {
        told = script(address, &owners[0], once) => told?,
        () = signals.next() => bail!("stopped before the end"),
    }
    if !once {
        invite(url, owners)?;
        signals.next().await;
    }
    Ok(())
}

/// One login of `owner`. Unless the demo ends here, the scripted phone is unbound again.
async fn script(address: SocketAddr, owner: &Owner, once: bool) -> anyhow::Result<()> {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let heading = |text: &str| output::line(&paint(&format!("# {text}"), DIM, colour));
    // A phone's tokens are kept for long and come again and again: their beginnings do.
    let phone = Client::new(address, narrator("phone", MAGENTA, &["authToken", "token"], colour));
    let browser = Client::new(address, narrator("browser", CYAN, &[], colour));

    heading("Maria's phone logs in, becomes an approving device and goes online.")?;
    let mut phone = Phone::bind(&phone, owner).await.context("the phone")?;
    heading("A browser waits, then gives her address and password.")?;
    let mut waiting = Browser::open(&browser).await.context("the browser")?;
    waiting.ask(owner).await.context("the browser")?;
    heading("Her phone is asked, and she approves.")?;
    let uuid = phone.asked().await.context("the phone")?;
    phone.approve(&uuid).await.context("the phone")?;
    heading("The browser hears it, and exchanges the code for a token.")?;
    let code = waiting.answered().await.context("the browser")?;
    let token = waiting.exchange(owner, &code).await.context("the browser")?;
    if !once {
        heading("The scripted phone approves no more, so that you can set up one of your own.")?;
        phone.unbind().await.context("the phone")?;
    }
    output::line("claims")?;
    output::json(&claims(&token)?)
}

fn invite(url: &str, owners: &[Owner; 2]) -> anyhow::Result<()> {
    let kinds = ["patient", "doctor"];
    let accounts = kinds
        .iter()
        .zip(owners)
        .map(|(kind, owner)| format!("  {kind:8} {:20} password {}", owner.email, owner.password.expose()));
    let accounts = accounts.collect::<Vec<_>>().join("\n");
    output::line(&format!(
        "\nYour turn: the server stays up until Ctrl-C.\n\n  \
         log in   {url}/\n  approve  {url}/phone\n\n{accounts}\n\n\
         Open /phone in one window and set it up as one of them; then log in at / in a second window as the same one, and approve."
    ))
}

const DIM: &str = "2";
const CYAN: &str = "36";
const MAGENTA: &str = "35";

fn paint(text: &str, style: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Prints what `who` says and hears.
fn narrator(
    who: &'static str,
    style: &'static str,
    shorten: &'static [&'static str],
    colour: bool,
) -> super::client::Listener {
    Box::new(move |direction, text| {
        let arrow = if direction == Direction::Said { '→' } else { '←' };
        let who = paint(&format!("{who} {arrow}"), style, colour);
        output::line(&format!("{who} {}", redacted(text, shorten)))
    })
}

/// What a token claims (RFC 7519 §7.2, without the signature: it came straight from the server).
fn claims(token: &str) -> anyhow::Result<Value> {
    let payload = token.split('.').nth(1).context("the token is no JWT")?;
    let payload = URL_SAFE_NO_PAD.decode(payload).context("the token's claims are not base64url")?;
    serde_json::from_slice(&payload).context("the token's claims are not JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_the_second_part_of_a_token() {
        let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"sub":"ü"}"#));
        assert_eq!(claims(&token).unwrap()["sub"], "ü");
        assert!(claims("nonsense").is_err());
    }

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(paint("x", DIM, false), "x");
        assert_eq!(paint("x", DIM, true), "\u{1b}[2mx\u{1b}[0m");
    }
}
