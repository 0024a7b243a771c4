//! The login session's actor: the browser that waits. The socket's own task drives it; the store decides.

use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::mailbox::{Mailbox, Notice};
use super::phones::end_if_late;
use super::registry::Guard;
use crate::auth::{AskView, Asked, Ended, Error, Outcome};
use crate::bus::{Message, Reason, Resolved, Scan};
use crate::crypto::random;
use crate::domain::ids::{AccountId, PairingId};
use crate::domain::pairing::{Asker, Browser, Pairing, State};
use crate::domain::secret::{ResumeSecret, Ticket};
use crate::store::pairings::Stored;
use crate::store::signals::Dropped;

/// A browser that waits for an approval.
#[derive(Debug)]
pub(crate) struct BrowserSession {
    stored: Stored,
    mailbox: Arc<Mailbox>,
    guard: Guard,
}

/// What a waiting browser has to be told now.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Wait,
    /// Approved, with the one-time code; the last word.
    Approved(Ticket),
    /// Refused; the last word.
    Refused,
    /// Over; the last word.
    Expired,
}

impl BrowserSession {
    /// Begins a pairing.
    pub(crate) fn open(broker: &Broker, browser: Browser, mailbox: &Arc<Mailbox>) -> Result<Self, Error> {
        let id = PairingId::new(random::bytes(), broker.bus.tag());
        let expires_at = broker.auth.clock.now().plus(broker.auth.config.pairing.ttl);
        let stored = Stored { pairing: Pairing::ready(id, browser, expires_at), resumes: 0, holder: None };
        Self::hold(broker, stored, mailbox).ok_or_else(|| Error::internal("a pairing id was drawn twice"))
    }

    /// Takes a pairing over from a socket that was lost, on this or another node.
    ///
    /// # Errors
    /// `Expired`, alike for an unknown uuid, a wrong or used secret, and a pairing that is over.
    pub(crate) async fn resume(
        broker: &Broker,
        id: PairingId,
        secret: &ResumeSecret,
        ip: String,
        mailbox: &Arc<Mailbox>,
    ) -> Result<(Self, Verdict), Error> {
        let token = broker.auth.read_resume_secret(id, secret).ok_or(Error::Expired)?;
        let here = broker.bus.tag();
        let found = broker.auth.resume(token.clone(), ip.clone(), here).await;
        if matches!(found, Err(Error::Expired)) {
            end_if_late(broker, id).await?;
        }
        let found = found?;
        let (stored, outcome, before) = match found {
            Some(found) => found,
            None if broker.auth.clock.now() < token.expires_at => {
                (token.fresh(ip, None), Outcome::Waiting, here)
            }
            None => return Err(Error::Expired),
        };
        let verdict = Verdict::from(outcome);
        let resumes = stored.resumes;
        let session = Self::hold(broker, stored, mailbox).ok_or(Error::Expired)?;
        if before != here {
            broker.bus.send(Message::TakenOver { pairing: id, resumes, holder: before });
        }
        // An answer between the look at the store and the place in the registry woke nobody: look once more.
        mailbox.push(Notice::Settled);
        Ok((session, verdict))
    }

    pub(crate) fn id(&self) -> PairingId {
        self.stored.pairing.id
    }

    /// Whether somebody was asked and has not answered.
    pub(crate) fn is_asked(&self) -> bool {
        matches!(self.stored.pairing.state, State::Asked(_))
    }

    /// What lets this browser come back.
    pub(crate) fn resume_secret(&self, broker: &Broker) -> ResumeSecret {
        broker.auth.resume_secret(&self.stored)
    }

    /// How long what it waits for may still come.
    pub(crate) fn time_left(&self, broker: &Broker) -> Duration {
        self.stored.pairing.deadline().map(|end| end.since(broker.auth.clock.now())).unwrap_or_default()
    }

    /// Asks an account's phones; the password was proven by the caller.
    ///
    /// # Errors
    /// `AlreadyAnswered`, `Expired`, `Disabled`.
    pub(crate) async fn ask(&mut self, broker: &Broker, account: AccountId) -> Result<(), Error> {
        let asked = broker.auth.ask(self.stored.clone(), account, Asker::Browser).await?;
        self.asked(broker, asked);
        Ok(())
    }

