//! Mailing codes: to an address, whether it has an account or not, and checking what comes back.

use std::net::IpAddr;
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::limits::{CODES_PER_ADDRESS, CODES_PER_SOURCE};
use super::{Auth, Error};
use crate::crypto::random;
use crate::crypto::root::RootKeys;
use crate::crypto::seal::base64url;
use crate::domain::account::{Account, Email};
use crate::domain::language::Language;
use crate::domain::phone::{Identifier, Phone};
use crate::domain::secret::OneTimeCode;
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::mailed_codes::{self, Subject, TRIES};
use crate::store::{self, Tx, accounts, audit};

/// A code that was sent so recently is not sent again while it is live (CONTRACT.md section 1).
const AGAIN: Duration = Duration::from_secs(60);

/// What a code is for; one for another purpose is no code.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// A login of any account with this address.
    Login(&'a Email),
    /// Turning mailed codes on for this account.
    Enable(uuid::Uuid),
}

impl Purpose<'_> {
    pub(super) fn subject(self, root: &RootKeys) -> Subject {
        match self {
            Self::Login(email) => root.mac("mailed code", &[b"login", email.key().as_bytes()]),
            Self::Enable(account) => root.mac("mailed code", &[b"enable", account.as_bytes()]),
        }
    }
}

/// What trying a mailed code led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tried {
    Right,
    Wrong,
    /// It was right, once: not held against anybody.
    UsedBefore,
    /// This try was one too many: the code is dead.
    TooMany,
    /// There is no live code.
    NoCode,
}

/// Tries a code against the newest of its subject; a right one is spent, a wrong one counted against that code.
pub(super) async fn attempt(
    tx: &mut Tx,
    root: &RootKeys,
    subject: &Subject,
    code: &OneTimeCode,
    now: Timestamp,
) -> Result<Tried, store::Error> {
    let hash = code_hash(root, subject, code);
    let newest = mailed_codes::newest(tx, subject).await?;
    if let Some(newest) = newest.filter(|newest| !newest.used && newest.expires_at > now) {
        let is_it = bool::from(newest.hash.ct_eq(&hash));
        if is_it && mailed_codes::spend(tx, newest.id, now).await? {
            return Ok(Tried::Right);
        }
        if mailed_codes::was_spent(tx, subject, &hash).await? {
            return Ok(Tried::UsedBefore);
        }
        // The right code, too, is one try too many once five were wrong.
        return Ok(match mailed_codes::tried(tx, newest.id).await? {
            tries if tries <= TRIES => Tried::Wrong,
            tries if tries == TRIES + 1 => Tried::TooMany,
            _ => Tried::NoCode,
        });
    }
    let was_spent = mailed_codes::was_spent(tx, subject, &hash).await?;
    Ok(if was_spent { Tried::UsedBefore } else { Tried::NoCode })
}

/// How the newest code of a subject stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// The right one would be taken.
    Live,
    /// It was sent and never used, and is over or was guessed at too often.
    Dead,
    /// There is none, or it was used.
    None,
}

/// How the newest code of a subject stands.
pub(super) async fn standing(
    tx: &mut Tx,
    subject: &Subject,
    now: Timestamp,
) -> Result<Standing, store::Error> {
    Ok(match mailed_codes::newest(tx, subject).await? {
        Some(code) if code.is_live(now) => Standing::Live,
        Some(code) if !code.used => Standing::Dead,
        Some(_) | None => Standing::None,
    })
}

/// How a code is kept: six digits are guessed in no time, so its hash is keyed.
fn code_hash(root: &RootKeys, subject: &Subject, code: &OneTimeCode) -> [u8; 32] {
    root.mac("mailed code hash", &[subject, code.expose().as_bytes()])
}

impl Auth {
    /// Mails a login code to an address, if an account has it; a stranger can't tell. Takes anything for an address.
    ///
    /// # Errors
    /// `NotAnAddress`; `TooManyRequests`, kept alike for known and unknown addresses; `Busy`.
    pub(crate) async fn mail_login_code(
        &self,
        email: &str,
        language: Option<Language>,
        source: IpAddr,
    ) -> Result<(), Error> {
        let email = Email::parse(email).ok_or(Error::NotAnAddress)?;
        self.mail_code_of(None, &Identifier::Email(email), language, source).await
    }

