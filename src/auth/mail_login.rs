//! Email passphrases (docs/protocol-http.md, "Email passphrases"): mailing three words to an address, and exchanging
//! them for a proof of that address.

use std::net::IpAddr;

use super::limits::MAIL_TOKENS_PER_SOURCE;
use super::mail_quota::{Quotas, Share};
use super::{Auth, Error};
use crate::config::Registration;
use crate::crypto::root::RootKeys;
use crate::crypto::seal::digest;
use crate::crypto::{random, words};
use crate::domain::account::Email;
use crate::domain::language::Language;
use crate::domain::mailbox::Mailbox;
use crate::domain::secret::{MailAuthToken, MailLoginToken, MailedWords};
use crate::domain::time::Timestamp;
use crate::mail::{self, Letter};
use crate::store::mail_logins::{self, Hash, MailAuth, MailLogin};
use crate::store::{self, Tx, accounts, audit, lapse};

/// How often words may be tried; the last wrong try is the end of them.
const TRIES: u32 = 3;
/// How long a token is: 190 bits.
pub(super) const TOKEN_CHARS: usize = 32;

/// What a request for words led to.
#[derive(Debug)]
pub(crate) enum Mailed {
    /// They are on their way.
    Sent(MailLoginToken),
    /// The allow list does not have the address.
    NotAllowed,
    /// The block list has it.
    Blocked,
}

/// The purpose of the hash by which words are kept. 33 bits are guessed in no time, so it is keyed, and bound to their token.
const WORDS: &str = "mailed words";

fn words_hash(root: &RootKeys, token: &Hash, words: &MailedWords) -> [u8; 32] {
    let folded = zeroize::Zeroizing::new(words::folded(words.expose()));
    root.mac(WORDS, &[token, folded.as_bytes()])
}

fn are_words(root: &RootKeys, token: &Hash, words: &MailedWords, kept: &[u8; 32]) -> bool {
    let folded = zeroize::Zeroizing::new(words::folded(words.expose()));
    root.verify(WORDS, &[token, folded.as_bytes()], kept)
}

impl Auth {
    /// Mails three words to an address, whoever has it. Once the general share of what the server sends is used up, and while
    /// registration is closed, an address without an account gets nothing; that changes neither the answer nor the work,
    /// so nothing can be learnt. The checks and their order: docs/protocol-http.md, "Email passphrases".
    ///
    /// # Errors
    /// `NotAnAddress`, `NotAuthenticated` for a `device` token that is none, `TooManyRequests`, `Busy`.
    pub(crate) async fn mail_words(
        &self,
        address: &str,
        locale: &str,
        device: Option<&str>,
        source: IpAddr,
    ) -> Result<Mailed, Error> {
        let mailbox = Email::parse(address).as_ref().and_then(Mailbox::of).ok_or(Error::NotAnAddress)?;
        let lists = &self.config.mail_code;
        if !lists.allow.is_empty() && !lists.allow.holds(&mailbox) {
            return Ok(Mailed::NotAllowed);
        }
        if lists.block.holds(&mailbox) {
            return Ok(Mailed::Blocked);
        }
        if let Some(device) = device {
            self.bearer(device).await?;
        }
        let (quotas, now) = (self.mail_quotas(&mailbox, source), self.now());
        let (share, quotas) = self.look_for_room(quotas, mailbox.address.clone(), now).await?;
        let (taken, share) = quotas.take(&self.store, share, now).await?;
        let token = MailLoginToken::new(random::alphanumeric(TOKEN_CHARS));
        let order = self.letter_to(mailbox, locale, &token, source);
        let unit = async move |tx: &mut Tx| order.send(tx, share).await;
        if let Err(e) = self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await {
            taken.give_back(&self.store).await;
            return Err(e.into());
        }
        Ok(Mailed::Sent(token))
    }

    /// Whether there is room for a mail, and for whom it would be. Without a lock: who is over a limit holds nobody up, and
    /// writes nothing.
    async fn look_for_room(
        &self,
        quotas: Quotas,
        address: Email,
        now: Timestamp,
    ) -> Result<(Share, Quotas), Error> {
        let is_open = self.config.accounts.registration != Registration::Closed;
        let looking = async move |tx: &mut Tx| {
            mail::check_room(tx).await?;
            let for_all = quotas.look(tx, now).await?;
            let has_account = !accounts::by_address(tx, address.key()).await?.is_empty();
            Ok((for_all, has_account, quotas))
        };
        let (for_all, has_account, quotas) =
            self.store.read(move |tx| Box::pin(async move { looking(tx).await })).await?;
        let share = match (has_account, for_all? && is_open) {
            (true, _) => Share::Owner,
            (false, true) => Share::General,
            (false, false) => Share::Nobody,
        };
        Ok((share, quotas))
    }

