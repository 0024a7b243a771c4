//! Who has seen everything: what people said and heard, what became of the rows, and whether that breaks a promise.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::line::{Line, Said, Who};
use super::world::Person;
use crate::auth::{AskView, Error};
use crate::domain::ids::PairingId;
use crate::domain::pairing::{Answer, Asker, State};
use crate::domain::secret::ResumeSecret;
use crate::domain::time::Timestamp;
use crate::store::pairings::Stored;

pub(super) type Shared = Rc<RefCell<Witness>>;

/// A browser's last word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Code(String),
    No,
    Over,
}

/// One browser's wait, from `readyLogin` on.
#[derive(Default)]
pub(super) struct Wait {
    pub(super) id: Option<PairingId>,
    /// The resume secrets that it has heard, in their order; the first one has number 1.
    pub(super) secrets: Vec<ResumeSecret>,
    /// The last of them that was taken, as far as anybody has heard.
    used: usize,
    /// The browser began another one, or never heard of this one.
    pub(super) is_given_up: bool,
    /// Asks that somebody may have put: person, and whether by a phone.
    asked: Vec<(usize, bool)>,
    /// Answers that somebody may have given: person, phone, yes.
    answered: Vec<(usize, usize, bool)>,
    /// What the store says.
    pub(super) row: Option<Stored>,
    /// When its last ask would end by itself.
    pub(super) ends: Timestamp,
    /// What phones heard `Message sent` to.
    acknowledged: Option<bool>,
    /// What its browser heard.
    pub(super) told: Option<Told>,
    /// Exchanges of its code that are committed.
    pub(super) redeemed: u32,
    /// The account or the phone lost its right after the answer.
    pub(super) is_killed: bool,
}

pub(super) struct Witness {
    pub(super) people: Vec<Person>,
    pub(super) waits: Vec<Wait>,
    /// Taken away, as it is committed.
    pub(super) disabled: Vec<bool>,
    pub(super) revoked: Vec<[bool; 2]>,
    /// Sessions of each person: a token is never without one.
    pub(super) sessions: Vec<i64>,
    codes: HashMap<String, usize>,
    pub(super) history: Vec<String>,
    /// How often what has happened.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// The first promise that was broken.
    pub(super) broken: Option<String>,
}

impl Witness {
    pub(super) fn new(people: &[Person], sessions: Vec<i64>) -> Self {
        Self {
            people: people.to_vec(),
            waits: Vec::new(),
            disabled: vec![false; people.len()],
            revoked: vec![[false; 2]; people.len()],
            sessions,
            codes: HashMap::new(),
            history: Vec::new(),
            counts: BTreeMap::new(),
            broken: None,
        }
    }

    pub(super) fn note(&mut self, line: impl Into<String>) {
        self.history.push(line.into());
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn check(&mut self, holds: bool, promise: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(promise());
        }
    }

    pub(super) fn wait_of(&self, id: PairingId) -> Option<usize> {
        self.waits.iter().position(|wait| wait.id == Some(id))
    }

    pub(super) fn ids(&self) -> Vec<(usize, PairingId)> {
        self.waits.iter().enumerate().filter_map(|(number, wait)| Some((number, wait.id?))).collect()
    }

    fn person(&self, account: crate::domain::ids::AccountId) -> Option<usize> {
        self.people.iter().position(|person| person.account.id == account)
    }

    /// Somebody says something: from now on it may have happened.
    pub(super) fn said(&mut self, line: &Line, said: &Said) {
        let Line { number, node, .. } = line;
        let who = match line.who {
            Who::Browser => "browser".to_owned(),
            Who::Phone(person, phone) => format!("phone {person}.{phone}"),
        };
        let what = match said {
            Said::ReadyLogin(wait) => format!("waits: W{wait}"),
            Said::Resume { wait, number, is_old, .. } => {
                format!("resumes W{wait} with secret {number}{}", if *is_old { ", a dead one" } else { "" })
            }
            Said::Ask { wait, account } => {
                let person = self.person(*account).unwrap_or(usize::MAX);
                self.waits[*wait].asked.push((person, false));
                format!("asks person {person} about W{wait}")
            }
            Said::Ready { .. } => "is ready".to_owned(),
            Said::Answer { wait, approved, .. } => {
                if let Who::Phone(person, phone) = line.who {
                    self.waits[*wait].answered.push((person, phone, *approved));
                }
                format!("says {} to W{wait}", if *approved { "yes" } else { "no" })
            }
            Said::Scan { wait, .. } => {
                if let Who::Phone(person, _) = line.who {
                    self.waits[*wait].asked.push((person, true));
                }
                format!("scans W{wait}")
            }
        };
        self.note(format!("line {number} at {node}: {who} {what}"));
    }

