//! The mint: the one place where a session begins and an access token comes from. One transaction checks the account,
//! its block, the factor and its single use, and writes the session and the audit row; only then is anything signed.

use std::net::IpAddr;
use std::time::Duration;

use super::second_factor::{Checked, SecondFactor};
use super::{Auth, Error, refresh};
use crate::crypto::random;
use crate::crypto::seal::digest;
use crate::domain::account::Account;
use crate::domain::claims::{Grant, Proof};
use crate::domain::device::DeviceFacts;
use crate::domain::factor::Method;
use crate::domain::ids::{DeviceId, SessionId};
use crate::domain::language::Language;
use crate::domain::secret::{
    AccessToken, BackupCode, ChallengeToken, OneTimeCode, RefreshToken, SessionToken, Ticket, TrustToken,
};
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::challenges::{self, Challenge};
use crate::store::{self, Tx, accounts, audit, devices, factors, sessions, trusts};

/// Wrong codes that a sign-in under way stands (CONTRACT.md section 6).
const CHALLENGE_TRIES: u32 = 5;
/// The longest that a session lasts whose owner does not want to be remembered.
const FORGOTTEN: Duration = Duration::from_secs(86_400);

/// What stands for the password.
#[derive(Clone, Debug)]
pub(crate) enum First {
    /// It was proven just now.
    Password(Box<Account>),
    /// It was proven at the begin of this sign-in.
    Challenge(ChallengeToken),
}

/// What is presented beside the password.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Nothing: enough only while no second factor is on.
    PasswordAlone,
    /// Nothing but the device's being trusted.
    Trust(TrustToken),
    /// The code of an approval.
    Ticket(Ticket),
    /// A mailed code, or something that is nothing at all: it counts as a wrong one.
    MailedCode(OneTimeCode),
    /// The code of an authenticator app.
    Totp(OneTimeCode),
    /// A backup code.
    BackupCode(BackupCode),
}

/// Who logs in, from where, and what is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) device: DeviceFacts,
    pub(crate) client_id: Option<String>,
    pub(crate) source: IpAddr,
    /// What the client asked for: the language of this account's mail from now on.
    pub(crate) language: Option<Language>,
    pub(crate) wish: Wish,
}

/// What a client wants beside an access token.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Wish {
    /// Nothing.
    #[default]
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// No session at all: only that the factor is proven and used up.
    Nothing,
    /// A cookie session.
    Cookie {
        /// Whether it may outlive the browser; a sign-in under way has its own word for that.
        remember: bool,
        /// Whether this device is not to be asked for a second factor again.
        trust: bool,
        agent: String,
    },
}

/// A login that was made.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) token: AccessToken,
    pub(crate) account: Account,
    pub(crate) session_begins: Timestamp,
    pub(crate) session_ends: Timestamp,
    pub(crate) session_token: Option<SessionToken>,
    pub(crate) refresh_token: Option<RefreshToken>,
    /// What the device is known by from now on, if it is trusted.
    pub(crate) trust: Option<TrustToken>,
    pub(crate) remember: bool,
    /// Whether a second factor is on.
    pub(crate) two_factor: bool,
}

/// What the transaction needs to know, owned by it.
struct Order {
    first: First,
    credential: Credential,
    login: Login,
    session: SessionId,
    token_id: uuid::Uuid,
    kinds: Vec<crate::domain::account::Kind>,
    factor: SecondFactor,
    access_ttl: Duration,
    session_ttl: Duration,
    trust_ttl: Duration,
    session_token: SessionToken,
    trust_token: TrustToken,
    refresh: refresh::Fresh,
    now: Timestamp,
}

/// What the transaction has found and made.
struct Filled {
    grant: Grant,
    account: Account,
    session_ends: Timestamp,
    trusted: bool,
    remember: bool,
    two_factor: bool,
}

