//! What the mint asks for before it begins a session: the second factor, or what stands for it.

use super::Order;
use crate::auth::first_step::Tally;
use crate::auth::login::{Credential, First};
use crate::auth::second_factor::Checked;
use crate::auth::{Error, first_step};
use crate::crypto::seal::digest;
use crate::domain::account::Account;
use crate::domain::claims::Proof;
use crate::domain::factor::Method;
use crate::domain::secret::{Fingerprint, TrustToken};
use crate::mail::{self, Letter};
use crate::store::challenges::{self, Challenge};
use crate::store::{self, Tx, accounts, factors, lapse, trusts};

/// Wrong codes that a sign-in under way stands (docs/protocol-http.md, "The second step").
pub(in crate::auth) const CHALLENGE_TRIES: u32 = 5;

impl Order {
    /// Checks the credential, and what the sign-in under way stands.
    pub(super) async fn prove(
        &self,
        tx: &mut Tx,
        account: &Account,
        hash: Option<&[u8; 32]>,
        under_way: Option<Challenge>,
    ) -> Checked {
        let (Some(hash), Some(under_way)) = (hash, under_way) else { return self.check(tx, account).await };
        if self.factor.tally == Tally::Day {
            return self.judge(tx, account, hash, under_way).await;
        }
        // A mailed code counts its own tries, and dies without the sign-in.
        let counts_here = matches!(self.credential, Credential::Totp(_) | Credential::BackupCode(_));
        if counts_here && under_way.tries >= CHALLENGE_TRIES && account.block_left(self.now).is_none() {
            challenges::end(tx, hash).await?;
            return Ok(Err(Error::TooManyTries));
        }
        let checked = self.check(tx, account).await?;
        match &checked {
            Ok(_) => challenges::end(tx, hash).await?,
            Err(Error::InvalidTotp | Error::InvalidBackupCode) => challenges::tried(tx, hash).await?,
            Err(_) => {}
        }
        Ok(checked)
    }

    /// Judges a guess whose client does not prove that it made the login call; a few are, and what they cost is that.
    async fn judge(&self, tx: &mut Tx, account: &Account, hash: &[u8; 32], under_way: Challenge) -> Checked {
        if !first_step::is_judged(tx, &under_way, self.now).await? {
            return Ok(Err(Error::InvalidChallenge));
        }
        let checked = self.check(tx, account).await?;
        match &checked {
            Ok(_) => challenges::end(tx, hash).await?,
            // A block, too: a neighbour who has proven nothing may learn of it three times and no more.
            Err(_) => challenges::tried(tx, hash).await?,
        }
        Ok(checked)
    }

    async fn check(&self, tx: &mut Tx, account: &Account) -> Checked {
        let mut methods = factors::methods(tx, account.id).await?;
        let has_codes = methods.contains(&Method::BackupCode);
        methods.retain(|method| method.turns_on());
        let has_method = !methods.is_empty();
        let worn_out = factors::worn_out(tx, account.id, self.factor.policy.disable_after).await?;
        let is_barred = |method: Method| method == Method::Email && account.mail_barred;
        let is_usable = |method: &Method| !worn_out.contains(method) && !is_barred(*method);
        let usable = || methods.iter().copied().filter(is_usable).collect();
        let is_step = self.first.challenge().is_some();
        match &self.credential {
            Credential::PasswordAlone if matches!(self.first, First::Made(_)) && !has_method => {
                Ok(Ok(Proof::Words))
            }
            Credential::PasswordAlone | Credential::Trust(_) | Credential::Device(_) if !has_method => {
                Ok(Ok(Proof::Password))
            }
            Credential::PasswordAlone => Ok(Err(Error::SecondFactorNeeded(usable()))),
            Credential::Trust(token) => {
                let known = self.renew_trust(tx, account, token).await?;
                Ok(if known { Ok(Proof::Password) } else { Err(Error::SecondFactorNeeded(usable())) })
            }
            Credential::Device(fingerprint) => {
                let known = self.knows_device(tx, account, fingerprint).await?;
                Ok(if known { Ok(Proof::Password) } else { Err(Error::SecondFactorNeeded(usable())) })
            }
            Credential::AnyCode(code) => self.factor.any_code(tx, account, code, &methods).await,
            Credential::Ticket(ticket) => self.factor.ticket(tx, account, ticket, has_method).await,
            Credential::MailedCode(code) if methods.contains(&Method::Email) => {
                // Of a client that does not prove that it made the login call every guess is counted.
                let strict = !is_step || self.factor.tally == Tally::Day;
                self.factor.mailed_code(tx, account, code, strict).await
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
        let known = trusts::renew(tx, self.term(account), &old, &new, self.now).await?;
        if !known {
            lapse::note(tx, lapse::Redeemable::Trust(old), self.now).await?;
        }
        Ok(known)
    }

    fn term(&self, account: &Account) -> trusts::Term<'_> {
        let expires_at = self.now.plus(self.trust_ttl);
        trusts::Term { account: account.id, ip: &self.login.device.ip, expires_at }
    }

    /// Lets the device go unasked from now on, and tells the owner.
    pub(super) async fn trust(&self, tx: &mut Tx, account: &Account) -> Result<(), store::Error> {
        let (hash, name) = (digest(self.trust_token.expose().as_bytes()), &self.login.device.name);
        trusts::insert(tx, self.term(account), &hash, name, self.now).await?;
        self.tell_of_trust(tx, account).await
    }

    /// The same for a device that its client names; where it was trusted already the time begins anew.
    pub(super) async fn trust_device(
        &self,
        tx: &mut Tx,
        account: &Account,
        fingerprint: &Fingerprint,
    ) -> Result<(), store::Error> {
        let hash = self.factor.root.mac(TRUSTED, &device_parts(account, fingerprint));
        let name = &self.login.device.name;
        trusts::put(tx, self.term(account), &hash, name, self.now).await?;
        self.tell_of_trust(tx, account).await
    }

    /// The hashes by which a device's trust may be kept: by the root key in force first, then by those before a rotation.
    /// They are keyed, since a fingerprint is easily guessed, and bound to the account.
    pub(super) fn device_hashes(&self, account: &Account, fingerprint: &Fingerprint) -> Vec<[u8; 32]> {
        self.factor.root.macs(TRUSTED, &device_parts(account, fingerprint))
    }

    async fn tell_of_trust(&self, tx: &mut Tx, account: &Account) -> Result<(), store::Error> {
        let name = &self.login.device.name;
        accounts::remember(tx, account.id, self.now).await?;
        let letter = Letter::DeviceTrusted { device: name, source: &self.login.device.ip };
        mail::notify(tx, account.id, letter, self.now).await
    }
}

/// The purpose of the hash by which a device's trust is kept.
const TRUSTED: &str = "trusted device";

fn device_parts<'a>(account: &'a Account, fingerprint: &'a Fingerprint) -> [&'a [u8]; 2] {
    [account.uuid.as_bytes(), fingerprint.expose().as_bytes()]
}
