//! The factor engine: checks a code of any kind for an account, uses it up, and counts what was wrong. Every surface's
//! second factor ends here, inside the transaction of the use case that asks.

use zeroize::Zeroizing;

use super::first_step::{self, Tally};
use super::mailed_code::{self, Purpose, Standing, Tried};
use super::{Error, backup_codes, first_proof};
use crate::crypto::root::RootKeys;
use crate::crypto::seal::digest;
use crate::crypto::seals::{Seals, TOTP};
use crate::crypto::totp::TotpSecret;
use crate::domain::account::Account;
use crate::domain::claims::Proof;
use crate::domain::factor::{Consequence, LockPolicy, Method};
use crate::domain::ids::AccountId;
use crate::domain::secret::{BackupCode, OneTimeCode, Ticket};
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::totp::{self, Which};
use crate::store::{self, Tx, accounts, factors, lapse, tickets};

/// When so few backup codes are left their owner is told.
const FEW_CODES: u64 = 3;

/// What the checks need to know, owned by a unit of work. They run under the account's lock.
#[derive(Clone)]
pub(super) struct SecondFactor {
    pub(super) policy: LockPolicy,
    pub(super) root: RootKeys,
    pub(super) seals: Seals,
    /// The address that letters name.
    pub(super) source: String,
    pub(super) tally: Tally,
    pub(super) now: Timestamp,
}

/// The outcome of a check: a refusal is a value, since the failure that it counted has to stay.
pub(super) type Checked = Result<Result<Proof, Error>, store::Error>;

impl SecondFactor {
    /// The code of an approval.
    pub(super) async fn ticket(
        &self,
        tx: &mut Tx,
        account: &Account,
        ticket: &Ticket,
        has_method: bool,
    ) -> Checked {
        let block = account.block_left(self.now);
        let blocked_at = account.blocked_at.filter(|_| block.is_some());
        let hash = digest(ticket.expose().as_bytes());
        if tickets::redeem(tx, &hash, account.id, blocked_at, self.now).await? {
            return Ok(Ok(Proof::Tap));
        }
        lapse::note(tx, lapse::Redeemable::Ticket(hash), self.now).await?;
        Ok(Err(match block {
            Some(left) => Error::Locked(left),
            None if has_method => Error::InvalidTicket,
            None => Error::NoMethod,
        }))
    }

    /// A code mailed for a login; refused, and neither tried nor counted, while mail is barred. `strict` surfaces count
    /// every wrong code, also while there is none to guess at.
    pub(super) async fn mailed_code(
        &self,
        tx: &mut Tx,
        account: &Account,
        code: &OneTimeCode,
        strict: bool,
    ) -> Checked {
        if let Some(left) = account.block_left(self.now) {
            return Ok(Err(Error::Locked(left)));
        }
        if account.mail_barred {
            return Ok(Err(Error::NotAnEmailMethod));
        }
        if self.is_worn_out(tx, account, Method::Email).await? {
            self.count_failure(tx, account, Method::Email).await?;
            return Ok(Err(Error::InvalidCode));
        }
        let tried = self.try_mailed(tx, account, code).await?;
        if tried == Tried::Wrong || (strict && matches!(tried, Tried::TooMany | Tried::NoCode)) {
            self.count_failure(tx, account, Method::Email).await?;
        }
        Ok(match tried {
            Tried::Right => {
                factors::succeeded(tx, account.id, Method::Email).await?;
                first_proof::with_password(tx, account, &self.source, self.now).await?;
                Ok(Proof::MailedCode)
            }
            Tried::Wrong | Tried::UsedBefore => Err(Error::InvalidCode),
            Tried::TooMany => Err(Error::TooManyTries),
            Tried::NoCode => Err(Error::CodeExpired),
        })
    }

    /// A mailed code for an account that has no mailed codes: a guess like others.
    pub(super) async fn unexpected_mailed_code(
        &self,
        tx: &mut Tx,
        account: &Account,
        has_method: bool,
    ) -> Checked {
        if let Some(left) = account.block_left(self.now) {
            return Ok(Err(Error::Locked(left)));
        }
        self.count_failure(tx, account, Method::Email).await?;
        Ok(Err(if has_method { Error::NotAnEmailMethod } else { Error::NoMethod }))
    }

