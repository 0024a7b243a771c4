//! A session for whom mailed words have proven to own an address: whose account it is, what has to come beside the words,
//! and the one use of the proof.

use super::{CHALLENGE_TRIES, Filled, Order};
use crate::auth::login::{ByMail, Credential};
use crate::auth::mail_auth::whose;
use crate::auth::second_factor::Checked;
use crate::auth::{Error, first_proof, mail_login};
use crate::domain::account::Account;
use crate::domain::claims::Proof;
use crate::domain::factor::Method;
use crate::store::mail_logins::{self, Hash, MailAuth};
use crate::store::{self, Tx, accounts, factors, lapse};

impl Order {
    /// The proof's row is locked before the account: of many that race with one proof, one gets to an account at all.
    pub(super) async fn fill_by_mail(
        &self,
        tx: &mut Tx,
        by: &ByMail,
    ) -> Result<Result<Filled, Error>, store::Error> {
        let hash = mail_login::hash_of(by.token.expose());
        let Some(auth) = mail_logins::hold_auth(tx, &hash, self.now).await? else {
            lapse::note(tx, lapse::Redeemable::MailAuth(hash), self.now).await?;
            return Ok(Err(Error::NoMailLogin));
        };
        let account = match whose(tx, &auth, &self.kinds, by.kind.as_deref()).await? {
            Some(account) => accounts::lock(tx, account.id).await?,
            None => None,
        };
        let Some(account) = account else { return Ok(Err(Error::NotFound)) };
        // A sign-in under way was bound to the account by its password, or the address was proven before.
        let has_password = by.proven.is_some() || auth.bound_to.is_some();
        let is_first = !has_password && account.disabled_at.is_none() && !account.has_trusted_address();
        let account = if is_first {
            let source = &self.login.device.ip;
            first_proof::without_password(tx, account, source, self.now).await?
        } else {
            account
        };
        let outcome = self.prove_beside_words(tx, &account, &auth, &hash, by).await?;
        match &outcome {
            Ok(_) => {
                mail_logins::end_auth(tx, &hash).await?;
                first_proof::with_password(tx, &account, &self.login.device.ip, self.now).await?;
            }
            Err(Error::SecondFactorNeeded(_)) => self.go_on(tx, &account, auth, &hash, by).await?,
            Err(_) => {}
        }
        self.settle(tx, account, outcome, None).await
    }

    /// The sign-in goes on by another proof, for this account alone. Its tries and, after the first time, its end stay:
    /// asking again is no way to more of either.
    async fn go_on(
        &self,
        tx: &mut Tx,
        account: &Account,
        auth: MailAuth,
        hash: &Hash,
        by: &ByMail,
    ) -> Result<(), store::Error> {
        let end = if auth.bound_to.is_some() { auth.expires_at } else { self.now.plus(by.next_ttl) };
        mail_logins::end_auth(tx, hash).await?;
        mail_logins::insert_auth(tx, &mail_login::hash_of(by.next.expose()), &auth.bound(account, end)).await
    }

    async fn prove_beside_words(
        &self,
        tx: &mut Tx,
        account: &Account,
        auth: &MailAuth,
        hash: &Hash,
        by: &ByMail,
    ) -> Checked {
        if account.disabled_at.is_some() {
            return Ok(Err(Error::Disabled));
        }
        if auth.bound_to.is_some_and(|(_, version)| version != account.password_version) {
            return Ok(Err(Error::NoMailLogin));
        }
        let is_it =
            |known: &Account| known.id == account.id && known.password_version == account.password_version;
        if by.proven.as_ref().is_some_and(|known| !is_it(known)) {
            return Ok(Err(Error::BadCredentials));
        }
        let mut methods = factors::methods(tx, account.id).await?;
        let has_codes = methods.contains(&Method::BackupCode);
        methods.retain(|method| method.turns_on());
        if methods.is_empty() {
            return Ok(Ok(if by.proven.is_some() { Proof::WordsAndPassword } else { Proof::Words }));
        }
        let counts_here = matches!(self.credential, Credential::Totp(_) | Credential::BackupCode(_));
        if counts_here && auth.tries >= CHALLENGE_TRIES && account.block_left(self.now).is_none() {
            mail_logins::end_auth(tx, hash).await?;
            return Ok(Err(Error::NoMailLogin));
        }
        let checked = match &self.credential {
            // The same channel twice is one factor, and a password that came by it is no other.
            Credential::PasswordAlone
                if by.proven.is_some() && methods == [Method::Email] && !account.mail_barred =>
            {
                Ok(account
                    .block_left(self.now)
                    .map_or(Ok(Proof::WordsAndPassword), |left| Err(Error::Locked(left))))
            }
            Credential::PasswordAlone
            | Credential::Trust(_)
            | Credential::Device(_)
            | Credential::AnyCode(_)
            | Credential::MailedCode(_) => Ok(Err(Error::SecondFactorNeeded(
                self.usable_beside_words(tx, account, methods, has_codes).await?,
            ))),
            Credential::Ticket(ticket) => self.factor.ticket(tx, account, ticket, true).await,
            Credential::Totp(code) => {
                let is_on = methods.contains(&Method::Authenticator);
                self.factor.totp(tx, account, code, is_on).await
            }
            Credential::BackupCode(code) => self.factor.backup_code(tx, account, code, has_codes).await,
        }?;
        if matches!(checked, Err(Error::InvalidTotp | Error::InvalidBackupCode)) {
            mail_logins::tried_auth(tx, hash).await?;
        }
        Ok(checked.map(beside_words))
    }

    /// What can be shown beside the words: never mail again, and backup codes while there are some.
    async fn usable_beside_words(
        &self,
        tx: &mut Tx,
        account: &Account,
        mut methods: Vec<Method>,
        has_codes: bool,
    ) -> Result<Vec<Method>, store::Error> {
        let worn_out = factors::worn_out(tx, account.id, self.factor.policy.disable_after).await?;
        methods.retain(|method| *method != Method::Email && !worn_out.contains(method));
        if has_codes && factors::codes_left(tx, account.id).await? > 0 {
            methods.push(Method::BackupCode);
        }
        Ok(methods)
    }
}

/// What was proven, with words in the password's place.
fn beside_words(proof: Proof) -> Proof {
    match proof {
        Proof::Tap => Proof::WordsAndTap,
        Proof::Totp | Proof::BackupCode => Proof::WordsAndCode,
        Proof::Password
        | Proof::MailedCode
        | Proof::Words
        | Proof::WordsAndPassword
        | Proof::WordsAndCode
        | Proof::WordsAndTap => proof,
    }
}