impl Auth {
    /// Begins a session and mints its token.
    ///
    /// # Errors
    /// `Disabled`, `Locked`, `SecondFactorNeeded`, one of the codes' refusals, `InvalidChallenge`; `BadCredentials` when
    /// the password changed meanwhile.
    pub(crate) async fn mint(
        &self,
        first: First,
        credential: Credential,
        login: Login,
    ) -> Result<Minted, Error> {
        let wish = login.wish.clone();
        let order = Order {
            kinds: self.config.accounts.kinds.clone(),
            first,
            credential,
            factor: self.second_factor(login.source),
            login,
            session: SessionId(random::uuid()),
            token_id: random::uuid(),
            access_ttl: self.config.jwt.access_ttl,
            session_ttl: self.config.session.ttl,
            trust_ttl: self.config.two_factor.trust_ttl,
            session_token: SessionToken::new(random::alphanumeric(32)),
            trust_token: TrustToken::new(random::alphanumeric(32)),
            refresh: self.fresh_refresh_token(),
            now: self.now(),
        };
        let session_token = order.session_token.clone();
        let trust_token = order.trust_token.clone();
        let refresh_token = order.refresh.token.clone();
        // A refusal is a value here: the failure that it counted has to stay.
        let filled = self.store.write(move |tx| Box::pin(order.fill(tx))).await?;
        // A wrong code may have been the one that blocks, a right one the last but few: then a letter waits.
        self.courier.ring();
        let filled = filled?;
        Ok(Minted {
            token: self.keyring.sign(&filled.grant)?,
            session_begins: filled.grant.issued_at,
            session_ends: filled.session_ends,
            session_token: matches!(wish, Wish::Cookie { .. }).then_some(session_token),
            refresh_token: (wish == Wish::RefreshToken).then_some(refresh_token),
            trust: filled.trusted.then_some(trust_token),
            remember: filled.remember,
            two_factor: filled.two_factor,
            account: filled.account,
        })
    }

    /// What checks second factors, for a request from `source`.
    pub(super) fn second_factor(&self, source: IpAddr) -> SecondFactor {
        SecondFactor {
            policy: self.config.lock_policy(),
            root: self.root.clone(),
            seals: self.seals.clone(),
            source: source.to_string(),
            now: self.now(),
        }
    }

    /// A fresh token for a session that lives: the same login, told again.
    pub(crate) async fn renew(&self, session: SessionId) -> Result<AccessToken, Error> {
        let now = self.now();
        let live = self.store.read(move |tx| Box::pin(sessions::live(tx, session, now))).await?;
        let live = live.ok_or(Error::NotAuthenticated)?;
        self.sign_for(live)
    }

    /// An access token for a session that was just found to live.
    pub(super) fn sign_for(&self, live: sessions::Live) -> Result<AccessToken, Error> {
        let now = self.now();
        let kind_name =
            self.config.kind(&live.kind).map_or_else(|| live.kind.clone(), |kind| kind.name.clone());
        self.keyring.sign(&Grant {
            account: live.account,
            account_uuid: live.account_uuid,
            email: live.email,
            kind_name,
            device: live.device,
            device_name: live.device_name,
            session: live.id,
            client_id: live.client_id,
            amr: live.amr.split(' ').map(str::to_owned).collect(),
            acr: live.acr,
            auth_time: live.auth_time,
            issued_at: now,
            expires_at: now.plus(self.config.jwt.access_ttl).min(live.expires_at),
            token_id: random::uuid(),
        })
    }
}

impl Order {
    async fn fill(self, tx: &mut Tx) -> Result<Result<Filled, Error>, store::Error> {
        let (id, version, challenge) = match &self.first {
            First::Password(account) => (account.id, account.password_version, None),
            First::Challenge(token) => {
                let hash = digest(token.expose().as_bytes());
                let Some(challenge) = challenges::live(tx, &hash, self.now).await? else {
                    return Ok(Err(Error::InvalidChallenge));
                };
                (challenge.account, challenge.password_version, Some(hash))
            }
        };
        let gone = || if challenge.is_some() { Error::InvalidChallenge } else { Error::BadCredentials };
        let Some(account) = accounts::lock(tx, id).await? else { return Ok(Err(gone())) };
        // Looked at again under the lock: of many that race with one sign-in, one ends it.
        let under_way = match &challenge {
            Some(hash) => match challenges::live(tx, hash, self.now).await? {
                Some(live) => Some(live),
                None => return Ok(Err(gone())),
            },
            None => None,
        };
        let outcome = if account.password_version != version {
            Err(gone())
        } else if account.disabled_at.is_some() {
            // Who is at the second step learns no more than at the first.
            Err(if challenge.is_some() { Error::InvalidChallenge } else { Error::Disabled })
        } else {
            self.prove(tx, &account, challenge.as_ref(), under_way).await?
        };
        let outcome = match outcome {
            Ok(proof) => Ok(self.begin(tx, account, proof, under_way).await?),
            Err(refused) => Err(refused),
        };
        let entry = audit::Entry {
            event: "login",
            outcome: outcome.as_ref().map_or_else(Error::code, |_| "ok"),
            account: Some(id),
            device: outcome.as_ref().ok().map(|filled| filled.grant.device),
            pairing: None,
            source: &self.login.source.to_string(),
        };
        audit::record(tx, entry, self.now).await?;
        Ok(outcome)
    }

