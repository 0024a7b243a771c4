//! What a proof of an address opens: a session, a new account, a new password. Each spends it, and only when it succeeds.

use std::net::IpAddr;

use super::change::changed;
use super::limits::{MAIL_TOKENS_PER_SOURCE, REGISTRATIONS_PER_SOURCE, TICKETS_PER_SOURCE};
use super::login::ByMail;
use super::mail_login::{TOKEN_CHARS, hash_of};
use super::mint::CHALLENGE_TRIES;
use super::{Auth, Credential, Error, First, Login, Minted, first_proof, lookup};
use crate::crypto::{password, random};
use crate::domain::account::{Account, Kind, PasswordHash, check_new_password};
use crate::domain::factor::Method;
use crate::domain::ids::AccountId;
use crate::domain::phone::Identifier;
use crate::domain::secret::{MailAuthToken, Password};
use crate::domain::text::unlinked;
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::lapse::{self, Redeemable};
use crate::store::mail_logins::{self, Hash, MailAuth};
use crate::store::{self, Tx, accounts, audit, pairings, sessions, tickets, trusts};

/// What a sign-in led to.
#[derive(Debug)]
pub(crate) enum SignedIn {
    Done(Box<Minted>),
    /// Something has to come beside the words: one of these, with this token in the place of the old one.
    SecondStep {
        methods: Vec<Method>,
        token: MailAuthToken,
    },
}

/// Whose account a proven address opens: once a sign-in waits for its second factor, that one's alone.
pub(super) async fn whose(
    tx: &mut Tx,
    auth: &MailAuth,
    kinds: &[Kind],
    kind: Option<&str>,
) -> Result<Option<Account>, store::Error> {
    let Some((id, _)) = auth.bound_to else {
        return lookup::find(tx, kinds, kind, &Identifier::Email(auth.email.clone())).await;
    };
    let account = accounts::by_id(tx, id).await?;
    Ok(account.filter(|account| kind.is_none_or(|kind| account.kind == kind)))
}

impl Auth {
    /// Logs the owner of a proven address in.
    ///
    /// # Errors
    /// `NoMailLogin` for a token that is unknown, used, expired or guessed beside too often; `NotFound` without such an
    /// account; `Disabled`, `Locked`; `BadCredentials` or the code's refusal for what is wrong beside the words;
    /// `TooManyRequests`; `Busy`.
    pub(crate) async fn sign_in_by_mail(
        &self,
        token: MailAuthToken,
        kind: Option<String>,
        (credential, password): (Credential, Option<Password>),
        login: Login,
    ) -> Result<SignedIn, Error> {
        let source = login.source;
        let by_token = self.limits.attempt(MAIL_TOKENS_PER_SOURCE, source).await?;
        let by_ticket = match &credential {
            Credential::Ticket(_) => match self.limits.attempt(TICKETS_PER_SOURCE, source).await {
                Ok(attempt) => Some(attempt),
                Err(refused) => {
                    by_token.settle(false);
                    return Err(refused);
                }
            },
            Credential::PasswordAlone
            | Credential::Trust(_)
            | Credential::Device(_)
            | Credential::AnyCode(_)
            | Credential::MailedCode(_)
            | Credential::Totp(_)
            | Credential::BackupCode(_) => None,
        };
        let next = MailAuthToken::new(random::alphanumeric(TOKEN_CHARS));
        let outcome = match self.prove_beside_words(&token, kind.as_deref(), password, source).await {
            Ok(proven) => {
                let next_ttl = self.config.mail_code.auth_ttl;
                let by = ByMail { token, kind, proven: proven.map(Box::new), next: next.clone(), next_ttl };
                self.mint(First::Mail(Box::new(by)), credential, login).await
            }
            Err(refused) => Err(refused),
        };
        by_token.settle(matches!(outcome, Err(Error::NoMailLogin)));
        by_ticket
            .into_iter()
            .for_each(|attempt| attempt.settle(matches!(outcome, Err(Error::InvalidTicket))));
        match outcome {
            Ok(minted) => Ok(SignedIn::Done(Box::new(minted))),
            Err(Error::SecondFactorNeeded(methods)) => Ok(SignedIn::SecondStep { methods, token: next }),
            Err(refused) => Err(refused),
        }
    }

