//! Mailing codes: to an account, or to an address, whether it has accounts or not.

use std::net::IpAddr;
use std::time::Duration;

use super::{Purpose, code_hash, code_of, new_code};
use crate::auth::limits::{CODES_PER_ACCOUNT, CODES_PER_ADDRESS, CODES_PER_SOURCE};
use crate::auth::{Auth, Error};
use crate::crypto::random;
use crate::crypto::root::RootKeys;
use crate::crypto::seal::base64url;
use crate::domain::account::{Account, Email};
use crate::domain::language::Language;
use crate::domain::phone::{Identifier, Phone};
use crate::domain::secret::OneTimeCode;
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::mailed_codes::{self, Mailed, New, Nonce, Subject};
use crate::store::{self, Tx, accounts, audit};

/// After a mail nothing is sent for so long while its code is live (docs/protocol.md, "Mailed codes").
const AGAIN: Duration = Duration::from_secs(60);

/// Live codes that an account has at most.
const LIVE: usize = 2;

/// For whom a code is.
enum Whom {
    /// One account.
    Account(uuid::Uuid),
    /// Each account of the address, of this kind if one is named: so many there can be.
    Address { kind: Option<String>, at_most: usize },
    /// A number that no account has.
    Nobody,
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
            Identifier::Phone(phone) => self.address_of_nobody(phone),
            Identifier::Nobodys => None,
        };
        let address = address.ok_or(Error::NotAnAddress)?;
        self.limits.count(CODES_PER_SOURCE, source)?;
        // Under what was asked: a number must not tell whose address it leads to.
        self.limits.count_at(CODES_PER_ADDRESS, source, "", who.key())?;
        self.check_mail_room().await?;
        let (email, whom) = match who {
            Identifier::Email(_) | Identifier::Nobodys => {
                let at_most = if kind.is_some() { 1 } else { self.config.accounts.kinds.len() };
                (address, Whom::Address { kind: kind.map(str::to_owned), at_most })
            }
            Identifier::Phone(_) => match self.find(kind, who).await? {
                Some(owner) => (owner.email, Whom::Account(owner.uuid)),
                None => (address, Whom::Nobody),
            },
        };
        self.mail_code(Purpose::Login, (email, whom), language, self.config.otp.ttl, source).await
    }

    /// Whether a code could be promised now; asked before an address is looked up or a password hashed for one.
    ///
    /// # Errors
    /// `Busy` while too many codes wait.
    pub(crate) async fn check_mail_room(&self) -> Result<(), Error> {
        Ok(self.store.read(|tx| Box::pin(mail::check_room(tx))).await?)
    }

    /// An address that nobody has, always the same for a number: a code for it is prepared like any other.
    fn address_of_nobody(&self, phone: &Phone) -> Option<Email> {
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
        self.limits.count_account(CODES_PER_ACCOUNT, source, account.uuid)?;
        let owner = (account.email.clone(), Whom::Account(account.uuid));
        self.mail_code(Purpose::Login, owner, account.language, ttl, source).await
    }

    /// Mails a code that proves an address before mailed codes become its account's second factor.
    pub(crate) async fn mail_enable_code(&self, account: &Account, source: IpAddr) -> Result<(), Error> {
        self.limits.count_account(CODES_PER_ACCOUNT, source, account.uuid)?;
        let owner = (account.email.clone(), Whom::Account(account.uuid));
        self.mail_code(Purpose::Enable, owner, account.language, self.config.otp.ttl, source).await
    }

    async fn mail_code(
        &self,
        purpose: Purpose,
        (email, whom): (Email, Whom),
        language: Option<Language>,
        ttl: Duration,
        source: IpAddr,
    ) -> Result<(), Error> {
        let order = Order {
            root: self.root.clone(),
            purpose,
            email,
            whom,
            language,
            ttl,
            source: source.to_string(),
            nonce: random::bytes(),
            now: self.now(),
        };
        self.store.write(move |tx| Box::pin(order.fill(tx))).await?;
        Ok(())
    }
}

