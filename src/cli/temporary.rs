//! A world for a demonstration: a folder with a store of its own, gone at the end; no settings file is read.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::failure::words;
use super::login::Owner;
use crate::app;
use crate::auth::Auth;
use crate::auth::OPERATOR;
use crate::auth::register::NewAccount;
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::random;
use crate::domain::account::Email;
use crate::domain::secret::Password;

/// The variables of the environment that also count here.
const HEEDED: [&str; 2] = ["READYLOGIN_SERVER__LISTEN", "READYLOGIN_LOG__LEVEL"];

/// A folder and the settings of a server that lives in it. Dropping it removes the folder.
#[derive(Debug)]
pub(super) struct Temporary {
    folder: PathBuf,
    settings: Vec<(String, String)>,
}

impl Temporary {
    /// Makes the folder. The server listens on a free loopback port unless told otherwise.
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("readylogin-{}", random::alphanumeric(12)));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| {
            format!("{} can't be made: point TMPDIR to a folder that is yours", folder.display())
        })?;
        let mut temporary = Self { folder, settings: Vec::new() };
        let folder = temporary.folder.display().to_string();
        temporary.set("store.url", &format!("sqlite://{folder}/demo.db"));
        temporary.set("keys.seal_file", &format!("{folder}/seal.key"));
        temporary.set("mail.folder", &format!("{folder}/mail"));
        temporary.set("server.listen", "127.0.0.1:0");
        temporary.set("server.drain", "1s");
        // Whoever tries Refuse wants to try again at once.
        temporary.set("pairing.refusal_wait", "1s");
        temporary.set("log.level", "warn");
        for name in HEEDED {
            if let Ok(value) = std::env::var(name) {
                temporary.settings.push((name.to_owned(), value));
            }
        }
        Ok(temporary)
    }

    /// Sets `section.key`; what is set last counts.
    pub(super) fn set(&mut self, setting: &str, value: &str) {
        let name = format!("READYLOGIN_{}", setting.replace('.', "__").to_ascii_uppercase());
        self.settings.push((name, value.to_owned()));
    }

    /// Listens on this address instead.
    pub(super) fn listen(&mut self, address: SocketAddr) {
        self.set("server.listen", &address.to_string());
    }

    /// Where everything lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The settings as variables of the environment.
    pub(super) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// The settings as a server reads them.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(None, self.settings.iter().cloned())?)
    }

    /// Adds accounts, while no server runs.
    pub(super) async fn add(&self, owners: &[Owner]) -> anyhow::Result<()> {
        let auth = app::open_auth(Arc::new(self.config()?), Clock::system()).await?;
        let added = add(&auth, owners).await;
        app::close(auth).await;
        added
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!("{} could not be removed: {error}", self.folder.display());
        }
    }
}

async fn add(auth: &Auth, owners: &[Owner]) -> anyhow::Result<()> {
    for owner in owners {
        let new = NewAccount {
            kind: owner.kind.to_owned(),
            email: Email::parse(owner.email).context("an account's address")?,
            password: owner.password.clone(),
            name: String::new(),
            phone: None,
            verified: true,
            vouched: true,
            language: None,
            image: String::new(),
        };
        auth.add_account(new, OPERATOR).await.map_err(words)?;
    }
    Ok(())
}

/// Words that are easy to read, type and tell apart.
const WORDS: [&str; 32] = [
    "amber", "anchor", "basket", "bishop", "candle", "cedar", "copper", "dolphin", "ember", "falcon",
    "forest", "garden", "harbour", "island", "jacket", "kettle", "lantern", "marble", "meadow", "nutmeg",
    "orchard", "pebble", "pepper", "quartz", "ribbon", "saddle", "thistle", "tunnel", "velvet", "walnut",
    "willow", "yellow",
];

/// A password to be read off a screen and thrown away: 25 bits, plenty behind the limits on guessing for a server
/// that lives for minutes.
pub(super) fn readable_password() -> Password {
    let [a, b, c, high, low] = random::bytes::<5>();
    let word = |byte: u8| WORDS[usize::from(byte) % WORDS.len()];
    let number = u16::from_be_bytes([high, low]) % 1000;
    Password::new(format!("{}-{}-{}-{number:03}", word(a), word(b), word(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throw_away_passwords_are_good_enough_for_the_policy() {
        let email = Email::parse("maria@example.org").unwrap();
        let check = |password| {
            crate::domain::account::check_new_password(&password, &email, crate::crypto::password::is_common)
        };
        assert!((0..100).all(|_| check(readable_password()).is_ok()));
    }

    #[test]
    fn the_folder_is_private_and_gone_at_the_end() {
        use std::os::unix::fs::PermissionsExt as _;
        let temporary = Temporary::new().unwrap();
        let folder = temporary.folder().to_owned();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(temporary);
        assert!(!folder.exists());
    }

    #[test]
    fn what_is_set_last_counts() {
        let mut temporary = Temporary::new().unwrap();
        temporary.listen("127.0.0.1:9".parse().unwrap());
        assert_eq!(temporary.config().unwrap().server.listen.port(), 9);
    }
}