    /// The code of an authenticator app, if one `is_on`; a time step counts once.
    pub(super) async fn totp(
        &self,
        tx: &mut Tx,
        account: &Account,
        code: &OneTimeCode,
        is_on: bool,
    ) -> Checked {
        if let Some(left) = account.block_left(self.now) {
            return Ok(Err(Error::Locked(left)));
        }
        let is_on = is_on && !self.is_worn_out(tx, account, Method::Authenticator).await?;
        let step = self.step_of(tx, account.id, Which::InForce, code).await?.filter(|_| is_on);
        match step {
            Some(step) if totp::use_step(tx, account.id, step).await? => {
                factors::succeeded(tx, account.id, Method::Authenticator).await?;
                Ok(Ok(Proof::Totp))
            }
            // It was right, once: not held against anybody.
            Some(_) => Ok(Err(Error::InvalidTotp)),
            None => {
                self.count_failure(tx, account, Method::Authenticator).await?;
                Ok(Err(Error::InvalidTotp))
            }
        }
    }

    /// A mailed code or that of an app, whichever it is. What is neither is one failure, of the method that it was most
    /// likely meant for: a mailed code while one lives, else the app's, else a mailed one.
    pub(super) async fn any_code(
        &self,
        tx: &mut Tx,
        account: &Account,
        code: &OneTimeCode,
        methods: &[Method],
    ) -> Checked {
        if let Some(left) = account.block_left(self.now) {
            return Ok(Err(Error::Locked(left)));
        }
        let (has_app, takes_mail) =
            (methods.contains(&Method::Authenticator), methods.contains(&Method::Email));
        // While mail is barred a code is one of the app, and counts as such: else the bar would let it be guessed at.
        let takes_mail_now = takes_mail && !account.mail_barred;
        // Nor are mailed codes that are worn out a place to count what was guessed at the app.
        let has_mail = takes_mail_now && !(has_app && self.is_worn_out(tx, account, Method::Email).await?);
        if !has_app && takes_mail && account.mail_barred {
            return Ok(Err(Error::NotAnEmailMethod));
        }
        if !has_app && !has_mail {
            return self.unexpected_mailed_code(tx, account, !methods.is_empty()).await;
        }
        let is_of_app = has_app
            && !self.is_worn_out(tx, account, Method::Authenticator).await?
            && self.step_of(tx, account.id, Which::InForce, code).await?.is_some();
        if is_of_app {
            return self.totp(tx, account, code, true).await;
        }
        let mailed = mailed_code::standing(tx, account, self.now).await?;
        if has_mail && (mailed == Standing::Live || !has_app) {
            let checked = self.mailed_code(tx, account, code, true).await?;
            // Where none was sent, or it was used, there is none that could be over.
            let was_none = mailed == Standing::None && checked == Err(Error::CodeExpired);
            return Ok(if was_none { Err(Error::InvalidCode) } else { checked });
        }
        if has_mail {
            match self.try_mailed(tx, account, code).await? {
                // It was right, once: not held against anybody. None is right now: none lives.
                Tried::UsedBefore | Tried::Right => return Ok(Err(Error::InvalidCode)),
                Tried::Wrong | Tried::TooMany | Tried::NoCode => {}
            }
        }
        self.count_failure(tx, account, Method::Authenticator).await?;
        let is_dead = has_mail && mailed == Standing::Dead;
        Ok(Err(if is_dead { Error::CodeExpired } else { Error::InvalidTotp }))
    }

    /// A backup code; `has_codes` tells whether there are any.
    pub(super) async fn backup_code(
        &self,
        tx: &mut Tx,
        account: &Account,
        code: &BackupCode,
        has_codes: bool,
    ) -> Checked {
        if let Some(left) = account.block_left(self.now) {
            return Ok(Err(Error::Locked(left)));
        }
        match self.use_backup_code(tx, account, code).await? {
            factors::Spent::Now if has_codes => {
                factors::succeeded(tx, account.id, Method::BackupCode).await?;
                self.warn_of_few(tx, account).await?;
                Ok(Ok(Proof::BackupCode))
            }
            factors::Spent::Before => Ok(Err(Error::InvalidBackupCode)),
            factors::Spent::Now | factors::Spent::Unknown => {
                self.count_failure(tx, account, Method::BackupCode).await?;
                Ok(Err(Error::InvalidBackupCode))
            }
        }
    }