    fn letter_to(&self, mailbox: Mailbox, locale: &str, token: &MailLoginToken, source: IpAddr) -> Order {
        let language = Language::from_tag(locale).unwrap_or_default();
        let (words, hash) = (MailedWords::new(words::three(language)), hash_of(token.expose()));
        let kept = words_hash(&self.root, &hash, &words);
        let (now, ttl) = (self.now(), self.config.mail_code.ttl);
        Order {
            hash,
            login: MailLogin { words: kept, email: mailbox.address, language, tries: 0 },
            words,
            minutes: ttl.as_secs().div_ceil(60),
            expires_at: now.plus(ttl),
            source: source.to_string(),
            now,
        }
    }

    /// Takes words for what they buy. They are spent by that; a wrong try is counted against them, the third ends them.
    ///
    /// # Errors
    /// `WrongWords` while they may be tried again; `NoMailLogin` for the last wrong try and for a token that is unknown,
    /// used or expired, all alike; `TooManyRequests`; `Busy`.
    pub(crate) async fn redeem_words(
        &self,
        words: &MailedWords,
        token: &MailLoginToken,
        source: IpAddr,
    ) -> Result<MailAuthToken, Error> {
        let attempt = self.limits.attempt(MAIL_TOKENS_PER_SOURCE, source).await?;
        let hash = hash_of(token.expose());
        let (root, words) = (self.root.clone(), words.clone());
        let proof = MailAuthToken::new(random::alphanumeric(TOKEN_CHARS));
        let (proof_hash, now) = (hash_of(proof.expose()), self.now());
        let (expires_at, from) = (now.plus(self.config.mail_code.auth_ttl), source.to_string());
        let unit = async move |tx: &mut Tx| {
            let Some(login) = mail_logins::begin_try(tx, &hash, now).await? else {
                lapse::note(tx, lapse::Redeemable::Words(hash), now).await?;
                return Ok(None);
            };
            let is_right = are_words(&root, &hash, &words, &login.words) && login.tries <= TRIES;
            let outcome = match (is_right, login.tries) {
                (true, _) => {
                    let MailLogin { email, language, .. } = login;
                    let auth = MailAuth { email, language, bound_to: None, tries: 0, expires_at };
                    mail_logins::insert_auth(tx, &proof_hash, &auth).await?;
                    Ok(())
                }
                (false, tries) if tries < TRIES => Err(Error::WrongWords),
                (false, _) => Err(Error::NoMailLogin),
            };
            if outcome != Err(Error::WrongWords) {
                mail_logins::end(tx, &hash).await?;
            }
            let entry = entry("words", outcome.as_ref().map_or_else(Error::code, |()| audit::OK), &from);
            audit::record(tx, entry, now).await?;
            Ok(Some(outcome))
        };
        let tried = self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await;
        attempt.settle(matches!(tried, Ok(None)));
        match tried? {
            Some(outcome) => outcome.map(|()| proof),
            None => Err(Error::NoMailLogin),
        }
    }
}

pub(super) fn hash_of(token: &str) -> Hash {
    digest(token.as_bytes())
}

/// Words on their way to an address.
struct Order {
    hash: Hash,
    login: MailLogin,
    words: MailedWords,
    minutes: u64,
    expires_at: Timestamp,
    source: String,
    now: Timestamp,
}

impl Order {
    /// Promises the mail and keeps its words' hash: both, or neither.
    async fn send(self, tx: &mut Tx, share: Share) -> Result<(), store::Error> {
        let letter =
            Letter::Words { words: self.words.expose(), minutes: self.minutes, source: &self.source };
        let language = self.login.language;
        let outcome = match share {
            Share::Owner | Share::General => {
                mail::post(tx, letter, self.login.email.as_given(), language, self.now).await?;
                "ok"
            }
            Share::Nobody => {
                mail::pretend(tx, letter, language, self.now).await?;
                "not_sent"
            }
        };
        // For words that were not sent, too: they are tried in vain, like wrong ones.
        mail_logins::insert(tx, &self.hash, &self.login, self.expires_at).await?;
        let entry = entry("words.mail", outcome, &self.source);
        audit::record_named(tx, entry, self.login.email.key(), self.now).await
    }
}

/// The address belongs to no account yet.
fn entry<'a>(event: &'static str, outcome: &'static str, source: &'a str) -> audit::Entry<'a> {
    audit::Entry { event, outcome, account: None, device: None, pairing: None, source }
}