    /// Proves a password, if one came, before the mint's transaction: hashing is slow. It takes one of the tries that the
    /// proof stands before it is looked at, so that many at once are no more than those.
    async fn prove_beside_words(
        &self,
        token: &MailAuthToken,
        kind: Option<&str>,
        password: Option<Password>,
        source: IpAddr,
    ) -> Result<Option<Account>, Error> {
        let Some(password) = password else { return Ok(None) };
        let (_, account) = self.proven(token, kind).await?;
        let account = account.ok_or(Error::NotFound)?;
        if account.disabled_at.is_some() {
            return Err(Error::Disabled);
        }
        let (hash, now) = (hash_of(token.expose()), self.now());
        let begin = async move |tx: &mut Tx| {
            if mail_logins::take_try(tx, &hash, CHALLENGE_TRIES, now).await? {
                return Ok(true);
            }
            mail_logins::end_auth(tx, &hash).await.map(|_| false)
        };
        if !self.store.write(move |tx| Box::pin(async move { begin(tx).await })).await? {
            return Err(Error::NoMailLogin);
        }
        let who = Identifier::Email(account.email.clone());
        let outcome = self.prove_password(Some(&account.kind), &who, &password, source).await;
        if !matches!(outcome, Err(Error::BadCredentials)) {
            let unit = async move |tx: &mut Tx| mail_logins::give_try_back(tx, &hash).await;
            self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        }
        outcome.map(Some)
    }

    /// The address that a token stands for, and whose account it opens now.
    async fn proven(
        &self,
        token: &MailAuthToken,
        kind: Option<&str>,
    ) -> Result<(MailAuth, Option<Account>), Error> {
        let (hash, now, kind) = (hash_of(token.expose()), self.now(), kind.map(str::to_owned));
        let kinds = self.config.accounts.kinds.clone();
        let unit = async move |tx: &mut Tx| {
            let Some(auth) = mail_logins::find_auth(tx, &hash, now).await? else { return Ok(None) };
            let account = whose(tx, &auth, &kinds, kind.as_deref()).await?;
            Ok(Some((auth, account)))
        };
        let found = self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        if found.is_none() {
            self.note_over(Redeemable::MailAuth(hash), now).await?;
        }
        found.ok_or(Error::NoMailLogin)
    }

    /// The same for what is done at once, for which the token of a sign-in under way does not count.
    async fn proven_afresh(
        &self,
        token: &MailAuthToken,
        kind: Option<&str>,
        source: IpAddr,
    ) -> Result<(MailAuth, Option<Account>), Error> {
        let attempt = self.limits.attempt(MAIL_TOKENS_PER_SOURCE, source).await?;
        let found = self.proven(token, kind).await;
        let found = found
            .and_then(|found| if found.0.bound_to.is_none() { Ok(found) } else { Err(Error::NoMailLogin) });
        attempt.settle(matches!(found, Err(Error::NoMailLogin)));
        found
    }

    /// Makes an account for the owner of a proven address and logs it in.
    ///
    /// # Errors
    /// `RegistrationClosed` before anything else; `NoMailLogin`, `Taken`, `Weak`, `TooManyRequests`, `Busy`.
    pub(crate) async fn create_by_mail(
        &self,
        token: &MailAuthToken,
        kind: String,
        password: Password,
        name: &str,
        login: Login,
    ) -> Result<Minted, Error> {
        if !self.config.accounts.is_open_for(&kind) {
            return Err(Error::RegistrationClosed);
        }
        self.limits.count(REGISTRATIONS_PER_SOURCE, login.source)?;
        let (auth, taken) = self.proven_afresh(token, Some(&kind), login.source).await?;
        if taken.is_some() {
            return Err(Error::Taken);
        }
        check_new_password(&password, &auth.email, password::is_common).map_err(Error::Weak)?;
        let row = accounts::New {
            uuid: random::uuid(),
            kind,
            email: auth.email,
            name: unlinked(name),
            phone: None,
            password: self.passwords.hash(password).await?,
            verified: true,
            vouched: false,
            language: Some(auth.language),
            image: String::new(),
        };
        let (hash, now, source) = (hash_of(token.expose()), self.now(), login.source.to_string());
        let unit = async move |tx: &mut Tx| create(tx, &hash, row, &source, now).await;
        let account = self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await??;
        // The mail's language is the account's, whatever a header says.
        let login = Login { language: None, ..login };
        self.mint(First::Made(Box::new(account)), Credential::PasswordAlone, login).await
    }