    async fn try_mailed(
        &self,
        tx: &mut Tx,
        account: &Account,
        code: &OneTimeCode,
    ) -> Result<Tried, store::Error> {
        let counts = self.tally == Tally::Account;
        mailed_code::attempt(tx, &self.root, (Purpose::Login, account), code, counts, self.now).await
    }

    /// Spends a backup code.
    async fn use_backup_code(
        &self,
        tx: &mut Tx,
        account: &Account,
        code: &BackupCode,
    ) -> Result<factors::Spent, store::Error> {
        for hash in backup_codes::hashes_of(&self.root, account.uuid, code) {
            let spent = factors::use_code(tx, account.id, &hash, self.now).await?;
            if spent != factors::Spent::Unknown {
                return Ok(spent);
            }
        }
        Ok(factors::Spent::Unknown)
    }

    /// The time step of a code for one of the account's two authenticator secrets.
    pub(super) async fn step_of(
        &self,
        tx: &mut Tx,
        account: AccountId,
        which: Which,
        code: &OneTimeCode,
    ) -> Result<Option<i64>, store::Error> {
        let secret = self.totp_secret(tx, account, which).await?;
        Ok(secret.and_then(|secret| secret.step_of(code, self.now)))
    }

    /// One of the account's two authenticator secrets, opened.
    pub(super) async fn totp_secret(
        &self,
        tx: &mut Tx,
        account: AccountId,
        which: Which,
    ) -> Result<Option<TotpSecret>, store::Error> {
        let Some(sealed) = totp::secret(tx, account, which).await? else { return Ok(None) };
        let opened: Zeroizing<Vec<u8>> = self
            .seals
            .open(TOTP, &sealed)
            .map_err(|e| store::Error::Failed(format!("an authenticator's secret: {e}")))?;
        Ok(Some(TotpSecret::from_bytes(opened)))
    }

    async fn is_worn_out(
        &self,
        tx: &mut Tx,
        account: &Account,
        method: Method,
    ) -> Result<bool, store::Error> {
        let worn_out = factors::worn_out(tx, account.id, self.policy.disable_after).await?;
        Ok(worn_out.contains(&method))
    }

    async fn warn_of_few(&self, tx: &mut Tx, account: &Account) -> Result<(), store::Error> {
        let left = factors::codes_left(tx, account.id).await?;
        if left > FEW_CODES {
            return Ok(());
        }
        let letter = Letter::CodesLow { left, source: &self.source };
        mail::notify(tx, account.id, letter, self.now).await
    }

    /// Counts a failure of a method: docs/protocol.md, "Failed second factors" (NIST SP 800-63B-4 §3.2.2).
    pub(super) async fn count_failure(
        &self,
        tx: &mut Tx,
        account: &Account,
        method: Method,
    ) -> Result<(), store::Error> {
        if self.tally == Tally::Day {
            return first_step::count_guess(tx, account.id, self.now).await;
        }
        let run = factors::failed(tx, account.id, method).await?;
        let consequence = self.policy.consequence(run);
        if consequence == Consequence::Counted {
            return Ok(());
        }
        accounts::set_block(tx, account.id, Some((self.now, self.now.plus(self.policy.block_for)))).await?;
        // The last method stays, worth nothing: were it turned off, guessing often enough would leave the password alone.
        if consequence == Consequence::MethodOff && !is_last(tx, account, method).await? {
            factors::turn_off(tx, account.id, method).await?;
        }
        let letter = Letter::Locked { source: &self.source };
        mail::notify(tx, account.id, letter, self.now).await
    }
}

/// Whether two-factor login would be off without this method.
async fn is_last(tx: &mut Tx, account: &Account, method: Method) -> Result<bool, store::Error> {
    let mut on = factors::methods(tx, account.id).await?;
    on.retain(|method| method.turns_on());
    Ok(on == [method])
}