/// What the transaction needs to know, owned by it.
struct Order {
    root: RootKeys,
    purpose: Purpose,
    email: Email,
    whom: Whom,
    language: Option<Language>,
    ttl: Duration,
    source: String,
    /// What a new code is derived from.
    nonce: Nonce,
    now: Timestamp,
}

/// An account that gets a code, or the stand-in for one.
struct Place {
    owner: Option<Account>,
    subject: Subject,
    codes: Vec<Mailed>,
}

/// A letter, and what is known of the code in it.
struct Draft {
    code: OneTimeCode,
    nonce: Nonce,
    expires_at: Timestamp,
    owner: Option<Account>,
}

impl Order {
    async fn fill(self, tx: &mut Tx) -> Result<(), store::Error> {
        mailed_codes::take_turn(tx, &self.purpose.turn(&self.root, &self.email), self.now).await?;
        let places = self.places(tx).await?;
        let is_known = places.iter().any(|place| place.owner.is_some());
        let shared = self.shared(&places, is_known);
        let shared = shared.unwrap_or_else(|| (self.nonce, new_code(&self.root, &self.nonce)));
        let mut drafts: Vec<Draft> = Vec::new();
        for place in places {
            if self.is_quiet(&place) {
                continue;
            }
            let draft = self.enter(tx, place, &shared).await?;
            match drafts.iter_mut().find(|known| known.nonce == draft.nonce) {
                Some(known) => {
                    known.expires_at = known.expires_at.min(draft.expires_at);
                    known.owner = known.owner.take().or(draft.owner);
                }
                None => drafts.push(draft),
            }
        }
        // Who has accounts gets a letter to them; for an unknown address one is written all the same.
        drafts.retain(|draft| draft.owner.is_some() == is_known);
        drafts.truncate(if is_known { usize::MAX } else { 1 });
        for draft in drafts {
            self.post(tx, draft).await?;
        }
        Ok(())
    }

    /// The accounts that are meant, and as many stand-ins as there could be more of them.
    async fn places(&self, tx: &mut Tx) -> Result<Vec<Place>, store::Error> {
        let mut owners = accounts::by_address(tx, self.email.key()).await?;
        owners.retain(|owner| owner.disabled_at.is_none() && self.whom.is_meant(owner));
        let at_least = owners.len().max(self.whom.at_most());
        let mut owners = owners.into_iter();
        let mut places = Vec::with_capacity(at_least);
        for nth in 0..at_least {
            let owner = owners.next();
            let subject = match &owner {
                Some(owner) => self.purpose.subject(owner.uuid),
                None => self.purpose.stand_in(&self.root, &self.email, nth),
            };
            let codes = mailed_codes::newest(tx, &subject, self.now).await?;
            places.push(Place { owner, subject, codes });
        }
        Ok(places)
    }

    /// Whether nothing may be sent there now.
    fn is_quiet(&self, place: &Place) -> bool {
        // A code for enabling that was guessed at until it was dead is no reason to send more of them.
        let holds = |code: &Mailed| code.is_live(self.now) || self.purpose == Purpose::Enable;
        // What was mailed in the time to come is of a clock that was set back.
        let is_recent = |code: &Mailed| code.mailed_at <= self.now && code.mailed_at.plus(AGAIN) > self.now;
        place.codes.iter().any(|code| holds(code) && is_recent(code))
    }

    /// The code that is mailed again to all of them, who share a mailbox: one that each of them has, or could get since
    /// it was not its own before. What an account has used, or was guessed at until it was dead, never comes back.
    fn shared(&self, places: &[Place], is_known: bool) -> Option<(Nonce, OneTimeCode)> {
        let meant = || places.iter().filter(|place| place.owner.is_some() == is_known);
        let is_over = |nonce: Nonce| {
            let had = |code: &Mailed| code.nonce == Some(nonce) && !code.is_live(self.now);
            meant().any(|place| place.codes.iter().any(had))
        };
        let mut candidates = meant().filter_map(|place| {
            let code = self.again(place)?;
            Some((code.nonce?, code_of(&self.root, &place.subject, code)?))
        });
        candidates.find(|(nonce, _)| !is_over(*nonce))
    }

