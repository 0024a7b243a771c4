//! The phones that are online, by account, and what each of them shows.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::Broker;
use super::mailbox::{Mailbox, Notice};
use crate::auth::{AskView, Decided, Ended, Error};
use crate::bus::{Bus, Follow, Message, Reason, Resolved, Scan};
use crate::domain::ids::{AccountId, DeviceId, PairingId};
use crate::domain::secret::AccessToken;
use crate::domain::time::Timestamp;
use crate::store::sessions::Live;
use crate::store::signals::Dropped;

/// How many ended asks a phone's session remembers: notices that overtake each other are close together.
const ENDED_KEPT: usize = 8;

/// All phones of this node.
#[derive(Debug, Default)]
pub(crate) struct Phones {
    by_account: DashMap<AccountId, Online>,
}

/// The phones of one account.
#[derive(Debug)]
struct Online {
    phones: Vec<Arc<Mailbox>>,
    /// This node hears what concerns the account.
    _follow: Follow,
}

impl Phones {
    pub(super) fn tell(&self, account: AccountId, notice: impl Fn() -> Notice) {
        if let Some(online) = self.by_account.get(&account) {
            online.phones.iter().for_each(|phone| phone.push(notice()));
        }
    }

    pub(super) fn tell_all(&self, notice: impl Fn() -> Notice) {
        for online in &self.by_account {
            online.phones.iter().for_each(|phone| phone.push(notice()));
        }
    }

    /// How many accounts have phones here, and how many sockets these are.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.by_account.len(), self.by_account.iter().map(|online| online.phones.len()).sum())
    }

    fn join(self: &Arc<Self>, bus: &Bus, account: AccountId, mailbox: &Arc<Mailbox>) -> Guard {
        let first = || Online { phones: Vec::new(), _follow: bus.follow(account) };
        self.by_account.entry(account).or_insert_with(first).phones.push(mailbox.clone());
        Guard { phones: self.clone(), account, mailbox: mailbox.clone() }
    }
}

/// A phone's place under its account; leaves it when dropped.
#[derive(Debug)]
struct Guard {
    phones: Arc<Phones>,
    account: AccountId,
    mailbox: Arc<Mailbox>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Entry::Occupied(mut online) = self.phones.by_account.entry(self.account) {
            online.get_mut().phones.retain(|phone| !Arc::ptr_eq(phone, &self.mailbox));
            if online.get().phones.is_empty() {
                online.remove();
            }
        }
    }
}

/// A socket that said `ready`.
#[derive(Debug)]
pub(crate) struct PhoneSession {
    live: Live,
    /// The key that signed the token it came in with.
    kid: String,
    /// The asks on this phone's screen: pairing and number.
    shown: Vec<(PairingId, u32)>,
    /// The asks that ended last: one whose notice comes late is not shown any more.
    ended: VecDeque<(PairingId, u32)>,
    _guard: Guard,
}

/// What a look at the session found.
#[derive(Debug)]
pub(crate) enum Recheck {
    /// It goes on; these asks are new on its screen. It may have been stopped from approving.
    Goes { new: Vec<AskView>, was_stopped: bool },
    /// It has ended.
    Ended,
}

impl PhoneSession {
    /// Makes a socket a phone. Also returns a fresh token for it, and the asks that are pending.
    ///
    /// # Errors
    /// `NotAuthenticated`, `UnknownDevice`.
    pub(crate) async fn open(
        broker: &Broker,
        token: &AccessToken,
        mailbox: &Arc<Mailbox>,
        source: IpAddr,
    ) -> Result<(Self, AccessToken, Vec<AskView>), Error> {
        let live = broker.auth.socket_bearer(token.expose()).await?;
        let kid = broker.auth.keyring.kid(token).ok_or(Error::NotAuthenticated)?;
        broker.auth.shows_up(&live, source).await?;
        let fresh = broker.auth.renew(live.id).await?;
        // Registered before the pending asks are read: one that comes in between is seen at least once.
        let guard = broker.phones.join(&broker.bus, live.account, mailbox);
        let mut phone = Self { live, kid, shown: Vec::new(), ended: VecDeque::new(), _guard: guard };
        let pending = phone.pending(broker).await?;
        Ok((phone, fresh, pending))
    }

    /// Whose phone it is.
    pub(crate) fn account(&self) -> AccountId {
        self.live.account
    }

    /// The device that is `ready`.
    pub(crate) fn device(&self) -> DeviceId {
        self.live.device
    }

    /// Whether this device may approve logins.
    pub(crate) fn is_approving(&self) -> bool {
        self.live.approving
    }