    /// The same for a surface that knows accounts by their telephone number, too.
    ///
    /// # Errors
    /// As [`Auth::mail_login_code`].
    pub(crate) async fn mail_code_of(
        &self,
        kind: Option<&str>,
        who: &Identifier,
        language: Option<Language>,
        source: IpAddr,
    ) -> Result<(), Error> {
        let address = match who {
            Identifier::Email(email) => Some(email.clone()),
            Identifier::Phone(phone) => self.stand_in(phone),
            Identifier::Nobodys => None,
        };
        let address = address.ok_or(Error::NotAnAddress)?;
        self.limits.count(CODES_PER_SOURCE, source)?;
        // Under what was asked: a number must not tell whose address it leads to.
        self.limits.count_at(CODES_PER_ADDRESS, source, "", who.key())?;
        self.check_mail_room().await?;
        let owner = match who {
            // The code belongs to the address, whoever has it.
            Identifier::Email(_) | Identifier::Nobodys => None,
            Identifier::Phone(_) => self.find(kind, who).await?,
        };
        let (email, account) = owner.map_or((address, None), |owner| (owner.email, Some(owner.uuid)));
        self.mail_code(
            Purpose::Login(&email),
            (email.clone(), account),
            language,
            self.config.otp.ttl,
            source,
        )
        .await
    }

    /// Whether a code could be promised now; asked before an address is looked up or a password hashed for one.
    ///
    /// # Errors
    /// `Busy` while too many codes wait.
    pub(crate) async fn check_mail_room(&self) -> Result<(), Error> {
        Ok(self.store.read(|tx| Box::pin(mail::check_room(tx))).await?)
    }

    /// An address that nobody has, always the same for a number: a code for it is prepared like any other.
    fn stand_in(&self, phone: &Phone) -> Option<Email> {
        let mac = self.root.mac("number without an account", &[phone.as_str().as_bytes()]);
        Email::parse(&format!("{}@invalid", base64url(&mac)))
    }

    /// Mails a login code to an account whose password was proven.
    pub(crate) async fn mail_code_to(
        &self,
        account: &Account,
        ttl: Duration,
        source: IpAddr,
    ) -> Result<(), Error> {
        let email = account.email.clone();
        let owner = (email.clone(), Some(account.uuid));
        self.mail_code(Purpose::Login(&email), owner, account.language, ttl, source).await
    }

    /// Mails a code that proves an address before mailed codes become its account's second factor.
    pub(crate) async fn mail_enable_code(&self, account: &Account, source: IpAddr) -> Result<(), Error> {
        let (purpose, owner) = (Purpose::Enable(account.uuid), (account.email.clone(), Some(account.uuid)));
        self.mail_code(purpose, owner, account.language, self.config.otp.ttl, source).await
    }

    async fn mail_code(
        &self,
        purpose: Purpose<'_>,
        (email, account): (Email, Option<uuid::Uuid>),
        language: Option<Language>,
        ttl: Duration,
        source: IpAddr,
    ) -> Result<(), Error> {
        let (subject, now) = (purpose.subject(&self.root), self.now());
        let is_login = matches!(purpose, Purpose::Login(_));
        let code = OneTimeCode::new(random::digits(6));
        let hash = code_hash(&self.root, &subject, &code);
        let (minutes, source) = (ttl.as_secs().div_ceil(60), source.to_string());
        let unit = async move |tx: &mut Tx| {
            mailed_codes::take_turn(tx, &subject, now).await?;
            let newest = mailed_codes::newest(tx, &subject).await?;
            let owner = accounts::by_address(tx, email.key()).await?;
            // Of several with the address, the one whose password was proven.
            let allowed = owner.into_iter().filter(|owner| owner.disabled_at.is_none());
            let owner = allowed.min_by_key(|owner| Some(owner.uuid) != account);
            if newest.is_some_and(|code| code.is_live(now) && code.created_at.plus(AGAIN) > now) {
                return Ok(());
            }
            mailed_codes::insert(tx, &subject, &hash, now.plus(ttl), now).await?;
            let letter = if is_login {
                Letter::LoginCode { code: code.expose(), minutes, source: &source }
            } else {
                Letter::EnableCode { code: code.expose(), minutes, source: &source }
            };
            let entry = audit::Entry {
                event: "code.mail",
                outcome: if owner.is_some() { "ok" } else { "unknown" },
                account: owner.as_ref().map(|account| account.id),
                device: None,
                pairing: None,
                source: &source,
            };
            audit::record(tx, entry, now).await?;
            match owner {
                Some(owner) => {
                    let language = owner.language.or(language).unwrap_or_default();
                    mail::post(tx, letter, owner.email.as_given(), language, now).await
                }
                // Written all the same, and thrown away.
                None => mail::pretend(tx, letter, language.unwrap_or_default(), now).await,
            }
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        self.courier.ring();
        Ok(())
    }
}