    /// The server has an answer to what was said. Its client hears it unless the line is cut.
    pub(super) fn heard(&mut self, line: &Line, said: &Said, outcome: Result<(), &Error>) {
        let text = outcome.err().map_or("done", |e| e.code());
        self.note(format!("line {}: {text}", line.number));
        match said {
            Said::Answer { wait, approved, .. } if outcome.is_ok() => {
                self.acknowledge(line, *wait, *approved)
            }
            Said::Answer { wait, .. } if matches!(outcome, Err(Error::Expired | Error::AlreadyAnswered)) => {
                line.screen.borrow_mut().retain(|shown| shown.0 != *wait);
            }
            Said::Resume { wait, number, is_old, .. } => {
                let refused = !is_old || outcome.is_err();
                self.count(match is_old {
                    true => "a dead secret tried",
                    false if outcome.is_ok() => "resumed",
                    false => "not resumed",
                });
                self.check(refused, || format!("W{wait}: secret {number} was taken after a later one"));
                let used = self.waits[*wait].used;
                self.waits[*wait].used = if outcome.is_ok() { used.max(*number) } else { used };
            }
            Said::ReadyLogin(_)
            | Said::Ask { .. }
            | Said::Ready { .. }
            | Said::Answer { .. }
            | Said::Scan { .. } => {}
        }
    }

    fn acknowledge(&mut self, line: &Line, wait: usize, approved: bool) {
        line.screen.borrow_mut().retain(|shown| shown.0 != wait);
        let Who::Phone(person, phone) = line.who else { return };
        self.count("acknowledged");
        let device = self.people[person].phones[phone].id;
        let row = self.waits[wait].row.as_ref().map(|row| row.pairing.state.clone());
        let stands = matches!(&row, Some(State::Answered(answer)) if answer.approved == approved && answer.device == device);
        self.check(stands, || format!("W{wait}: {approved} was acknowledged, and the store says {row:?}"));
        let before = self.waits[wait].acknowledged.replace(approved);
        self.check(before.is_none_or(|before| before == approved), || {
            format!("W{wait}: both answers were acknowledged")
        });
    }

    /// A browser is told which pairing it holds, and how to come back.
    pub(super) fn welcomed(&mut self, line: &Line, wait: usize, id: PairingId, secret: ResumeSecret) {
        let known = *self.waits[wait].id.get_or_insert(id);
        self.check(known == id, || format!("W{wait}: resumed as another pairing"));
        if line.is_open() {
            let secrets = &mut self.waits[wait].secrets;
            if secrets.last() != Some(&secret) && !secrets.contains(&secret) {
                secrets.push(secret);
            }
        } else if self.waits[wait].secrets.is_empty() {
            self.waits[wait].is_given_up = true;
        }
    }

    /// A browser's last word, whether its client still hears it or not.
    pub(super) fn told(&mut self, line: &Line, told: Told) {
        let Some(wait) = line.holds.get() else {
            return self.check(false, || format!("line {} holds nothing and was told {told:?}", line.number));
        };
        let short = if matches!(told, Told::Code(_)) { "a code".to_owned() } else { format!("{told:?}") };
        self.note(format!("line {}: W{wait} is told {short}", line.number));
        self.count(match told {
            Told::Code(_) => "a browser told a code",
            Told::No => "a browser told no",
            Told::Over => "a browser told that it is over",
        });
        let answer = self.answer(wait);
        match &told {
            Told::Code(code) => {
                let whose = *self.codes.entry(code.clone()).or_insert(wait);
                self.check(whose == wait, || format!("W{wait} was told the code of W{whose}"));
                let stands = answer.is_some_and(|answer| answer.approved);
                self.check(stands, || format!("W{wait} was told a code, and nobody has approved"));
                let before = self.waits[wait].told.clone();
                let same = before.is_none_or(|before| before == told || before == Told::Over);
                self.check(same, || format!("W{wait} was told something else before"));
            }
            Told::No => {
                let stands = answer.is_some_and(|answer| !answer.approved);
                self.check(stands, || format!("W{wait} was told no, and nobody has refused"));
            }
            Told::Over => {}
        }
        if line.is_open() && self.waits[wait].told.is_none() {
            self.waits[wait].told = Some(told);
        }
    }