    /// Whether the session's end, as this node knows it, has come: then it is looked at again before anything is shown.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        now >= self.live.expires_at
    }

    /// Whether an ask is new on this phone's screen; from then on it is shown.
    pub(crate) fn shows(&mut self, ask: &AskView) -> bool {
        let key = (ask.pairing, ask.number);
        let is_ours = self.live.approving && ask.account == self.live.account;
        // A pairing's asks follow each other: one whose ring comes after its successor was shown is over.
        let is_past = |known: &(PairingId, u32)| known.0 == key.0 && known.1 >= key.1;
        let is_new = is_ours && !self.shown.iter().any(is_past) && !self.ended.iter().any(is_past);
        if is_new {
            self.shown.push(key);
        }
        is_new
    }

    /// Whether an ask was on this phone's screen; from then on it is not.
    pub(crate) fn hides(&mut self, resolved: &Resolved) -> bool {
        let (before, key) = (self.shown.len(), (resolved.pairing, resolved.number));
        self.shown.retain(|shown| *shown != key);
        if !self.ended.contains(&key) {
            self.ended.truncate(ENDED_KEPT - 1);
            self.ended.push_front(key);
        }
        self.shown.len() < before
    }

    /// Looks at the session again after a change of its account, or when a key was revoked.
    pub(crate) async fn recheck(&mut self, broker: &Broker) -> Result<Recheck, Error> {
        if !broker.auth.keyring.has(&self.kid) {
            return Ok(Recheck::Ended);
        }
        let live = broker.auth.live(self.live.id).await?;
        let Some(live) = live else { return Ok(Recheck::Ended) };
        let was_stopped = self.live.approving && !live.approving;
        self.live = live;
        let new = self.pending(broker).await?;
        Ok(Recheck::Goes { new, was_stopped })
    }

    /// Puts the ask of a scanned uuid (2b), as an approving device of the asked account alone.
    ///
    /// # Errors
    /// `NotAuthenticated`, `WrongAccount`, `AlreadyAsked`, `AlreadyAnswered`, `Expired`.
    pub(crate) async fn scan(
        &mut self,
        broker: &Broker,
        pairing: PairingId,
        kind: &str,
        email: &str,
    ) -> Result<AskView, Error> {
        let live = broker.auth.live(self.live.id).await?.ok_or(Error::NotAuthenticated)?;
        self.live = live;
        if !self.live.approving {
            return Err(Error::NotAuthenticated);
        }
        let asked = crate::domain::account::Email::parse(email);
        let own = crate::domain::account::Email::parse(&self.live.email);
        if self.live.kind != kind || asked.as_ref().map(|e| e.key()) != own.as_ref().map(|e| e.key()) {
            return Err(Error::WrongAccount);
        }
        let holder = broker.auth.holder(pairing).await?;
        let put = broker.bus.scan(holder, Scan { pairing, account: self.live.account }).await?;
        let view = match put {
            Some(view) => view,
            // Another node has put it: it stands in the store, or is over already.
            None => {
                let pending = broker.auth.pending_asks(self.live.account).await?;
                pending.into_iter().find(|ask| ask.pairing == pairing).ok_or(Error::Expired)?
            }
        };
        self.shows(&view);
        Ok(view)
    }

    async fn pending(&mut self, broker: &Broker) -> Result<Vec<AskView>, Error> {
        if !self.live.approving {
            return Ok(Vec::new());
        }
        let pending = broker.auth.pending_asks(self.live.account).await?;
        Ok(pending.into_iter().filter(|ask| self.shows(ask)).collect())
    }
}

/// Takes an answer from whoever shows a good token, and returns once it is committed. `phone` is the socket it came
/// over, if that is a phone's: the one that is not told that the ask is over.
///
/// # Errors
/// What [`crate::auth::Auth::answer`] says; `NotAsked` for a pairing that waits and that nobody asked about.
pub(crate) async fn answer(
    broker: &Broker,
    phone: Option<&mut PhoneSession>,
    token: &AccessToken,
    pairing: PairingId,
    approved: bool,
    source: IpAddr,
) -> Result<(), Error> {
    let live = broker.auth.socket_bearer(token.expose()).await?;
    broker.auth.shows_up(&live, source).await?;
    let decided = match broker.auth.answer(&live, pairing, approved, source).await {
        Ok(decided) => decided,
        Err(Error::Expired) => return Err(why_over(broker, pairing).await?),
        Err(refused) => return Err(refused),
    };
    let Decided { number, holder, is_new } = decided;
    if !is_new {
        // Perhaps it is told again because nobody was woken the first time.
        broker.bus.send(Message::Settled { pairing, holder });
        return Ok(());
    }
    let resolved = Resolved { account: live.account, pairing, number, reason: Reason::Answered, approved };
    if let Some(phone) = phone {
        phone.hides(&resolved);
    }
    broker.bus.send(Message::Settled { pairing, holder });
    broker.bus.send(Message::Resolved(Arc::new(resolved)));
    Ok(())
}

/// Why a pairing can't be answered that is over, or that has no row: `Expired`, or `NotAsked` while its browser waits.
async fn why_over(broker: &Broker, pairing: PairingId) -> Result<Error, Error> {
    let holder = broker.auth.holder(pairing).await?;
    if broker.bus.is_held(pairing, holder).await && broker.auth.outcome(pairing).await?.is_none() {
        return Ok(Error::NotAsked);
    }
    end_if_late(broker, pairing).await?;
    Ok(Error::Expired)
}

/// The first to notice the end of a pairing makes it final, whatever the clock says later.
pub(super) async fn end_if_late(broker: &Broker, pairing: PairingId) -> Result<(), Error> {
    if let Some(Ended { account, number, holder }) = broker.auth.expire(pairing, Dropped::Ended).await? {
        broker.resolve(account, pairing, number, Reason::Expired);
        broker.bus.send(Message::Settled { pairing, holder });
    }
    Ok(())
}
