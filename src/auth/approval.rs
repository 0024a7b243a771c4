//! Approvals: asking an account's phones, taking their answer, and what to tell the browser that waits. The row in
//! the store decides; whoever is told afterwards is told what was committed.

use super::{Auth, Error};
use crate::crypto::root::RootKeys;
use crate::crypto::seal::{base64url, digest};
use crate::domain::ids::{AccountId, DeviceId, NodeTag, PairingId};
use crate::domain::pairing::{Answer, Asker, Browser, Effect, Event, Pairing, State};
use crate::domain::secret::Ticket;
use crate::domain::source::network;
use crate::domain::time::Timestamp;
use crate::store::pairings::{self, News, Stored};
use crate::store::sessions::Live;
use crate::store::signals::{self, Dropped, Signal};
use crate::store::{self, Tx, accounts, audit, devices, hits, lapse, sessions, tickets};

/// The time within which an account's asks are counted (docs/protocol.md, "Limits of asks").
const ASKS_WINDOW: std::time::Duration = std::time::Duration::from_secs(600);

/// The outcome in the audit trail of an answer that the same phone had given before: it decides nothing.
const REPEATED: &str = "repeated";

/// What a phone shows of an ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AskView {
    pub(crate) pairing: PairingId,
    /// Which ask of this pairing.
    pub(crate) number: u32,
    pub(crate) account: AccountId,
    pub(crate) browser: Browser,
    pub(crate) asked_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// What asking led to.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) pairing: Pairing,
    /// For the phones; `None` when the ask is beyond a limit and no phone may see it.
    pub(crate) view: Option<AskView>,
    /// The account whose ask this one replaced, and that ask's number.
    pub(crate) replaced: Option<(AccountId, u32)>,
}

/// What a browser that waits, or comes back, has to be told.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Nothing yet.
    Waiting,
    /// The one-time code.
    Approved(Ticket),
    Refused,
    /// It is over, or was never there, or its code is used: all alike.
    Over,
}

/// A phone's answer that is committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided {
    /// Which ask of the pairing it answers.
    pub(crate) number: u32,
    /// The node on which the pairing's browser waits.
    pub(crate) holder: NodeTag,
    /// False when the same phone said the same before.
    pub(crate) is_new: bool,
}

/// An ask that ended without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) account: AccountId,
    pub(crate) number: u32,
    /// The node on which the pairing's browser waits.
    pub(crate) holder: NodeTag,
}

impl AskView {
    fn of(pairing: &Pairing) -> Option<Self> {
        let State::Asked(ask) = &pairing.state else { return None };
        ask.shown.then(|| Self {
            pairing: pairing.id,
            number: pairing.asks,
            account: ask.account,
            browser: pairing.browser.clone(),
            asked_at: ask.asked_at,
            expires_at: ask.expires_at,
        })
    }
}

impl Auth {
    /// Asks the phones of `account` about a pairing, and returns once that is committed.
    ///
    /// # Errors
    /// What [`Pairing::apply`] refuses; `Disabled`.
    pub(crate) async fn ask(&self, fresh: Stored, account: AccountId, by: Asker) -> Result<Asked, Error> {
        let order = AskOrder {
            fresh,
            account,
            by,
            ttl: self.config.pairing.ask_ttl,
            limit: self.limits.scaled(self.config.pairing.asks_per_account),
            refusal_wait: self.limits.scaled_wait(self.config.pairing.refusal_wait),
            now: self.now(),
        };
        let id = order.fresh.pairing.id;
        let asked = self.store.write(move |tx| Box::pin(order.place(tx))).await?;
        if matches!(asked, Err(Error::Expired)) {
            self.expire(id, Dropped::Ended).await?;
        }
        asked
    }

    /// Takes a phone's answer, or its repeat; once this returns, the decision is committed.
    ///
    /// # Errors
    /// What [`Pairing::apply`] refuses; `UnknownDevice` for a device that may not approve.
    pub(crate) async fn answer(
        &self,
        phone: &Live,
        id: PairingId,
        approved: bool,
        source: std::net::IpAddr,
    ) -> Result<Decided, Error> {
        let order = AnswerOrder {
            id,
            session: phone.id,
            account: phone.account,
            device: phone.device,
            approved,
            ticket_ttl: self.config.ticket.ttl,
            refusal_wait: self.config.pairing.refusal_wait,
            root: self.root.clone(),
            source: source.to_string(),
            now: self.now(),
        };
        self.store.write(move |tx| Box::pin(order.place(tx))).await?
    }

