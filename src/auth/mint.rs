//! The mint: the one place where a session begins and an access token comes from. One transaction checks the account,
//! its block, the factor and its single use, and writes the session and the audit row; only then is anything signed.

mod by_mail;
mod check;
mod fingerprint;

pub(super) use check::CHALLENGE_TRIES;

use std::net::IpAddr;
use std::time::Duration;

use super::first_step::Tally;
use super::login::{Credential, First, Login, Minted, Wish};
use super::second_factor::SecondFactor;
use super::{Auth, Error, refresh};
use crate::crypto::random;
use crate::crypto::seal::digest;
use crate::domain::account::Account;
use crate::domain::claims::{Grant, OWN_CLIENT, Proof};
use crate::domain::ids::{AccountId, DeviceId, SessionId};
use crate::domain::secret::{AccessToken, SessionToken, TrustToken};
use crate::domain::time::Timestamp;
use crate::store::challenges::{self, Challenge};
use crate::store::sessions::Longest;
use crate::store::{self, Tx, accounts, audit, devices, factors, fingerprints, lapse, sessions};

/// The longest that a session lasts whose owner does not want to be remembered.
const FORGOTTEN: Duration = Duration::from_secs(86_400);

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
    longest: Longest,
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
    /// `Disabled`, `Locked`, `SecondFactorNeeded`, one of the codes' refusals, `InvalidChallenge`, `NoMailLogin`;
    /// `BadCredentials` when the password changed meanwhile.
    pub(crate) async fn mint(
        &self,
        first: First,
        credential: Credential,
        login: Login,
    ) -> Result<Minted, Error> {
        let wish = login.wish.clone();
        let tally = first.tally();
        let order = Order {
            kinds: self.config.accounts.kinds.clone(),
            first,
            credential,
            factor: SecondFactor { tally, ..self.second_factor(login.source) },
            login,
            session: SessionId(random::uuid()),
            token_id: random::uuid(),
            access_ttl: self.config.jwt.access_ttl,
            session_ttl: self.config.session.ttl,
            longest: self.longest(),
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
        let filled = filled?;
        Ok(Minted {
            token: self.keyring.sign(&filled.grant)?,
            session_begins: filled.grant.issued_at,
            session_ends: filled.session_ends,
            session_token: matches!(wish, Wish::Cookie { .. }).then_some(session_token),
            refresh_token: wish.has_refresh_token().then_some(refresh_token),
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
            tally: Tally::Account,
            now: self.now(),
        }
    }

    /// A fresh token for a session that lives: the same login, told again.
    pub(crate) async fn renew(&self, session: SessionId) -> Result<AccessToken, Error> {
        let now = self.now();
        let live = self.store.read(move |tx| Box::pin(sessions::live(tx, session, now))).await?;
        let live = live.ok_or(Error::NotAuthenticated)?;
        self.sign_for(live, now, random::uuid())
    }

    /// An access token for a session that was just found to live.
    pub(super) fn sign_for(
        &self,
        live: sessions::Live,
        issued_at: Timestamp,
        token_id: uuid::Uuid,
    ) -> Result<AccessToken, Error> {
        let kind_name =
            self.config.kind(&live.kind).map_or_else(|| live.kind.clone(), |kind| kind.name.clone());
        self.keyring.sign(&Grant {
            account: live.account,
            account_uuid: live.account_uuid,
            email: live.email,
            email_verified: live.verified,
            kind_name,
            device: live.device,
            device_name: live.device_name,
            session: live.id,
            client_id: live.client_id,
            amr: live.amr.split(' ').map(str::to_owned).collect(),
            acr: live.acr,
            auth_time: live.auth_time,
            issued_at,
            expires_at: issued_at.plus(self.config.jwt.access_ttl).min(live.expires_at),
            token_id,
        })
    }
}

impl Order {
    async fn fill(self, tx: &mut Tx) -> Result<Result<Filled, Error>, store::Error> {
        match &self.first {
            First::Password(account) | First::Made(account) => {
                self.fill_for(tx, (account.id, account.password_version), None).await
            }
            First::Challenge(_) | First::Step(_) => {
                let Some(hash) = self.first.challenge() else { return Ok(Err(Error::InvalidChallenge)) };
                let Some(challenge) = challenges::live(tx, &hash, self.now).await? else {
                    lapse::note(tx, lapse::Redeemable::Challenge(hash), self.now).await?;
                    return Ok(Err(Error::InvalidChallenge));
                };
                self.fill_for(tx, (challenge.account, challenge.password_version), Some(hash)).await
            }
            First::Mail(by) => self.fill_by_mail(tx, by).await,
        }
    }

    async fn fill_for(
        &self,
        tx: &mut Tx,
        (id, version): (AccountId, i64),
        challenge: Option<[u8; 32]>,
    ) -> Result<Result<Filled, Error>, store::Error> {
        let gone = || if challenge.is_some() { Error::InvalidChallenge } else { Error::BadCredentials };
        let Some(account) = accounts::lock(tx, id).await? else { return Ok(Err(gone())) };
        // Looked at again under the lock: of many that race with one sign-in, one ends it.
        let under_way = match &challenge {
            Some(hash) => match challenges::live(tx, hash, self.now).await? {
                Some(live) => Some(live),
                None => {
                    lapse::note(tx, lapse::Redeemable::Challenge(*hash), self.now).await?;
                    return Ok(Err(gone()));
                }
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
        self.settle(tx, account, outcome, under_way).await
    }

    /// Begins the session if everything was proven, and writes down what came of it.
    async fn settle(
        &self,
        tx: &mut Tx,
        account: Account,
        outcome: Result<Proof, Error>,
        under_way: Option<Challenge>,
    ) -> Result<Result<Filled, Error>, store::Error> {
        let id = account.id;
        let outcome = match outcome {
            Ok(proof) => {
                if proof != Proof::Password {
                    fingerprints::forgive(tx, id).await?;
                }
                Ok(self.begin(tx, account, proof, under_way).await?)
            }
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
        let client_id = self.login.client_id.clone().unwrap_or_else(|| OWN_CLIENT.to_owned());
        let wishes = match &self.login.wish {
            Wish::Cookie { remember, trust, agent } => Some((*remember, *trust, agent.clone())),
            Wish::AccessToken | Wish::RefreshToken | Wish::TrustedDevice(_) | Wish::Nothing => None,
        };
        let remember = under_way.map_or_else(|| wishes.as_ref().is_none_or(|w| w.0), |c| c.remember);
        let lasts = if self.login.wish == Wish::Nothing {
            Duration::ZERO
        } else if self.login.wish.has_refresh_token() {
            self.refresh.ttl.max(self.session_ttl)
        } else if remember {
            self.session_ttl
        } else {
            self.session_ttl.min(FORGOTTEN)
        };
        let session_ends = self.now.plus(lasts.min(self.longest.session));
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
        if self.login.wish.has_refresh_token() {
            self.refresh.keep(tx, self.session, self.now).await?;
        }
        if let Wish::TrustedDevice(fingerprint) = &self.login.wish
            && proof != Proof::Password
        {
            self.trust_device(tx, &account, fingerprint).await?;
        }
        let trusts_device = under_way.is_some() && wishes.is_some_and(|w| w.1);
        if trusts_device {
            self.trust(tx, &account).await?;
        }
        if self.login.wish != Wish::Nothing {
            accounts::signed_in(tx, account.id, &self.login.device.ip, self.now).await?;
        }
        let was_trusted = matches!(self.credential, Credential::Trust(_));
        let two_factor = factors::methods(tx, account.id).await?.iter().any(|method| method.turns_on());
        let trusted = trusts_device || (was_trusted && two_factor);
        // As it is now: a mailed code may just have proven its address. Only the wrong passwords are told as they were
        // before this login, which ends them.
        let failed_attempts = account.failed_attempts;
        let account = accounts::by_id(tx, account.id).await?.unwrap_or(account);
        let account = Account { failed_attempts, ..account };
        let grant = self.claims(&account, device, client_id, proof, session_ends);
        Ok(Filled { grant, account, session_ends, trusted, remember, two_factor })
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
            email_verified: account.verified,
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