    pub(super) fn answer(&self, wait: usize) -> Option<Answer> {
        match &self.waits[wait].row.as_ref()?.pairing.state {
            State::Answered(answer) => Some(*answer),
            State::Ready | State::Asked(_) | State::Expired => None,
        }
    }

    /// A phone shows an ask.
    pub(super) fn shown(&mut self, line: &Line, ask: &AskView) {
        let Who::Phone(person, _) = line.who else { return };
        let Some(wait) = self.wait_of(ask.pairing) else { return };
        let is_own = self.people[person].account.id == ask.account;
        self.check(is_own, || {
            format!("W{wait}: the ask of another account is on a phone of person {person}")
        });
        self.note(format!("line {}: shows ask {} of W{wait}", line.number, ask.number));
        let mut screen = line.screen.borrow_mut();
        if !screen.iter().any(|shown| (shown.0, shown.1) == (wait, ask.number)) {
            screen.push((wait, ask.number, ask.expires_at));
        }
        line.has_shown.borrow_mut().push((wait, ask.number));
    }

    /// A ring was what made a phone show an ask. On its own node that needs no look at the store: in the moment between the
    /// commit and the ring another node may have replaced the ask, and everybody may have been told of that.
    pub(super) fn rung(&mut self, line: &Line, ask: &AskView) {
        let Some(wait) = self.wait_of(ask.pairing) else { return };
        let pairing = self.waits[wait].row.as_ref().map(|row| &row.pairing);
        let stands = pairing.is_some_and(|p| p.asks == ask.number && matches!(p.state, State::Asked(_)));
        if !stands {
            line.rung_late.borrow_mut().push((wait, ask.number));
        }
    }

    /// A row as it is after a unit of work.
    pub(super) fn row(&mut self, wait: usize, row: Option<Stored>) {
        let before = self.waits[wait].row.clone();
        let same = before.as_ref().map(|r| (&r.pairing.state, r.pairing.asks, r.resumes))
            == row.as_ref().map(|r| (&r.pairing.state, r.pairing.asks, r.resumes));
        if same {
            self.waits[wait].row = row;
            return;
        }
        let Some(after) = row else {
            return self.check(false, || format!("W{wait}: its row is gone"));
        };
        self.note(format!("       W{wait}: {}", short(Some(&after))));
        let fewer = before.as_ref().is_some_and(|row| row.resumes > after.resumes);
        self.check(!fewer, || format!("W{wait}: a used resume secret is forgotten"));
        let was = before.map_or(State::Ready, |row| row.pairing.state);
        if was != after.pairing.state {
            self.step(wait, &was, &after.pairing.state);
        }
        self.waits[wait].row = Some(after);
    }