    /// The code that is mailed again: as long-lived as is wanted, and in the first half of its life.
    fn again<'a>(&self, place: &'a Place) -> Option<&'a Mailed> {
        place.live(self.now).find(|code| {
            let life = code.expires_at.since(code.created_at);
            life == self.ttl && code.created_at.plus(life / 2) > self.now
        })
    }

    /// Enters the shared code, unless the account has it or has two others already: then the one that lives
    /// longest is mailed again, since none of them may die before its time.
    async fn enter(
        &self,
        tx: &mut Tx,
        place: Place,
        (nonce, code): &(Nonce, OneTimeCode),
    ) -> Result<Draft, store::Error> {
        let live: Vec<&Mailed> = place.live(self.now).collect();
        let known = live.iter().find(|kept| kept.nonce == Some(*nonce));
        let longest = || live.iter().filter(|_| live.len() >= LIVE).max_by_key(|kept| kept.expires_at);
        let again = known.or_else(longest).and_then(|kept| {
            let code = code_of(&self.root, &place.subject, kept)?;
            Some((kept.id, kept.nonce?, code, kept.expires_at))
        });
        if let Some((id, nonce, code, expires_at)) = again {
            mailed_codes::mailed(tx, id, self.now).await?;
            return Ok(Draft { code, nonce, expires_at, owner: place.owner });
        }
        let new = New {
            hash: code_hash(&self.root, &place.subject, code),
            nonce: *nonce,
            tries: live.iter().map(|kept| kept.tries).max().unwrap_or(0),
            expires_at: self.now.plus(self.ttl),
        };
        mailed_codes::insert(tx, &place.subject, new, self.now).await?;
        let (code, expires_at) = (code.clone(), new.expires_at);
        Ok(Draft { code, nonce: new.nonce, expires_at, owner: place.owner })
    }

    async fn post(&self, tx: &mut Tx, draft: Draft) -> Result<(), store::Error> {
        let Draft { code, expires_at, owner, .. } = &draft;
        let (code, source, now) = (code.expose(), self.source.as_str(), self.now);
        let minutes = expires_at.since(now).as_secs().div_ceil(60);
        let letter = match self.purpose {
            Purpose::Login => Letter::LoginCode { code, minutes, source },
            Purpose::Enable => Letter::EnableCode { code, minutes, source },
        };
        let entry = audit::Entry {
            event: "code.mail",
            outcome: if owner.is_some() { "ok" } else { "unknown" },
            account: owner.as_ref().map(|account| account.id),
            device: None,
            pairing: None,
            source,
        };
        audit::record_named(tx, entry, self.email.key(), now).await?;
        match owner {
            Some(owner) => {
                let language = owner.language.or(self.language).unwrap_or_default();
                mail::post(tx, letter, owner.email.as_given(), language, now).await
            }
            // Written all the same, and thrown away.
            None => mail::pretend(tx, letter, self.language.unwrap_or_default(), now).await,
        }
    }
}

impl Whom {
    fn is_meant(&self, owner: &Account) -> bool {
        match self {
            Self::Account(uuid) => owner.uuid == *uuid,
            Self::Address { kind, .. } => kind.as_ref().is_none_or(|kind| owner.kind == *kind),
            Self::Nobody => false,
        }
    }

    fn at_most(&self) -> usize {
        match self {
            Self::Address { at_most, .. } => (*at_most).max(1),
            Self::Account(_) | Self::Nobody => 1,
        }
    }
}

impl Place {
    /// The codes that would be taken, newest first.
    fn live(&self, now: Timestamp) -> impl Iterator<Item = &Mailed> {
        self.codes.iter().filter(move |code| code.is_live(now))
    }
}
