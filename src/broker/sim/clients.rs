//! What clients and operators do next: the seed picks, and whoever is picked says it on a line of theirs.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::line::{Line, Said, Who};
use super::ops::Op;
use super::run::{Kind, Run};
use super::socket::Socket;
use super::witness::{Told, Wait};
use super::world::login;
use crate::auth::operator::{AccountFilter, Change};
use crate::auth::{Credential, First};
use crate::broker::Broker;
use crate::domain::ids::PairingId;
use crate::domain::secret::Ticket;

/// Browsers that begin to wait in one seed, at most.
const WAITS: usize = 4;

impl Run<'_> {
    /// A node that is up.
    fn somewhere(&mut self) -> Option<(usize, Arc<Broker>)> {
        let up: Vec<_> = (0..self.nodes.len())
            .filter_map(|node| self.nodes[node].broker.clone().map(|broker| (node, broker)))
            .collect();
        self.chance.one_of(&up)
    }

    fn connect(&mut self, who: Who) -> Option<Rc<Line>> {
        let (node, broker) = self.somewhere()?;
        let line = Rc::new(Line::new(self.lines.len(), node, who));
        let socket = Socket::new(broker, line.clone(), self.witness.clone());
        self.ops.push(Op::new(Kind::Socket(line.clone()), node, socket.run()));
        self.lines.push(line.clone());
        Some(line)
    }

    fn say(&self, line: &Line, said: Said) {
        self.witness.borrow_mut().said(line, &said);
        line.say(said);
    }

    pub(super) fn act(&mut self) {
        let waits = self.witness.borrow().waits.len();
        match self.chance.below(100) {
            0..14 if waits < WAITS => self.wait_for_login(),
            0..34 => self.ask(),
            34..50 => {
                let wait = self.chance.below(waits.max(1));
                let old = self.chance.percent(30);
                self.resume(wait, old);
            }
            50..58 => {
                let (person, phone) = (self.chance.below(self.people), self.chance.below(self.phones));
                self.connect_phone(person, phone);
            }
            58..82 => self.answer(),
            82..86 => self.scan(),
            86..96 => self.exchange_some(),
            _ if self.has_operator => self.operate(),
            _ => {}
        }
    }

    fn wait_for_login(&mut self) {
        let mut witness = self.witness.borrow_mut();
        witness.waits.push(Wait::default());
        let wait = witness.waits.len() - 1;
        drop(witness);
        // Now and then on a socket that waits already: that wait is given up.
        let old: Vec<_> = self.browsers().into_iter().map(|(line, _)| line).collect();
        let line = if self.chance.percent(10) { self.chance.one_of(&old) } else { None };
        if let Some(held) = line.as_ref().and_then(|line| line.holds.get()) {
            self.witness.borrow_mut().waits[held].is_given_up = true;
        }
        if let Some(line) = line.or_else(|| self.connect(Who::Browser)) {
            self.say(&line, Said::ReadyLogin(wait));
        }
    }

    /// Browsers whose socket is there, with what they wait for.
    fn browsers(&self) -> Vec<(Rc<Line>, usize)> {
        let open = self.lines.iter().filter(|line| line.is_open() && line.is_idle());
        open.filter_map(|line| Some((line.clone(), line.holds.get()?))).collect()
    }

    fn ask(&mut self) {
        let all = self.browsers();
        let Some((line, wait)) = self.chance.one_of(&all) else { return };
        let is_asked = self.witness.borrow().waits[wait].row.is_some();
        if is_asked && self.chance.percent(75) {
            return;
        }
        let account = self.world.people[self.chance.below(self.people)].account.id;
        self.say(&line, Said::Ask { wait, account });
    }

    /// A browser comes back, with its last secret or an older one.
    pub(super) fn resume(&mut self, wait: usize, with_old: bool) -> Option<Rc<Line>> {
        let (id, number, secret, is_old) = {
            let witness = self.witness.borrow();
            let one = witness.waits.get(wait)?;
            let last = one.secrets.len();
            let number = if with_old { 1 + self.chance.below(last.max(1)) } else { last };
            let secret = one.secrets.get(number.checked_sub(1)?)?.clone();
            (one.id?, number, secret, witness.is_replaced(wait, number))
        };
        let line = self.connect(Who::Browser)?;
        self.say(&line, Said::Resume { wait, id, number, secret, is_old });
        Some(line)
    }

    pub(super) fn connect_phone(&mut self, person: usize, phone: usize) {
        let token = self.world.people[person].phones[phone].token.clone();
        if let Some(line) = self.connect(Who::Phone(person, phone)) {
            self.say(&line, Said::Ready { token });
        }
    }

    fn phone(&mut self) -> Option<(Rc<Line>, usize, usize)> {
        let phones = self.lines.iter().filter(|line| line.is_open() && line.is_idle());
        let all: Vec<_> = phones
            .filter_map(|line| match line.who {
                Who::Phone(person, phone) => Some((line.clone(), person, phone)),
                Who::Browser => None,
            })
            .collect();
        self.chance.one_of(&all)
    }

    fn answer(&mut self) {
        let Some((line, person, phone)) = self.phone() else { return };
        let shown: Vec<usize> = line.screen.borrow().iter().map(|shown| shown.0).collect();
        let all: Vec<usize> = self.witness.borrow().ids().into_iter().map(|(wait, _)| wait).collect();
        let wait =
            if self.chance.percent(90) { self.chance.one_of(&shown) } else { self.chance.one_of(&all) };
        let Some(wait) = wait else { return };
        let Some(id) = self.witness.borrow().waits[wait].id else { return };
        let (approved, token) = (self.chance.percent(75), &self.world.people[person].phones[phone].token);
        self.say(&line, Said::Answer { wait, id, approved, token: token.clone() });
    }

    /// A phone says yes.
    pub(super) fn answer_from(&self, line: &Rc<Line>, wait: usize, id: PairingId) {
        let Who::Phone(person, phone) = line.who else { return };
        let token = self.world.people[person].phones[phone].token.clone();
        self.say(line, Said::Answer { wait, id, approved: true, token });
    }

    fn scan(&mut self) {
        let Some((line, person, _)) = self.phone() else { return };
        let all = self.witness.borrow().ids();
        let Some((wait, id)) = self.chance.one_of(&all) else { return };
        let email = self.world.people[person].account.email.as_given().to_owned();
        self.say(&line, Said::Scan { wait, id, email });
    }

    fn exchange_some(&mut self) {
        let mut coded = Vec::new();
        for (wait, one) in self.witness.borrow().waits.iter().enumerate() {
            if let Some(Told::Code(code)) = &one.told {
                coded.push((wait, code.clone()));
            }
        }
        let Some((wait, code)) = self.chance.one_of(&coded) else { return };
        for _ in 0..1 + self.chance.below(3) {
            let own = self.owner(wait).filter(|_| self.chance.percent(80));
            let person = own.unwrap_or_else(|| self.chance.below(self.people));
            self.exchange(wait, &code, person);
        }
    }

    pub(super) fn owner(&self, wait: usize) -> Option<usize> {
        let account = self.witness.borrow().answer(wait)?.account;
        self.world.people.iter().position(|person| person.account.id == account)
    }

    /// A client of `person` has a code exchanged; the cell says whether it got a token.
    pub(super) fn exchange(&mut self, wait: usize, code: &str, person: usize) -> Rc<Cell<bool>> {
        let got = Rc::new(Cell::new(false));
        let Some((node, broker)) = self.somewhere() else { return got };
        self.note(format!("person {person} exchanges the code of W{wait} at {node}"));
        let email = self.world.people[person].account.email.as_given().to_owned();
        let (ticket, witness, told) = (Ticket::new(code.to_owned()), self.witness.clone(), got.clone());
        let work = async move {
            let filter = AccountFilter { kind: "p".to_owned(), email };
            let Ok(account) = broker.auth.find_account(&filter).await else { return };
            let first = First::Password(Box::new(account));
            let minted = broker.auth.mint(first, Credential::Ticket(ticket), login()).await;
            let text = minted.as_ref().map_or_else(crate::auth::Error::code, |_| "a token");
            witness.borrow_mut().note(format!("person {person}, the code of W{wait}: {text}"));
            if let Ok(minted) = minted {
                told.set(true);
                witness.borrow_mut().token(wait, person, minted.account.id);
            }
        };
        self.ops.push(Op::new(Kind::Exchange { wait, person }, node, work));
        got
    }

    fn operate(&mut self) {
        let Some((node, broker)) = self.somewhere() else { return };
        let (person, phone) = (self.chance.below(self.people), self.chance.below(self.phones));
        let (account, device) =
            (self.world.people[person].account.id, self.world.people[person].phones[phone].id);
        self.world.people[person].is_spoilt = true;
        let roll = self.chance.below(3);
        self.note(format!("person {person}: {}", ["disabled", "enabled", "a phone is ended"][roll]));
        let work = async move {
            let _ = match roll {
                0 => broker.auth.change_account(account, Change::Disable).await,
                1 => broker.auth.change_account(account, Change::Enable).await,
                _ => broker.auth.end_device(account, device).await,
            };
        };
        let kind = match roll {
            0 => Kind::TakeAway { person, phone: None },
            1 => Kind::GiveBack { person },
            _ => Kind::TakeAway { person, phone: Some(phone) },
        };
        self.ops.push(Op::new(kind, node, work));
    }
}
