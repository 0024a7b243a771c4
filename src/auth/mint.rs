//! The mint: the one place where an access token comes from. One transaction checks the account, its block, the
//! factor and its single use, and writes the session and the audit row; only then is anything signed.

use std::net::IpAddr;

use super::{Auth, Error};
use crate::crypto::random;
use crate::crypto::seal::{RootKey, digest};
use crate::domain::account::Account;
use crate::domain::claims::{Grant, Proof};
use crate::domain::device::DeviceFacts;
use crate::domain::factor::{Consequence, LockPolicy, Method};
use crate::domain::ids::{DeviceId, SessionId};
use crate::domain::language::Language;
use crate::domain::secret::{AccessToken, BackupCode, Ticket};
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::{self, Tx, accounts, audit, devices, factors, sessions, tickets};

/// What is presented beside the password.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Nothing: enough only while no second factor is on.
    PasswordAlone,
    /// The code of an approval.
    Ticket(Ticket),
    /// A backup code.
    BackupCode(BackupCode),
    /// Something that is neither: it counts as a wrong mailed code.
    Shapeless,
}

/// Who logs in, from where, with what.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) device: DeviceFacts,
    pub(crate) client_id: Option<String>,
    pub(crate) source: IpAddr,
    /// What the client asked for: the language of this account's mail from now on.
    pub(crate) language: Option<Language>,
}

/// What the transaction needs to know, owned by it.
struct Order {
    account: Account,
    credential: Credential,
    login: Login,
    session: SessionId,
    token_id: uuid::Uuid,
    kind_name: String,
    policy: LockPolicy,
    access_ttl: std::time::Duration,
    session_ttl: std::time::Duration,
    root: RootKey,
    now: Timestamp,
}

impl Auth {
    /// Mints a token for an account whose password was just proven.
    ///
    /// # Errors
    /// `Disabled`, `Locked`, `SecondFactorNeeded`, `InvalidTicket`, `InvalidBackupCode`, `NoMethod`,
    /// `NotAnEmailMethod`; `BadCredentials` when the password changed meanwhile.
    pub(crate) async fn mint(
        &self,
        account: Account,
        credential: Credential,
        login: Login,
    ) -> Result<AccessToken, Error> {
        let order = Order {
            kind_name: self
                .config
                .kind(&account.kind)
                .map_or_else(|| account.kind.clone(), |kind| kind.name.clone()),
            account,
            credential,
            login,
            session: SessionId(random::uuid()),
            token_id: random::uuid(),
            policy: self.config.lock_policy(),
            access_ttl: self.config.jwt.access_ttl,
            session_ttl: self.config.session.ttl,
            root: self.root.clone(),
            now: self.now(),
        };
        // A refusal is a value here: the failure that it counted has to stay.
        let grant = self.store.write(move |tx| Box::pin(order.fill(tx))).await?;
        if matches!(grant, Err(Error::InvalidBackupCode | Error::InvalidTicket | Error::NotAnEmailMethod)) {
            // A wrong code may have been the one that blocks, and then a letter waits.
            self.courier.ring();
        }
        self.keyring.sign(&grant?)
    }

