//! The state machine of one pairing: a browser waits, an account is asked, a phone answers.
//!
//! ```text
//! Ready ──ask──▶ Asked ──answer──▶ Answered
//!   │            │ │ ▲
//!   │            │ └─┘ ask, by the browser itself: replaces
//!   └────────────┴──expire, abandon──▶ Expired
//! ```
//!
//! `Err` means unchanged. The rules are in docs/protocol.md, "The socket".

use std::time::Duration;

use super::ids::{AccountId, DeviceId, PairingId};
use super::time::Timestamp;

/// What a waiting browser says of itself, fit to be shown, and the address the server saw.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Browser {
    /// Its operating system, as claimed.
    pub os: String,
    /// Its name, as claimed.
    pub browser: String,
    /// Where it claims to be.
    pub location: String,
    /// The address it connected from, as seen.
    pub ip: String,
}

/// One browser's wait for an approval.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pairing {
    /// Its name.
    pub id: PairingId,
    /// Who waits.
    pub browser: Browser,
    /// When it ends unless somebody is asked by then.
    pub expires_at: Timestamp,
    /// How often somebody was asked.
    pub asks: u32,
    /// Where it stands.
    pub state: State,
}

/// Where a pairing stands; each variant holds exactly its data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Nobody was asked.
    Ready,
    /// An account was asked.
    Asked(Ask),
    /// A phone answered; final.
    Answered(Answer),
    /// Time is over; final, whatever the clock says later.
    Expired,
}

/// A question put to an account's phones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Whose phones.
    pub account: AccountId,
    /// Who brought it about.
    pub by: Asker,
    /// False when it is beyond a limit: then no phone sees it and nobody can answer it.
    pub shown: bool,
    /// When it was put.
    pub asked_at: Timestamp,
    /// When it is over.
    pub expires_at: Timestamp,
}

/// Who asked: the browser itself, or a phone that scanned its uuid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// The browser, with a password.
    Browser,
    /// A phone that is already an approving device of the account.
    Phone,
}

/// A phone's decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The account that was asked and answered.
    pub account: AccountId,
    /// The device that answered.
    pub device: DeviceId,
    /// Yes or no.
    pub approved: bool,
    /// When.
    pub at: Timestamp,
}

/// What happens to a pairing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Somebody asks for a login.
    Ask {
        /// Whose login.
        account: AccountId,
        /// Who asks.
        by: Asker,
        /// Whether phones may see it.
        shown: bool,
        /// How long an ask lives.
        ttl: Duration,
    },
    /// A phone answers.
    Answer {
        /// The account of the verified token.
        account: AccountId,
        /// The device of the verified token.
        device: DeviceId,
        /// Yes or no.
        approved: bool,
    },
    /// Its time may be over.
    Expire,
    /// The browser gave it up for another one.
    Abandon,
}

/// What the caller has to do about a transition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Show the ask to the account's phones, and take the one it replaced away.
    Asked {
        /// The ask that is no longer valid.
        replaced: Option<Ask>,
    },
    /// Show the pending ask once more to the phone that scanned it again.
    AskedAgain,
    /// Tell the browser; if approved, with a ticket.
    Answered(Answer),
    /// Same phone, same answer: nothing changed.
    AnsweredAgain,
    /// Tell the browser, and the phones that showed the ask.
    Expired {
        /// The ask that was pending.
        ask: Option<Ask>,
    },
}

/// Why an event changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Nobody was asked.
    NotAsked,
    /// An ask is pending that this one may not replace.
    AlreadyAsked,
    /// A phone has answered.
    AlreadyAnswered,
    /// Another account was asked.
    WrongAccount,
    /// Time is over.
    Expired,
    /// Time is not over yet.
    NotYet,
}

impl Pairing {
    /// A pairing that nobody was asked about.
    pub fn ready(id: PairingId, browser: Browser, expires_at: Timestamp) -> Self {
        Self { id, browser, expires_at, asks: 0, state: State::Ready }
    }

    /// When its present state ends by itself, if it does.
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Ready => Some(self.expires_at),
            State::Asked(ask) => Some(ask.expires_at),
            State::Answered(_) | State::Expired => None,
        }
    }

    /// One step. A late event loses to the deadline, even when nobody has noticed the deadline yet.
    ///
    /// # Errors
    /// [`Refused`] says why nothing changed.
    pub fn apply(self, event: Event, now: Timestamp) -> Result<(Self, Effect), Refused> {
        match event {
            Event::Ask { account, by, shown, ttl } => {
                let ask = Ask { account, by, shown, asked_at: now, expires_at: now.plus(ttl) };
                self.ask(ask, now)
            }
            Event::Answer { account, device, approved } => {
                self.answer(Answer { account, device, approved, at: now }, now)
            }
            Event::Expire if !self.is_late(now) && self.deadline().is_some() => Err(Refused::NotYet),
            Event::Expire | Event::Abandon => self.end(),
        }
    }

    fn ask(self, ask: Ask, now: Timestamp) -> Result<(Self, Effect), Refused> {
        let late = self.is_late(now);
        let replaced = match &self.state {
            State::Answered(_) => return Err(Refused::AlreadyAnswered),
            State::Expired => return Err(Refused::Expired),
            State::Ready | State::Asked(_) if late => return Err(Refused::Expired),
            State::Ready => None,
            State::Asked(pending) if ask.by == Asker::Browser => Some(*pending),
            State::Asked(pending) if pending.by == Asker::Phone && pending.account == ask.account => {
                return Ok((self, Effect::AskedAgain));
            }
            State::Asked(_) => return Err(Refused::AlreadyAsked),
        };
        let asks = self.asks + 1;
        Ok((Self { state: State::Asked(ask), asks, ..self }, Effect::Asked { replaced }))
    }

    fn answer(self, answer: Answer, now: Timestamp) -> Result<(Self, Effect), Refused> {
        match &self.state {
            State::Ready if self.is_late(now) => Err(Refused::Expired),
            State::Ready => Err(Refused::NotAsked),
            State::Expired => Err(Refused::Expired),
            State::Asked(ask) if ask.account != answer.account => Err(Refused::WrongAccount),
            State::Asked(_) if self.is_late(now) => Err(Refused::Expired),
            State::Asked(ask) if !ask.shown => Err(Refused::NotAsked),
            State::Asked(_) => {
                Ok((Self { state: State::Answered(answer), ..self }, Effect::Answered(answer)))
            }
            State::Answered(first) if first.account != answer.account => Err(Refused::WrongAccount),
            State::Answered(first) if first.device == answer.device && first.approved == answer.approved => {
                Ok((self, Effect::AnsweredAgain))
            }
            State::Answered(_) => Err(Refused::AlreadyAnswered),
        }
    }

    fn end(self) -> Result<(Self, Effect), Refused> {
        let ask = match &self.state {
            State::Answered(_) => return Err(Refused::AlreadyAnswered),
            State::Expired => return Err(Refused::Expired),
            State::Ready => None,
            State::Asked(ask) => Some(*ask),
        };
        Ok((Self { state: State::Expired, ..self }, Effect::Expired { ask }))
    }

    fn is_late(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }
}

#[cfg(test)]
mod tests;