    /// Checks the credential, and what the sign-in under way stands.
    async fn prove(
        &self,
        tx: &mut Tx,
        account: &Account,
        hash: Option<&[u8; 32]>,
        under_way: Option<Challenge>,
    ) -> Checked {
        let (Some(hash), Some(under_way)) = (hash, under_way) else { return self.check(tx, account).await };
        // A mailed code counts its own tries, and dies without the sign-in.
        let counts_here = matches!(self.credential, Credential::Totp(_) | Credential::BackupCode(_));
        if counts_here && under_way.tries >= CHALLENGE_TRIES && account.block_left(self.now).is_none() {
            challenges::end(tx, hash).await?;
            return Ok(Err(Error::TooManyTries));
        }
        let checked = self.check(tx, account).await?;
        match &checked {
            Ok(_) => {
                challenges::end(tx, hash).await?;
            }
            Err(Error::InvalidTotp | Error::InvalidBackupCode) => challenges::tried(tx, hash).await?,
            Err(_) => {}
        }
        Ok(checked)
    }

    async fn check(&self, tx: &mut Tx, account: &Account) -> Checked {
        let mut methods = factors::methods(tx, account.id).await?;
        let has_codes = methods.contains(&Method::BackupCode);
        methods.retain(|method| method.turns_on());
        let has_method = !methods.is_empty();
        let worn_out = factors::worn_out(tx, account.id, self.factor.policy.disable_after).await?;
        let usable = || methods.iter().copied().filter(|method| !worn_out.contains(method)).collect();
        let is_step = matches!(self.first, First::Challenge(_));
        match &self.credential {
            Credential::PasswordAlone | Credential::Trust(_) if !has_method => Ok(Ok(Proof::Password)),
            Credential::PasswordAlone => Ok(Err(Error::SecondFactorNeeded(usable()))),
            Credential::Trust(token) => {
                let known = self.renew_trust(tx, account, token).await?;
                Ok(if known { Ok(Proof::Password) } else { Err(Error::SecondFactorNeeded(usable())) })
            }
            Credential::Ticket(ticket) => self.factor.ticket(tx, account, ticket, has_method).await,
            Credential::MailedCode(code) if methods.contains(&Method::Email) => {
                self.factor.mailed_code(tx, account, code, !is_step).await
            }
            Credential::MailedCode(_) => self.factor.unexpected_mailed_code(tx, account, has_method).await,
            Credential::Totp(_) if is_step && !methods.contains(&Method::Authenticator) => {
                Ok(Err(Error::TotpNotEnabled))
            }
            Credential::Totp(code) => {
                let is_on = methods.contains(&Method::Authenticator);
                self.factor.totp(tx, account, code, is_on).await
            }
            Credential::BackupCode(_) if is_step && !has_codes => Ok(Err(Error::NoBackupCodes)),
            Credential::BackupCode(code) => self.factor.backup_code(tx, account, code, has_codes).await,
        }
    }

    async fn renew_trust(
        &self,
        tx: &mut Tx,
        account: &Account,
        token: &TrustToken,
    ) -> Result<bool, store::Error> {
        let (old, new) = (digest(token.expose().as_bytes()), digest(self.trust_token.expose().as_bytes()));
        trusts::renew(tx, self.term(account), &old, &new, self.now).await
    }

