//! `account`: what an operator does with accounts.

mod export;
mod import;
mod password;

use std::io::IsTerminal as _;

use serde_json::{Value, json};

use super::failure::{Usage, words};
use super::output;
use crate::auth::Auth;
use crate::auth::OPERATOR;
use crate::auth::operator::{AccountFilter, Change};
use crate::auth::register::NewAccount;
use crate::config::Config;
use crate::domain::account::{Account, Email};
use crate::domain::factor::Method;
use crate::domain::phone::Phone;
use crate::domain::text::shown;
use export::Export;
use import::Import;
use password::PasswordSource;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add an account
    Add(Add),
    /// Show all accounts, by kind and address
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop an account, at once and everywhere
    Disable(Which),
    /// Start a stopped account again
    Enable(Which),
    /// End a block after wrong second factors and forget the failures
    Unlock(Which),
    /// Take all second factors and approving phones away: a password is then enough to log in
    ResetFactors(Which),
    /// Set a new password; every session ends but those of approving phones
    Password(SetPassword),
    /// Take accounts over from another system, with the password hashes that it made
    #[command(after_help = import::FORMAT)]
    Import(Import),
    /// Write everything kept about an account as JSON, for its owner; secrets are left out
    Export(Export),
    /// Remove an account and everything kept about it, for good
    Remove(Remove),
}

/// Which account is meant.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The kind of account, as in accounts.kinds: p, d or a by default
    #[arg(long)]
    kind: String,
    /// The account's address
    #[arg(long)]
    email: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    #[command(flatten)]
    which: Which,
    /// The owner's name
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// The owner's phone number with its country code, or without it where accounts.phone_country is set
    #[arg(long, value_name = "NUMBER")]
    phone_number: Option<String>,
    /// The address is known to be the owner's: no mail has to prove it
    #[arg(long)]
    verified: bool,
    #[command(flatten)]
    password: PasswordSource,
}

#[derive(Debug, clap::Args)]
pub(super) struct SetPassword {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    password: PasswordSource,
}

#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    #[command(flatten)]
    which: Which,
    /// Don't ask
    #[arg(long)]
    yes: bool,
}

impl Command {
    /// Refuses, before anything is opened, what can't be carried out.
    pub(super) fn checked(self) -> anyhow::Result<Self> {
        let is_mute = !std::io::stdin().is_terminal();
        if matches!(&self, Self::Remove(remove) if !remove.yes && is_mute) {
            let text =
                "removing can't be undone, and there is no terminal to ask on: give --yes if you mean it";
            return Err(Usage(text.to_owned()).into());
        }
        Ok(self)
    }

    pub(super) async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => add.run(auth).await,
            Self::List { json } => list(auth, json).await,
            Self::Disable(which) => change(auth, &which, Change::Disable, "is stopped").await,
            Self::Enable(which) => change(auth, &which, Change::Enable, "may log in again").await,
            Self::Unlock(which) => {
                change(auth, &which, Change::Unlock, "has no block and no failures any more").await
            }
            Self::ResetFactors(which) => {
                change(auth, &which, Change::ResetFactors, "has no second factor any more").await
            }
            Self::Password(set) => set.run(auth).await,
            Self::Import(import) => Box::pin(import.run(auth)).await,
            Self::Export(export) => export.run(auth).await,
            Self::Remove(remove) => remove.run(auth).await,
        }
    }
}

impl Which {
    /// The account that is meant.
    pub(super) async fn find(&self, auth: &Auth) -> anyhow::Result<Account> {
        self.check(auth)?;
        let filter = AccountFilter { kind: self.kind.clone(), email: self.email.clone() };
        auth.find_account(&filter).await.map_err(words)
    }

    /// The address, once it and the kind are known to make sense.
    fn check(&self, auth: &Auth) -> anyhow::Result<Email> {
        if auth.config.kind(&self.kind).is_none() {
            let kinds = auth.config.accounts.kinds.iter().map(|kind| format!("{} ({})", kind.id, kind.name));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            return Err(Usage(format!(
                "--kind {}: there is no such kind; there are {kinds}",
                shown(&self.kind)
            ))
            .into());
        }
        let wrong = || {
            Usage(format!("--email {}: this is no mail address such as name@example.org", shown(&self.email)))
        };
        Ok(Email::parse(&self.email).ok_or_else(wrong)?)
    }
}