    /// Ends a pairing's ask whose time is over; the ask that ended by this call, if any.
    pub(crate) async fn expire(&self, id: PairingId, how: Dropped) -> Result<Option<Ended>, Error> {
        self.end(id, Event::Expire, how).await
    }

    /// Ends a pairing that its browser gave up; the ask that ended by this call, if any.
    pub(crate) async fn abandon(&self, id: PairingId) -> Result<Option<Ended>, Error> {
        self.end(id, Event::Abandon, Dropped::Gone).await
    }

    async fn end(&self, id: PairingId, event: Event, how: Dropped) -> Result<Option<Ended>, Error> {
        let now = self.now();
        let unit = async move |tx: &mut Tx| {
            let step = pairings::apply(tx, id, None, event, now).await?;
            let Some(Ok((stored, Effect::Expired { ask: Some(ask) }))) = step else { return Ok(None) };
            let (account, number) = (ask.account, stored.pairing.asks);
            dropped(tx, id, account, number, how, now).await?;
            Ok(Some(Ended { account, number, holder: stored.holder() }))
        };
        Ok(self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// How a pairing stands, and what to tell its browser; `None` when it has no row.
    pub(crate) async fn outcome(&self, id: PairingId) -> Result<Option<(Pairing, Outcome)>, Error> {
        let (now, root, told_for) = (self.now(), self.root.clone(), self.config.ticket.ttl);
        let unit = async move |tx: &mut Tx| {
            let Some(Stored { pairing, .. }) = pairings::load(tx, id).await? else { return Ok(None) };
            let told = outcome(tx, &pairing, &root, now, told_for).await?;
            Ok(Some((pairing, told)))
        };
        Ok(self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// The asks that an account's phones should be showing.
    pub(crate) async fn pending_asks(&self, account: AccountId) -> Result<Vec<AskView>, Error> {
        let now = self.now();
        let pending = self.store.read(move |tx| Box::pin(pairings::pending(tx, account, now))).await?;
        Ok(pending.iter().filter_map(AskView::of).collect())
    }

    /// The node on which a pairing's browser waits, as far as the store and its uuid tell.
    pub(crate) async fn holder(&self, id: PairingId) -> Result<NodeTag, Error> {
        let known = self.store.read(move |tx| Box::pin(pairings::holder(tx, id))).await?;
        Ok(known.unwrap_or(id.tag()))
    }

    /// What was answered and asked since `since`, on whichever node.
    pub(crate) async fn news(&self, since: Timestamp) -> Result<News, Error> {
        Ok(self.store.read(move |tx| Box::pin(pairings::news(tx, since))).await?)
    }

    /// Asks whose end nobody has noticed for two seconds: their browser is gone.
    pub(crate) async fn overdue_asks(&self) -> Result<Vec<PairingId>, Error> {
        let before = self.now().minus(std::time::Duration::from_secs(2));
        Ok(self.store.read(move |tx| Box::pin(pairings::overdue(tx, before))).await?)
    }
}

/// What a pairing's browser has to be told at `now`.
pub(super) async fn outcome(
    tx: &mut Tx,
    pairing: &Pairing,
    root: &RootKeys,
    now: Timestamp,
    told_for: std::time::Duration,
) -> Result<Outcome, store::Error> {
    Ok(match &pairing.state {
        State::Ready if now < pairing.expires_at => Outcome::Waiting,
        State::Asked(ask) if now < ask.expires_at => Outcome::Waiting,
        State::Answered(answer) if answer.approved => {
            live_ticket(tx, tickets_of(root, pairing), now).await?.map_or(Outcome::Over, Outcome::Approved)
        }
        State::Answered(answer) if now < answer.at.plus(told_for) => Outcome::Refused,
        State::Ready | State::Asked(_) | State::Answered(_) | State::Expired => Outcome::Over,
    })
}

/// Makes the end of an approval's code final, for a browser that is refused it as over.
pub(super) async fn note_over(
    tx: &mut Tx,
    pairing: &Pairing,
    root: &RootKeys,
    now: Timestamp,
) -> Result<(), store::Error> {
    for ticket in tickets_of(root, pairing) {
        let hash = digest(ticket.expose().as_bytes());
        lapse::note(tx, lapse::Redeemable::Ticket(hash), now).await?;
    }
    Ok(())
}

/// Lets every node wake its browser and take an ask off its phones whose end they would not see otherwise: a ring may be lost, and a node may
/// crash before it rings.
async fn dropped(
    tx: &mut Tx,
    pairing: PairingId,
    account: AccountId,
    ask: u32,
    how: Dropped,
    now: Timestamp,
) -> Result<(), store::Error> {
    signals::emit(tx, Signal::Dropped { account, pairing, ask, how }, now).await
}

/// Which of these codes can still be exchanged.
async fn live_ticket(
    tx: &mut Tx,
    candidates: Vec<Ticket>,
    now: Timestamp,
) -> Result<Option<Ticket>, store::Error> {
    for ticket in candidates {
        if tickets::is_live(tx, &digest(ticket.expose().as_bytes()), now).await? {
            return Ok(Some(ticket));
        }
    }
    Ok(None)
}

/// The code of a new approval: derived, so that it can be sent again on resume without being kept.
fn ticket_of(root: &RootKeys, pairing: &Pairing) -> Ticket {
    Ticket::new(base64url(&root.mac("ticket", &[pairing.id.0.as_bytes(), &pairing.asks.to_be_bytes()])))
}

/// The codes that an approval may have got: by the root key of today, or by one before a rotation.
fn tickets_of(root: &RootKeys, pairing: &Pairing) -> Vec<Ticket> {
    let macs = root.macs("ticket", &[pairing.id.0.as_bytes(), &pairing.asks.to_be_bytes()]);
    macs.iter().map(|mac| Ticket::new(base64url(mac))).collect()
}

struct AskOrder {
    fresh: Stored,
    account: AccountId,
    by: Asker,
    ttl: std::time::Duration,
    limit: Option<u64>,
    refusal_wait: Option<std::time::Duration>,
    now: Timestamp,
}

impl AskOrder {
    async fn place(self, tx: &mut Tx) -> Result<Result<Asked, Error>, store::Error> {
        let Some(account) = accounts::lock(tx, self.account).await? else {
            return Ok(Err(Error::BadCredentials));
        };
        if account.disabled_at.is_some() {
            return Ok(Err(Error::Disabled));
        }
        let id = self.fresh.pairing.id;
        let shown = self.by == Asker::Phone || self.may_be_shown(tx).await?;
        let event = Event::Ask { account: self.account, by: self.by, shown, ttl: self.ttl };
        let step = pairings::apply(tx, id, Some(self.fresh.clone()), event, self.now).await?;
        let (pairing, effect) = match step {
            Some(Ok((stored, effect))) => (stored.pairing, effect),
            Some(Err(refused)) => return Ok(Err(refused.into())),
            None => return Ok(Err(Error::Expired)),
        };
        self.note(tx, &pairing, shown).await?;
        let replaced = match effect {
            Effect::Asked { replaced } => replaced.map(|ask| (ask.account, pairing.asks - 1)),
            Effect::AskedAgain | Effect::Answered(_) | Effect::AnsweredAgain | Effect::Expired { .. } => None,
        };
        if let Some((account, number)) = replaced {
            dropped(tx, id, account, number, Dropped::Replaced, self.now).await?;
        }
        Ok(Ok(Asked { view: AskView::of(&pairing), pairing, replaced }))
    }

    async fn may_be_shown(&self, tx: &mut Tx) -> Result<bool, store::Error> {
        let since = self.now.minus(ASKS_WINDOW);
        let full = match self.limit {
            Some(limit) => hits::count(tx, &asks_bucket(self.account), since).await? >= limit,
            None => false,
        };
        let refused = match self.refusal_wait {
            Some(wait) => {
                let bucket = refusals_bucket(self.account, &self.fresh.pairing.browser.ip);
                hits::count(tx, &bucket, self.now.minus(wait)).await? > 0
            }
            None => false,
        };
        Ok(!full && !refused)
    }

    async fn note(&self, tx: &mut Tx, pairing: &Pairing, shown: bool) -> Result<(), store::Error> {
        if shown && self.by == Asker::Browser {
            let bucket = asks_bucket(self.account);
            hits::add(tx, &bucket, Some(self.account), self.now, self.now.plus(ASKS_WINDOW)).await?;
        }
        let entry = audit::Entry {
            event: "ask",
            outcome: if shown { "ok" } else { "beyond_limit" },
            account: Some(self.account),
            device: None,
            pairing: Some(pairing.id),
            source: &pairing.browser.ip,
        };
        audit::record(tx, entry, self.now).await
    }
}

struct AnswerOrder {
    id: PairingId,
    session: crate::domain::ids::SessionId,
    account: AccountId,
    device: DeviceId,
    approved: bool,
    ticket_ttl: std::time::Duration,
    refusal_wait: std::time::Duration,
    root: RootKeys,
    source: String,
    now: Timestamp,
}

impl AnswerOrder {
    async fn place(self, tx: &mut Tx) -> Result<Result<Decided, Error>, store::Error> {
        // Under the account's lock: a revocation is either seen here or comes after the answer.
        accounts::lock(tx, self.account).await?;
        if sessions::live(tx, self.session, self.now).await?.is_none() {
            return Ok(Err(Error::NotAuthenticated));
        }
        if !devices::may_approve(tx, self.account, self.device).await? {
            return Ok(Err(Error::UnknownDevice));
        }
        let event = Event::Answer { account: self.account, device: self.device, approved: self.approved };
        let step = pairings::apply(tx, self.id, None, event, self.now).await?;
        let is_known = step.is_some();
        let outcome = match step {
            None => Err(Error::Expired),
            Some(Err(refused)) => Err(refused.into()),
            Some(Ok((stored, effect))) => {
                let is_new = matches!(effect, Effect::Answered(_));
                if let Effect::Answered(answer) = effect {
                    self.settle(tx, &stored.pairing, answer).await?;
                }
                Ok(Decided { number: stored.pairing.asks, holder: stored.holder(), is_new })
            }
        };
        self.record(tx, &outcome, is_known).await?;
        Ok(outcome)
    }

    async fn settle(&self, tx: &mut Tx, pairing: &Pairing, answer: Answer) -> Result<(), store::Error> {
        if !answer.approved {
            let bucket = refusals_bucket(self.account, &pairing.browser.ip);
            let until = self.now.plus(self.refusal_wait);
            return hits::add(tx, &bucket, Some(self.account), self.now, until).await.map(drop);
        }
        hits::clear(tx, &asks_bucket(self.account)).await?;
        let ticket = tickets::New {
            hash: digest(ticket_of(&self.root, pairing).expose().as_bytes()),
            account: self.account,
            device: self.device,
            pairing: pairing.id,
            expires_at: self.now.plus(self.ticket_ttl),
        };
        tickets::insert(tx, ticket, self.now).await
    }

    /// An answer about a pairing that is not there is counted and leaves no row: its phone can make up as many as it likes.
    async fn record(
        &self,
        tx: &mut Tx,
        outcome: &Result<Decided, Error>,
        is_known: bool,
    ) -> Result<(), store::Error> {
        let entry = audit::Entry {
            event: if self.approved { "approve" } else { "refuse" },
            outcome: match outcome {
                Ok(decided) if decided.is_new => audit::OK,
                Ok(_) => REPEATED,
                Err(e) => e.code(),
            },
            account: Some(self.account),
            device: Some(self.device),
            pairing: Some(self.id),
            source: &self.source,
        };
        if is_known {
            audit::record(tx, entry, self.now).await
        } else {
            audit::count(tx, entry);
            Ok(())
        }
    }
}

fn asks_bucket(account: AccountId) -> String {
    format!("ask/{account}")
}

fn refusals_bucket(account: AccountId, ip: &str) -> String {
    let network = ip.parse().map_or_else(|_| ip.to_owned(), |ip| network(ip).to_string());
    format!("refused/{account}/{network}")
}
