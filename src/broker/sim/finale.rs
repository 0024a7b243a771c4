//! After the storm: faults end, time moves on by a little, browsers come back, and every promise must have been kept.

use std::rc::Rc;
use std::time::Duration;

use super::line::{Line, Who};
use super::run::Run;
use super::witness::{Told, short};
use super::world::TICKET_TTL;
use crate::domain::pairing::State;
use crate::domain::time::Timestamp;
use crate::store::pairings::Stored;

const ROUND: Duration = Duration::from_millis(500);
/// How far clocks may be apart.
const APART: Duration = Duration::from_secs(6);

impl Run<'_> {
    pub(super) async fn end(&mut self) {
        self.note("-- faults end");
        for node in 0..self.nodes.len() {
            if self.nodes[node].broker.is_none() {
                self.start(node);
            }
            self.cut_off(node, false);
        }
        for line in self.lines.clone().iter().filter(|line| line.is_cut.get() && !line.is_closed.get()) {
            self.notice_cut(line);
        }
        self.rounds(4).await;
        self.check_waiting();
        self.check_screens(false);
        self.answer_in_calm().await;
        self.come_back().await;
        self.exchange_all().await;
        if self.is_broken() {
            return;
        }
        self.note("-- all time is over");
        self.wait(Duration::from_secs(90)).await;
        self.rounds(6).await;
        self.check_waiting();
        self.check_screens(true);
        self.check_ends();
    }

    async fn rounds(&mut self, rounds: u32) {
        self.rest().await;
        for _ in 0..rounds {
            if self.is_broken() {
                return;
            }
            self.wait(ROUND).await;
            self.rest().await;
        }
    }

    /// Until nothing is left to do.
    async fn rest(&mut self) {
        for _ in 0..20_000 {
            let ready: Vec<usize> = (0..self.ops.len()).filter(|op| self.ops[*op].is_ready()).collect();
            if self.is_broken() || (ready.is_empty() && self.bus_is_idle()) {
                return;
            }
            self.steps += 1;
            if ready.is_empty() || (!self.bus_is_idle() && self.chance.percent(30)) {
                self.bus(false);
            } else if let Some(op) = self.chance.one_of(&ready) {
                self.go_on(op, false).await;
            }
        }
        self.witness.borrow_mut().check(false, || "it never comes to rest".to_owned());
    }

    /// No browser waits on a socket for what is over.
    fn check_waiting(&self) {
        for line in self.lines.iter().filter(|line| line.is_open()) {
            let Some(wait) = line.holds.get() else { continue };
            let mut witness = self.witness.borrow_mut();
            let state = witness.waits[wait].row.as_ref().map(|row| row.pairing.state.clone());
            let goes_on = match &state {
                Some(State::Answered(_)) => false,
                // Over by another node's clock, and not yet by the one where it waits.
                Some(State::Expired) => {
                    let ends = witness.waits[wait].ends;
                    self.world.latest().plus(APART) >= ends && self.may_go_on(ends)
                }
                Some(State::Asked(ask)) => self.may_go_on(ask.expires_at),
                Some(State::Ready) | None => true,
            };
            witness.check(goes_on, || {
                format!("W{wait}: line {} waits and was not told of {state:?}", line.number)
            });
        }
    }

    fn may_go_on(&self, until: Timestamp) -> bool {
        self.world.latest() < until.plus(APART)
    }

    /// No ask outlives its time.
    fn check_ends(&self) {
        let mut witness = self.witness.borrow_mut();
        for wait in 0..witness.waits.len() {
            let row = witness.waits[wait].row.clone();
            let is_over = !matches!(row.as_ref().map(|row| &row.pairing.state), Some(State::Asked(_)));
            witness.check(is_over, || format!("W{wait}: nobody has ended it: {}", short(row.as_ref())));
        }
    }

    /// Without faults an answer is where its browser waits before any time goes by: it is rung, not found.
    async fn answer_in_calm(&mut self) {
        let waits = self.witness.borrow().waits.len();
        for wait in 0..waits {
            let row = self.witness.borrow().waits[wait].row.clone();
            let Some(Stored { pairing, holder, .. }) = row else { continue };
            let tag = holder.unwrap_or(pairing.id.tag());
            let is_there = |line: &&Rc<Line>| {
                line.is_open() && line.holds.get() == Some(wait) && self.nodes[line.node].tag == tag
            };
            let browser = self.lines.iter().find(is_there).cloned();
            let shows = |line: &&Rc<Line>| {
                line.is_open() && line.screen.borrow().iter().any(|s| (s.0, s.1) == (wait, pairing.asks))
            };
            let phone = self.lines.iter().find(shows).cloned();
            let (Some(browser), Some(phone)) = (browser, phone) else { continue };
            self.answer_from(&phone, wait, pairing.id);
            self.rest().await;
            let mut witness = self.witness.borrow_mut();
            let is_answered = witness.answer(wait).is_some_and(|answer| answer.approved);
            witness.check(!is_answered || !browser.is_open(), || format!("W{wait}: was not rung"));
        }
    }

    /// Phones show what is asked, and nothing else. What is over by its own clock a phone takes off by itself, but in the
    /// end everybody is told.
    fn check_screens(&self, is_the_end: bool) {
        for line in self.lines.iter().filter(|line| line.is_open() && line.is_phone.get()) {
            let Who::Phone(person, _) = line.who else { continue };
            let mut witness = self.witness.borrow_mut();
            let account = witness.people[person].account.id;
            for (wait, number, ends) in line.screen.borrow().iter().copied() {
                let row = witness.waits[wait].row.clone();
                let stands = row.as_ref().is_some_and(|row| {
                    row.pairing.asks == number
                        && matches!(row.pairing.state, State::Asked(ask) if ask.account == account)
                });
                let is_past = (self.world.latest() >= ends && !is_the_end)
                    || line.rung_late.borrow().contains(&(wait, number));
                witness.check(stands || is_past, || {
                    format!("W{wait}: line {} still shows ask {number}: {}", line.number, short(row.as_ref()))
                });
            }
            for wait in 0..witness.waits.len() {
                let Some(row) = witness.waits[wait].row.clone() else { continue };
                let State::Asked(ask) = row.pairing.state else { continue };
                let is_new = ask.account == account && self.world.latest().plus(APART) < ask.expires_at;
                let was_shown = line.has_shown.borrow().contains(&(wait, row.pairing.asks));
                witness.check(!is_new || was_shown, || {
                    format!("W{wait}: ask {} was never shown on line {}", row.pairing.asks, line.number)
                });
            }
        }
    }

    /// Every browser that has not heard its last word comes back with its last secret.
    async fn come_back(&mut self) {
        let waits = self.witness.borrow().waits.len();
        for wait in 0..waits {
            if self.is_broken() {
                return;
            }
            let is_there = self.lines.iter().any(|line| line.is_open() && line.holds.get() == Some(wait));
            let comes = {
                let one = &self.witness.borrow().waits[wait];
                !one.is_given_up && matches!(one.told, None | Some(Told::Code(_)))
            };
            if !comes || is_there {
                continue;
            }
            let before = self.witness.borrow_mut().waits[wait].told.take();
            if self.resume(wait, false).is_none() {
                continue;
            }
            self.rest().await;
            self.check_told(wait, before);
        }
    }

    fn check_told(&self, wait: usize, before: Option<Told>) {
        let mut witness = self.witness.borrow_mut();
        let (told, answer) = (witness.waits[wait].told.clone(), witness.answer(wait));
        let (redeemed, killed) = (witness.waits[wait].redeemed, witness.waits[wait].is_killed);
        if before.is_some() && told.is_some() {
            witness.check(before == told, || format!("W{wait}: told twice, and not the same"));
        }
        if let Some(answer) = answer {
            let in_time = self.world.latest() < answer.at.plus(TICKET_TTL).minus(APART);
            let is_due = in_time && (!answer.approved || (redeemed == 0 && !killed));
            let right =
                if answer.approved { matches!(told, Some(Told::Code(_))) } else { told == Some(Told::No) };
            witness.check(right || !is_due, || {
                format!("W{wait}: came back in time and was told {told:?} instead of {answer:?}")
            });
        }
        if told.is_none() {
            witness.waits[wait].told = before;
        }
    }

    /// Every code is exchanged by several at once: one of them gets the token, if nobody got it before.
    async fn exchange_all(&mut self) {
        let waits = self.witness.borrow().waits.len();
        for wait in 0..waits {
            if self.is_broken() {
                return;
            }
            let told = self.witness.borrow().waits[wait].told.clone();
            let (Some(Told::Code(code)), Some(owner)) = (told, self.owner(wait)) else { continue };
            let (before, killed) = {
                let one = &self.witness.borrow().waits[wait];
                (one.redeemed, one.is_killed)
            };
            let stranger = (owner + 1) % self.world.people.len();
            let foreign = self.exchange(wait, &code, stranger);
            let own = [(); 3].map(|()| self.exchange(wait, &code, owner));
            self.rest().await;
            let answer = self.witness.borrow().answer(wait);
            let in_time = answer.is_some_and(|a| self.world.latest() < a.at.plus(TICKET_TTL).minus(APART));
            let got = own.iter().filter(|got| got.get()).count();
            let mut witness = self.witness.borrow_mut();
            witness.check(!foreign.get(), || format!("W{wait}: person {stranger} got a token for it"));
            let due = usize::from(before == 0 && !killed);
            let right = if in_time { got == due } else { got <= due };
            witness.check(right, || format!("W{wait}: {got} tokens instead of {due}"));
        }
    }

    /// The last lines of what happened.
    pub(super) fn history(&self, lines: usize) -> String {
        let witness = self.witness.borrow();
        let skip = witness.history.len().saturating_sub(lines);
        let mut text = witness.history[skip..].join("\n  ");
        for (wait, id) in witness.ids() {
            text = text.replace(&id.to_string(), &format!("W{wait}"));
        }
        text
    }

    /// What was taken away from people in this seed is missing in the next: they don't come again.
    pub(super) fn hand_back(&mut self) {
        for (person, seen) in self.world.people.iter_mut().zip(&self.witness.borrow().people) {
            person.is_spoilt |= seen.is_spoilt;
        }
    }
}