impl Add {
    async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        let new = NewAccount {
            email: self.which.check(auth)?,
            kind: self.which.kind,
            phone: self.phone_number.as_deref().map(|text| phone_argument(auth, text)).transpose()?,
            name: self.name,
            verified: self.verified,
            vouched: true,
            language: None,
            image: String::new(),
            password: self.password.read()?,
        };
        let account = auth.add_account(new, OPERATOR).await.map_err(words)?;
        output::line(&format!("{} {} is added", account.kind, account.email.as_given()))
    }
}

impl SetPassword {
    async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        let account = self.which.find(auth).await?;
        auth.set_password(&account, self.password.read()?).await.map_err(words)?;
        output::line(&format!(
            "{} {} has a new password; its sessions ended, approving phones stay",
            account.kind,
            account.email.as_given()
        ))
    }
}

impl Remove {
    async fn run(self, auth: &Auth) -> anyhow::Result<()> {
        let account = self.which.find(auth).await?;
        if !self.yes && !asked(&account)? {
            return output::line("nothing was removed");
        }
        let removed = format!("{} {} is removed", account.kind, account.email.as_given());
        auth.remove_for_operator(account).await.map_err(words)?;
        output::line(&removed)
    }
}

/// Whether whoever sits at the terminal says yes.
fn asked(account: &Account) -> anyhow::Result<bool> {
    eprint!("Remove {} {} and everything kept about it? Type yes: ", account.kind, account.email.as_given());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

fn phone_argument(auth: &Auth, text: &str) -> Result<String, Usage> {
    phone_number(&auth.config, text).map_err(|why| Usage(format!("--phone-number: {why}")))
}

/// A phone number as accounts are found by it; otherwise what to give instead.
fn phone_number(config: &Config, text: &str) -> Result<String, &'static str> {
    let phone = Phone::parse(text, config.accounts.phone_country);
    phone
        .map(|phone| phone.as_str().to_owned())
        .ok_or("give a number that can be dialled, with its country code as in +41791234567")
}

async fn change(auth: &Auth, which: &Which, change: Change, done: &str) -> anyhow::Result<()> {
    let account = which.find(auth).await?;
    auth.change_account(account.id, change).await.map_err(words)?;
    output::line(&format!("{} {} {done}", account.kind, account.email.as_given()))
}

async fn list(auth: &Auth, as_json: bool) -> anyhow::Result<()> {
    let accounts = auth.list_accounts().await.map_err(words)?;
    if as_json {
        return output::json(
            &accounts.iter().map(|(account, methods)| as_value(auth, account, methods)).collect(),
        );
    }
    let row = |(account, methods): &(Account, Vec<Method>)| {
        let methods = methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(" ");
        [
            account.kind.clone(),
            account.email.as_given().to_owned(),
            account.name.clone(),
            methods,
            state(auth, account),
        ]
    };
    let rows = accounts.iter().map(row).collect::<Vec<_>>();
    let empty = "there are no accounts: `readylogin account add --help` says how to make one";
    output::table(["kind", "email", "name", "second factors", "state"], &rows, empty)
}

fn state(auth: &Auth, account: &Account) -> String {
    let disabled = account.disabled_at.map(|at| format!("disabled since {}", output::time(at)));
    let blocked = account.block_left(auth.clock.now()).and(account.blocked_until);
    let blocked = blocked.map(|until| format!("blocked until {}", output::time(until)));
    let unverified = (!account.verified).then(|| "not verified".to_owned());
    [disabled, blocked, unverified].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn as_value(auth: &Auth, account: &Account, methods: &[Method]) -> Value {
    let blocked = account.block_left(auth.clock.now()).and(account.blocked_until);
    json!({
        "id": account.id.0, "uuid": account.uuid.to_string(), "kind": account.kind,
        "email": account.email.as_given(), "name": account.name, "verified": account.verified,
        "methods": methods.iter().map(|method| method.as_str()).collect::<Vec<_>>(),
        "disabled_at": account.disabled_at.map(output::time), "blocked_until": blocked.map(output::time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_kept_with_their_country_code() {
        let at_home = ("READYLOGIN_ACCOUNTS__PHONE_COUNTRY".to_owned(), "CH".to_owned());
        let (abroad, at_home) = (Config::load(None, []).unwrap(), Config::load(None, [at_home]).unwrap());
        for text in ["+41 (79) 123-45.67", "41791234567", "0041 79 123 45 67"] {
            assert_eq!(phone_number(&abroad, text).as_deref(), Ok("+41791234567"), "{text}");
        }
        assert_eq!(phone_number(&at_home, "079 123 45 67").as_deref(), Ok("+41791234567"));
        for wrong in ["", "+", "12", "call me", "+1234567890123456", "12+34567", "079 123 45 67"] {
            assert!(phone_number(&abroad, wrong).is_err(), "{wrong}");
        }
    }
}