    /// A fresh token for a session that lives: the same login, told again.
    pub(crate) async fn renew(&self, session: SessionId) -> Result<AccessToken, Error> {
        let now = self.now();
        let live = self.store.read(move |tx| Box::pin(sessions::live(tx, session, now))).await?;
        let live = live.ok_or(Error::NotAuthenticated)?;
        let kind_name =
            self.config.kind(&live.kind).map_or_else(|| live.kind.clone(), |kind| kind.name.clone());
        self.keyring.sign(&Grant {
            account: live.account,
            account_uuid: live.account_uuid,
            email: live.email,
            kind_name,
            device: live.device,
            device_name: live.device_name,
            session,
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
    async fn fill(self, tx: &mut Tx) -> Result<Result<Grant, Error>, store::Error> {
        let Some(account) = accounts::lock(tx, self.account.id).await? else {
            return Ok(Err(Error::BadCredentials));
        };
        let outcome = match self.check(tx, &account).await? {
            Ok(proof) => Ok(self.grant(tx, &account, proof).await?),
            Err(refused) => Err(refused),
        };
        let entry = audit::Entry {
            event: "login",
            outcome: outcome.as_ref().map_or_else(Error::code, |_| "ok"),
            account: Some(account.id),
            device: outcome.as_ref().ok().map(|grant| grant.device),
            pairing: None,
            source: &self.login.source.to_string(),
        };
        audit::record(tx, entry, self.now).await?;
        Ok(outcome)
    }

    async fn check(&self, tx: &mut Tx, account: &Account) -> Result<Result<Proof, Error>, store::Error> {
        if account.password_version != self.account.password_version {
            return Ok(Err(Error::BadCredentials));
        }
        if account.disabled_at.is_some() {
            return Ok(Err(Error::Disabled));
        }
        let mut methods = factors::methods(tx, account.id).await?;
        let has_codes = methods.contains(&Method::BackupCode);
        methods.retain(|method| method.turns_on());
        match &self.credential {
            Credential::PasswordAlone if methods.is_empty() => Ok(Ok(Proof::Password)),
            Credential::PasswordAlone => Ok(Err(Error::SecondFactorNeeded(methods))),
            Credential::Ticket(ticket) => self.check_ticket(tx, account, ticket, &methods).await,
            Credential::BackupCode(code) => self.check_backup_code(tx, account, code, has_codes).await,
            Credential::Shapeless => self.check_shapeless(tx, account, &methods).await,
        }
    }

    async fn check_ticket(
        &self,
        tx: &mut Tx,
        account: &Account,
        ticket: &Ticket,
        methods: &[Method],
    ) -> Result<Result<Proof, Error>, store::Error> {
        let block = account.block_left(self.now);
        let blocked_at = account.blocked_at.filter(|_| block.is_some());
        let hash = digest(ticket.expose().as_bytes());
        if tickets::redeem(tx, &hash, account.id, blocked_at, self.now).await? {
            return Ok(Ok(Proof::Tap));
        }
        Ok(Err(match block {
            Some(left) => Error::Locked(left),
            None if methods.is_empty() => Error::NoMethod,
            None => Error::InvalidTicket,
        }))
    }

    async fn check_backup_code(
        &self,
        tx: &mut Tx,
        account: &Account,
        code: &BackupCode,
        has_codes: bool,
    ) -> Result<Result<Proof, Error>, store::Error> {
        if let Some(left) = account.block_left(self.now) {
            return Ok(Err(Error::Locked(left)));
        }
        let hash = super::factors::backup_code_hash(&self.root, account.uuid, code);
        match factors::use_code(tx, account.id, &hash, self.now).await? {
            factors::Spent::Now if has_codes => {
                factors::succeeded(tx, account.id, Method::BackupCode).await?;
                Ok(Ok(Proof::BackupCode))
            }
            factors::Spent::Before => Ok(Err(Error::InvalidBackupCode)),
            factors::Spent::Now | factors::Spent::Unknown => {
                self.count_failure(tx, account, Method::BackupCode).await?;
                Ok(Err(Error::InvalidBackupCode))
            }
        }
    }

    async fn check_shapeless(
        &self,
        tx: &mut Tx,
        account: &Account,
        methods: &[Method],
    ) -> Result<Result<Proof, Error>, store::Error> {
        if let Some(left) = account.block_left(self.now) {
            return Ok(Err(Error::Locked(left)));
        }
        self.count_failure(tx, account, Method::Email).await?;
        Ok(Err(match methods {
            [] => Error::NoMethod,
            _ if !methods.contains(&Method::Email) => Error::NotAnEmailMethod,
            _ => Error::InvalidTicket,
        }))
    }

    /// Counter (a) of CONTRACT.md section 1 (NIST SP 800-63B-4 §3.2.2).
    async fn count_failure(
        &self,
        tx: &mut Tx,
        account: &Account,
        method: Method,
    ) -> Result<(), store::Error> {
        let run = factors::failed(tx, account.id, method).await?;
        let consequence = self.policy.consequence(run);
        if consequence == Consequence::Counted {
            return Ok(());
        }
        accounts::set_block(tx, account.id, Some((self.now, self.now.plus(self.policy.block_for)))).await?;
        if consequence == Consequence::MethodOff {
            factors::turn_off(tx, account.id, method).await?;
        }
        let letter = Letter::Locked { source: &self.login.device.ip };
        mail::post(tx, letter, account.email.as_given(), account.language.unwrap_or_default(), self.now).await
    }

    async fn grant(&self, tx: &mut Tx, account: &Account, proof: Proof) -> Result<Grant, store::Error> {
        let device = devices::insert(tx, account.id, &self.login.device, self.now).await?;
        let client_id = self.login.client_id.clone().unwrap_or_else(|| "readylogin".to_owned());
        let session_ends = self.now.plus(self.session_ttl);
        let session = sessions::New {
            id: self.session,
            account: account.id,
            device,
            client_id: client_id.clone(),
            amr: proof.amr().join(" "),
            acr: proof.acr(),
            expires_at: session_ends,
        };
        sessions::insert(tx, session, self.now).await?;
        Ok(self.claims(account, device, client_id, proof, session_ends))
    }

    fn claims(
        &self,
        account: &Account,
        device: DeviceId,
        client_id: String,
        proof: Proof,
        session_ends: Timestamp,
    ) -> Grant {
        Grant {
            account: account.id,
            account_uuid: account.uuid,
            email: account.email.as_given().to_owned(),
            kind_name: self.kind_name.clone(),
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