    fn term(&self, account: &Account) -> trusts::Term<'_> {
        let expires_at = self.now.plus(self.trust_ttl);
        trusts::Term { account: account.id, ip: &self.login.device.ip, expires_at }
    }

    /// Begins the session.
    async fn begin(
        &self,
        tx: &mut Tx,
        account: Account,
        proof: Proof,
        under_way: Option<Challenge>,
    ) -> Result<Filled, store::Error> {
        if let Some(language) = self.login.language {
            accounts::set_language(tx, account.id, language).await?;
        }
        let device = devices::insert(tx, account.id, &self.login.device, self.now).await?;
        let client_id = self.login.client_id.clone().unwrap_or_else(|| "readylogin".to_owned());
        let wishes = match &self.login.wish {
            Wish::Cookie { remember, trust, agent } => Some((*remember, *trust, agent.clone())),
            Wish::AccessToken | Wish::RefreshToken | Wish::Nothing => None,
        };
        let remember = under_way.map_or_else(|| wishes.as_ref().is_none_or(|w| w.0), |c| c.remember);
        let lasts = if self.login.wish == Wish::Nothing {
            Duration::ZERO
        } else if self.login.wish == Wish::RefreshToken {
            self.refresh.ttl.max(self.session_ttl)
        } else if remember {
            self.session_ttl
        } else {
            self.session_ttl.min(FORGOTTEN)
        };
        let session_ends = self.now.plus(lasts);
        let session = sessions::New {
            id: self.session,
            account: account.id,
            device,
            client_id: client_id.clone(),
            amr: proof.amr().join(" "),
            acr: proof.acr(),
            expires_at: session_ends,
            token: wishes.is_some().then(|| digest(self.session_token.expose().as_bytes())),
            ip: self.login.device.ip.clone(),
            agent: wishes.as_ref().map(|w| w.2.clone()).unwrap_or_default(),
        };
        sessions::insert(tx, session, self.now).await?;
        if self.login.wish == Wish::RefreshToken {
            self.refresh.keep(tx, self.session, self.now).await?;
        }
        let trusts_device = under_way.is_some() && wishes.is_some_and(|w| w.1);
        if trusts_device {
            self.trust(tx, &account).await?;
        }
        let was_trusted = matches!(self.credential, Credential::Trust(_));
        let two_factor = factors::methods(tx, account.id).await?.iter().any(|method| method.turns_on());
        let grant = self.claims(&account, device, client_id, proof, session_ends);
        let trusted = trusts_device || (was_trusted && two_factor);
        // As it is now: a mailed code may just have proven its address.
        let account = accounts::by_id(tx, account.id).await?.unwrap_or(account);
        Ok(Filled { grant, account, session_ends, trusted, remember, two_factor })
    }

    async fn trust(&self, tx: &mut Tx, account: &Account) -> Result<(), store::Error> {
        let (hash, name) = (digest(self.trust_token.expose().as_bytes()), &self.login.device.name);
        trusts::insert(tx, self.term(account), &hash, name, self.now).await?;
        let letter = Letter::DeviceTrusted { device: name, source: &self.login.device.ip };
        mail::post(tx, letter, account.email.as_given(), account.language.unwrap_or_default(), self.now).await
    }

    fn claims(
        &self,
        account: &Account,
        device: DeviceId,
        client_id: String,
        proof: Proof,
        session_ends: Timestamp,
    ) -> Grant {
        let kind = self.kinds.iter().find(|kind| kind.id == account.kind);
        Grant {
            account: account.id,
            account_uuid: account.uuid,
            email: account.email.as_given().to_owned(),
            kind_name: kind.map_or_else(|| account.kind.clone(), |kind| kind.name.clone()),
            device,
            device_name: self.login.device.name.clone(),
            session: self.session,
            client_id,
            amr: proof.amr().iter().map(|word| (*word).to_owned()).collect(),
            acr: proof.acr().to_owned(),
            auth_time: self.now,
            issued_at: self.now,
            expires_at: self.now.plus(self.access_ttl).min(session_ends),
            token_id: self.token_id,
        }
    }
}