    /// Sets a new password for the owner of a proven address. Whoever reads that mail has one factor by this and not two:
    /// no factor is removed, and mail is none until the next completed login.
    ///
    /// # Errors
    /// `NoMailLogin`, `NotFound`, `Disabled`, `Weak`, `TooManyRequests`, `Busy`.
    pub(crate) async fn recover_password(
        &self,
        token: &MailAuthToken,
        kind: Option<&str>,
        password: Password,
        source: IpAddr,
    ) -> Result<(), Error> {
        let (_, account) = self.proven_afresh(token, kind, source).await?;
        let account = account.ok_or(Error::NotFound)?;
        if account.disabled_at.is_some() {
            return Err(Error::Disabled);
        }
        check_new_password(&password, &account.email, password::is_common).map_err(Error::Weak)?;
        let new = self.passwords.hash(password).await?;
        let order = Recovery {
            token: hash_of(token.expose()),
            account: account.id,
            new,
            source: source.to_string(),
            now: self.now(),
        };
        self.store.write(move |tx| Box::pin(order.fill(tx))).await?
    }
}

async fn create(
    tx: &mut Tx,
    token: &Hash,
    row: accounts::New,
    source: &str,
    now: Timestamp,
) -> Result<Result<Account, Error>, store::Error> {
    if mail_logins::hold_auth(tx, token, now).await?.is_none_or(|auth| auth.bound_to.is_some()) {
        lapse::note(tx, Redeemable::MailAuth(*token), now).await?;
        return Ok(Err(Error::NoMailLogin));
    }
    let id = accounts::insert(tx, row, now).await?;
    let outcome = if id.is_some() { "ok" } else { "taken" };
    let entry =
        audit::Entry { event: "account.add", outcome, account: id, device: None, pairing: None, source };
    audit::record(tx, entry, now).await?;
    let Some(id) = id else { return Ok(Err(Error::Taken)) };
    mail_logins::end_auth(tx, token).await?;
    Ok(accounts::by_id(tx, id).await?.ok_or(Error::Taken))
}

/// A password to be replaced.
struct Recovery {
    token: Hash,
    account: AccountId,
    new: PasswordHash,
    source: String,
    now: Timestamp,
}

impl Recovery {
    async fn fill(self, tx: &mut Tx) -> Result<Result<(), Error>, store::Error> {
        let Self { token, account: id, new, source, now } = self;
        if mail_logins::hold_auth(tx, &token, now).await?.is_none_or(|auth| auth.bound_to.is_some()) {
            lapse::note(tx, Redeemable::MailAuth(token), now).await?;
            return Ok(Err(Error::NoMailLogin));
        }
        let Some(account) = accounts::lock(tx, id).await? else { return Ok(Err(Error::NotFound)) };
        if account.disabled_at.is_some() {
            return Ok(Err(Error::Disabled));
        }
        mail_logins::end_auth(tx, &token).await?;
        first_proof::without_password(tx, account, &source, now).await?;
        accounts::set_password(tx, id, &new, now).await?;
        accounts::bar_mail(tx, id).await?;
        // Approving phones stay: they are a factor.
        sessions::revoke_logins(tx, id, now).await?;
        pairings::drop_asks(tx, id, now).await?;
        tickets::kill(tx, id, now).await?;
        trusts::revoke_all(tx, id).await?;
        changed(tx, "password.recover", id, None, &source, now).await?;
        mail::notify(tx, id, Letter::PasswordRecovered { source: &source }, now).await?;
        Ok(Ok(()))
    }
}
