//! Making accounts: by strangers where registration is open, and by operators.

use std::net::IpAddr;

use super::limits::REGISTRATIONS_PER_SOURCE;
use super::{Auth, Credential, Error, First, Login};
use crate::crypto::random;
use crate::domain::account::{Account, Email, check_new_password};
use crate::domain::ids::AccountId;
use crate::domain::language::Language;
use crate::domain::secret::{AccessToken, Password};
use crate::domain::text::unlinked;
use crate::mail::{self, Letter};
use crate::store::{Tx, accounts, audit};

/// What an account begins with.
#[derive(Clone, Debug)]
pub(crate) struct NewAccount {
    pub(crate) kind: String,
    pub(crate) email: Email,
    pub(crate) password: Password,
    pub(crate) name: String,
    pub(crate) phone: Option<String>,
    pub(crate) verified: bool,
    /// Whether an operator makes it.
    pub(crate) vouched: bool,
    pub(crate) language: Option<Language>,
    /// The address of a picture, may be empty.
    pub(crate) image: String,
}

impl Auth {
    /// Registers a stranger and logs the new account in.
    ///
    /// # Errors
    /// `RegistrationClosed`; `RegistrationRefused` alike for a taken address, a wrong address and a weak password.
    pub(crate) async fn register(
        &self,
        kind: &str,
        email: &str,
        password: Password,
        name: &str,
        login: Login,
    ) -> Result<AccessToken, Error> {
        if !self.config.accounts.is_open_for(kind) {
            return Err(Error::RegistrationClosed);
        }
        self.limits.count(REGISTRATIONS_PER_SOURCE, login.source)?;
        let email = Email::parse(email).ok_or(Error::RegistrationRefused)?;
        let (kind, name) = (kind.to_owned(), name.to_owned());
        let new = NewAccount {
            kind,
            email,
            password,
            name,
            phone: None,
            verified: false,
            vouched: false,
            language: login.language,
            image: String::new(),
        };
        let account = match self.add_account(new, &login.source.to_string()).await {
            Err(Error::Weak(_)) => return Err(Error::RegistrationRefused),
            other => other?,
        };
        let first = First::Password(Box::new(account));
        Ok(self.mint(first, Credential::PasswordAlone, login).await?.token)
    }

    /// Makes an account for a stranger whose surface tells why it can't be made.
    ///
    /// # Errors
    /// `RegistrationClosed`, `TooManyRequests`, `Weak`; `RegistrationRefused` for a taken address.
    pub(crate) async fn sign_up(&self, new: NewAccount, source: IpAddr) -> Result<Account, Error> {
        if !self.config.accounts.is_open_for(&new.kind) {
            return Err(Error::RegistrationClosed);
        }
        self.limits.count(REGISTRATIONS_PER_SOURCE, source)?;
        self.add_account(new, &source.to_string()).await
    }

    /// Adds an account.
    ///
    /// # Errors
    /// `Weak`; `RegistrationRefused` for a taken address, after the same work as for a free one.
    pub(crate) async fn add_account(&self, new: NewAccount, source: &str) -> Result<Account, Error> {
        check_new_password(&new.password, &new.email, crate::crypto::password::is_common)
            .map_err(Error::Weak)?;
        let hash = self.passwords.hash(new.password).await?;
        let (now, source) = (self.now(), source.to_owned());
        let row = accounts::New {
            uuid: random::uuid(),
            kind: new.kind,
            email: new.email,
            name: unlinked(&new.name),
            phone: new.phone,
            password: hash,
            verified: new.verified,
            vouched: new.vouched,
            language: new.language,
            image: new.image,
        };
        let unit = async move |tx: &mut Tx| {
            let (kind, email) = (row.kind.clone(), row.email.clone());
            let id = accounts::insert(tx, row, now).await?;
            record(tx, id, &source, now).await?;
            if let Some(id) = id {
                return accounts::by_id(tx, id).await;
            }
            if let Some(owner) = accounts::by_email(tx, &kind, &email).await? {
                let letter = Letter::RegistrationTried { source: &source };
                mail::notify(tx, owner.id, letter, now).await?;
            }
            Ok(None)
        };
        let account = self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        account.ok_or(Error::RegistrationRefused)
    }
}

async fn record(
    tx: &mut Tx,
    account: Option<AccountId>,
    source: &str,
    now: crate::domain::time::Timestamp,
) -> Result<(), crate::store::Error> {
    let outcome = if account.is_some() { "ok" } else { "taken" };
    let entry = audit::Entry { event: "account.add", outcome, account, device: None, pairing: None, source };
    audit::record(tx, entry, now).await
}