    /// Takes the ask of a phone that scanned the uuid.
    ///
    /// # Errors
    /// `AlreadyAsked`, `AlreadyAnswered`, `Expired`, `Disabled`.
    pub(crate) async fn scanned(&mut self, broker: &Broker, scan: Scan) -> Result<AskView, Error> {
        if scan.pairing != self.id() {
            // It was put to the pairing that this socket waited on before.
            return Err(Error::Expired);
        }
        let asked = broker.auth.ask(self.stored.clone(), scan.account, Asker::Phone).await?;
        self.asked(broker, asked).ok_or_else(|| Error::internal("a scanned ask is always shown"))
    }

    /// Gives the pairing up: the browser begins another one.
    ///
    /// # Errors
    /// `Busy` when the store is away; then the ask ends with its time.
    pub(crate) async fn abandon(self, broker: &Broker) -> Result<(), Error> {
        if self.is_asked()
            && let Some(Ended { account, number, .. }) = broker.auth.abandon(self.id()).await?
        {
            broker.resolve(account, self.id(), number, Reason::Gone);
        }
        Ok(())
    }

    /// Looks at the store after a wake-up, or when the deadline has come.
    ///
    /// # Errors
    /// `Busy` when the store is away; the session goes on and looks again soon.
    pub(crate) async fn settle(&mut self, broker: &Broker) -> Result<Verdict, Error> {
        let looked = self.look(broker).await;
        if !self.guard.is_held() {
            // The socket that took it over is told; this one hears of that in a moment.
            return Ok(Verdict::Wait);
        }
        if matches!(looked, Ok(Verdict::Wait)) {
            self.watch_deadline(broker);
        } else if looked.is_err() {
            self.mailbox.set_due(Some(broker.auth.clock.uptime() + Duration::from_secs(1)));
        }
        looked
    }

    async fn look(&mut self, broker: &Broker) -> Result<Verdict, Error> {
        let id = self.id();
        let is_late = self.time_left(broker).is_zero();
        if is_late && !self.is_asked() {
            return Ok(Verdict::Expired);
        }
        if is_late && let Some(Ended { account, number, .. }) = broker.auth.expire(id, Dropped::Ended).await?
        {
            broker.resolve(account, id, number, Reason::Expired);
        }
        match broker.auth.outcome(id).await? {
            Some((pairing, outcome)) => {
                self.stored.pairing = pairing;
                Ok(Verdict::from(outcome))
            }
            // Nobody was asked; or the account is gone, and with it everything that was asked of it.
            None if self.is_asked() => Ok(Verdict::Expired),
            None => Ok(Verdict::Wait),
        }
    }

    fn asked(&mut self, broker: &Broker, asked: Asked) -> Option<AskView> {
        self.stored.pairing = asked.pairing;
        self.watch_deadline(broker);
        if let Some((account, number)) = asked.replaced {
            broker.resolve(account, self.id(), number, Reason::Replaced);
        }
        if let Some(view) = &asked.view {
            broker.bus.send(Message::Ask(Arc::new(view.clone())));
        }
        asked.view
    }

    fn hold(broker: &Broker, stored: Stored, mailbox: &Arc<Mailbox>) -> Option<Self> {
        let ends = stored.pairing.expires_at.since(broker.auth.clock.now());
        let until = broker.auth.clock.uptime() + ends;
        let guard = broker.registry.hold(stored.pairing.id, mailbox, stored.resumes, until)?;
        let session = Self { stored, mailbox: mailbox.clone(), guard };
        session.watch_deadline(broker);
        Some(session)
    }

    fn watch_deadline(&self, broker: &Broker) {
        self.mailbox.set_due(Some(broker.auth.clock.uptime() + self.time_left(broker)));
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Waiting => Self::Wait,
            Outcome::Approved(ticket) => Self::Approved(ticket),
            Outcome::Refused => Self::Refused,
            Outcome::Over => Self::Expired,
        }
    }
}

impl Broker {
    /// Takes an ask off the phones that show it, other than by an answer.
    pub(super) fn resolve(&self, account: AccountId, pairing: PairingId, number: u32, reason: Reason) {
        let resolved = Resolved { account, pairing, number, reason, approved: false };
        self.bus.send(Message::Resolved(Arc::new(resolved)));
    }
}