    fn step(&mut self, wait: usize, was: &State, is: &State) {
        self.count(match (was, is) {
            (State::Asked(_), State::Asked(_)) => "replaced",
            (_, State::Asked(ask)) if ask.by == Asker::Phone => "asked by a scan",
            (_, State::Asked(_)) => "asked",
            (_, State::Answered(answer)) if answer.approved => "approved",
            (_, State::Answered(_)) => "refused",
            (_, State::Ready | State::Expired) => "over",
        });
        let final_before = matches!(was, State::Answered(_) | State::Expired);
        self.check(!final_before, || format!("W{wait}: {was:?} is final and became {is:?}"));
        match (was, is) {
            (State::Asked(ask), State::Answered(answer)) => {
                let Some(person) = self.person(answer.account) else {
                    return self.check(false, || format!("W{wait}: a stranger answered"));
                };
                self.check(ask.account == answer.account, || format!("W{wait}: another account answered"));
                self.check(ask.shown, || format!("W{wait}: an ask that nobody was shown was answered"));
                let phone = self.people[person].phones.iter().position(|phone| phone.id == answer.device);
                let given = phone.is_some_and(|phone| {
                    self.waits[wait].answered.contains(&(person, phone, answer.approved))
                });
                self.check(given, || format!("W{wait}: nobody gave this answer"));
                let has_right = !self.disabled[person] && phone.is_some_and(|p| !self.revoked[person][p]);
                self.check(has_right, || format!("W{wait}: who answered had lost the right to"));
            }
            (_, State::Asked(ask)) => {
                self.waits[wait].ends = ask.expires_at;
                let by_phone = ask.by == Asker::Phone;
                let asked = self.person(ask.account).is_some_and(|person| {
                    self.waits[wait].asked.contains(&(person, by_phone)) && !self.disabled[person]
                });
                self.check(asked, || format!("W{wait}: nobody asked this"));
            }
            (_, State::Answered(_)) => self.check(false, || format!("W{wait}: answered, and never asked")),
            (_, State::Ready | State::Expired) => {}
        }
    }

    /// Something was taken away from a person: the whole account, or one phone.
    pub(super) fn took_away(&mut self, person: usize, phone: Option<usize>) {
        self.count("taken away");
        match phone {
            Some(phone) => self.revoked[person][phone] = true,
            None => self.disabled[person] = true,
        }
        let (account, devices) = (self.people[person].account.id, &self.people[person].phones);
        let device = phone.map(|phone| devices[phone].id);
        for wait in 0..self.waits.len() {
            let answer = self.answer(wait);
            if answer.is_some_and(|a| a.account == account && device.is_none_or(|device| a.device == device))
            {
                self.waits[wait].is_killed = true;
            }
        }
        self.people[person].is_spoilt = true;
    }

    /// An exchange has committed: a session more means that the code was redeemed.
    pub(super) fn exchanged(&mut self, wait: usize, person: usize, sessions: i64) {
        let more = sessions - std::mem::replace(&mut self.sessions[person], sessions);
        if more == 0 {
            return;
        }
        self.note(format!("       the code of W{wait} is redeemed"));
        self.count("redeemed");
        let account = self.people[person].account.id;
        let answer = self.answer(wait);
        let approved = answer.is_some_and(|answer| answer.approved && answer.account == account);
        self.check(approved, || format!("W{wait}: person {person} got a token, and {answer:?}"));
        self.waits[wait].redeemed += 1;
        let (redeemed, killed) = (self.waits[wait].redeemed, self.waits[wait].is_killed);
        self.check(more == 1 && redeemed == 1, || format!("W{wait}: its code was redeemed {redeemed} times"));
        self.check(!killed, || {
            format!("W{wait}: its code was redeemed after its account or phone had ended")
        });
    }

    /// A client got a token.
    pub(super) fn token(&mut self, wait: usize, person: usize, account: crate::domain::ids::AccountId) {
        let redeemed = self.waits[wait].redeemed;
        let own = self.people[person].account.id == account;
        self.check(redeemed == 1 && own, || {
            format!("W{wait}: a token without its code, or of another account")
        });
    }

    /// Whether secret number `number` must be refused: a later one was used.
    pub(super) fn is_replaced(&self, wait: usize, number: usize) -> bool {
        self.waits[wait].used > number
    }
}

/// A row in a few words.
pub(super) fn short(row: Option<&Stored>) -> String {
    let Some(Stored { pairing, resumes, holder }) = row else { return "no row".to_owned() };
    let state = match &pairing.state {
        State::Ready => "waits".to_owned(),
        State::Asked(ask) if ask.shown => format!("asks account {} by {:?}", ask.account, ask.by),
        State::Asked(_) => "asks, unseen".to_owned(),
        State::Answered(answer) => format!(
            "{} by device {} of account {}",
            if answer.approved { "approved" } else { "refused" },
            answer.device,
            answer.account
        ),
        State::Expired => "over".to_owned(),
    };
    format!("ask {}, {state}, {resumes} resumes, last at {holder:?}", pairing.asks)
}
