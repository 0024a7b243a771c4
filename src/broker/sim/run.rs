//! One seed: nodes, clients and faults, and what happens next.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::chance::Chance;
use super::line::Line;
use super::ops::{Came, Op};
use super::witness::{Shared, Witness};
use super::world::{NODES, PEOPLE, PHONES, World};
use crate::broker::Broker;
use crate::bus::simulated::Post;
use crate::domain::ids::{AccountId, NodeTag, PairingId};
use crate::store::pairings::{self, Stored};
use crate::store::stops::Stop;
use crate::store::{Tx, arg};

const SESSIONS: &str = "SELECT count(*) FROM sessions WHERE account_id = $1";

/// What runs.
pub(super) enum Kind {
    /// One of a node's own loops: deadlines, housekeeping.
    Loop,
    Socket(Rc<Line>),
    /// What another node asked over the bus.
    Question,
    /// A client has a code exchanged.
    Exchange {
        wait: usize,
        person: usize,
    },
    /// An operator takes something away.
    TakeAway {
        person: usize,
        phone: Option<usize>,
    },
    GiveBack {
        person: usize,
    },
}

pub(super) struct Node {
    pub(super) tag: NodeTag,
    pub(super) broker: Option<Arc<Broker>>,
    is_cut_off: bool,
    skew: i64,
}

pub(super) struct Run<'w> {
    pub(super) world: &'w mut World,
    pub(super) chance: Chance,
    pub(super) witness: Shared,
    post: Post,
    pub(super) nodes: Vec<Node>,
    pub(super) ops: Vec<Op<Kind>>,
    pub(super) lines: Vec<Rc<Line>>,
    pub(super) people: usize,
    pub(super) phones: usize,
    next_tag: u16,
    pub(super) has_operator: bool,
    has_store_trouble: bool,
    pub(super) steps: u32,
}

impl<'w> Run<'w> {
    pub(super) async fn begin(world: &'w mut World, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let skews: [i64; NODES] = std::array::from_fn(|_| i64::try_from(chance.below(4000)).unwrap() - 2000);
        world.begin(&skews).await;
        let mut sessions = Vec::new();
        for person in &world.people {
            sessions.push(count_sessions(world, person.account.id).await);
        }
        let witness = Rc::new(RefCell::new(Witness::new(&world.people, sessions)));
        let post = Post::new(world.auths[0].root().clone());
        let nodes = (0..2 + chance.below(NODES - 1))
            .map(|index| Node { tag: NodeTag(0), broker: None, is_cut_off: false, skew: skews[index] })
            .collect();
        let (people, phones) = (1 + chance.below(PEOPLE), 1 + chance.below(PHONES));
        let (has_operator, has_store_trouble) = (chance.percent(20), chance.percent(25));
        let (ops, lines) = (Vec::new(), Vec::new());
        let mut run = Self {
            world,
            chance,
            witness,
            post,
            nodes,
            ops,
            lines,
            people,
            phones,
            next_tag: 1,
            has_operator,
            has_store_trouble,
            steps: 0,
        };
        (0..run.nodes.len()).for_each(|node| run.start(node));
        for person in 0..people {
            (0..phones).for_each(|phone| run.connect_phone(person, phone));
        }
        run
    }

    /// Until enough has happened or a promise is broken.
    pub(super) async fn play(&mut self) {
        let steps = 150 + self.chance.below(200);
        for _ in 0..steps {
            self.step().await;
            if self.is_broken() {
                return;
            }
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.witness.borrow().broken.is_some()
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.witness.borrow_mut().note(text);
    }

    async fn step(&mut self) {
        self.steps += 1;
        let ready: Vec<usize> = (0..self.ops.len()).filter(|op| self.ops[*op].is_ready()).collect();
        match self.chance.below(100) {
            0..62 if !ready.is_empty() => self.somebody_goes_on(&ready).await,
            0..76 if self.post.waiting() != (0, 0) => self.bus(true),
            0..95 => self.act(),
            95..98 => {
                let span = [50, 100, 250, 250, 500, 500, 1000, 1000, 2500, 7000][self.chance.below(10)];
                self.wait(Duration::from_millis(span)).await;
            }
            _ => self.trouble(),
        }
    }

    async fn somebody_goes_on(&mut self, ready: &[usize]) {
        // The nodes' own loops are many steps and seldom news.
        let clients: Vec<usize> =
            ready.iter().copied().filter(|op| !matches!(self.ops[*op].kind, Kind::Loop)).collect();
        let preferred = if clients.is_empty() || self.chance.percent(30) { ready } else { &clients };
        let Some(op) = self.chance.one_of(preferred) else { return };
        // Now and then a long way at once: most of what people do is not torn apart.
        loop {
            let fails = self.has_store_trouble && self.ops[op].at().is_some() && self.chance.percent(3);
            let came = self.go_on(op, fails).await;
            if !matches!(came, Came::To(_)) || self.is_broken() || self.chance.percent(45) {
                return;
            }
        }
    }

    pub(super) async fn wait(&mut self, span: Duration) {
        while let Some(op) = (0..self.ops.len()).find(|op| self.ops[*op].would_wait_too_long(span)) {
            self.go_on(op, false).await;
        }
        self.ops.iter_mut().for_each(|op| op.stands(span));
        self.note(format!("{} ms go by", span.as_millis()));
        self.world.advance(span);
    }

    /// Lets something go on to its next stop, and looks at what it has committed.
    pub(super) async fn go_on(&mut self, op: usize, fails: bool) -> Came {
        if fails {
            let at = self.ops[op].at();
            self.witness.borrow_mut().count("the store failed");
            self.note(format!("the store fails, {at:?}, at {}", self.ops[op].node));
        }
        let came = self.ops[op].go_on(fails).await;
        if came == Came::To(Stop::Written) {
            self.look(op).await;
        }
        if came == Came::ToEnd {
            self.ops.remove(op);
        }
        came
    }

    async fn look(&mut self, op: usize) {
        let exchange = match self.ops[op].kind {
            Kind::Exchange { wait, person } => Some((wait, person)),
            Kind::TakeAway { person, phone } => {
                self.witness.borrow_mut().took_away(person, phone);
                None
            }
            Kind::GiveBack { person } => {
                self.witness.borrow_mut().disabled[person] = false;
                None
            }
            Kind::Loop | Kind::Socket(_) | Kind::Question => None,
        };
        let ids = self.witness.borrow().ids();
        let just_ids: Vec<PairingId> = ids.iter().map(|(_, id)| *id).collect();
        let unit = async move |tx: &mut Tx| {
            let mut rows: Vec<Option<Stored>> = Vec::new();
            for id in just_ids {
                rows.push(pairings::load(tx, id).await?);
            }
            Ok(rows)
        };
        let store = &self.world.auths[0].store;
        let rows = store.read(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
        for ((wait, _), row) in ids.into_iter().zip(rows) {
            self.witness.borrow_mut().row(wait, row);
        }
        if let Some((wait, person)) = exchange {
            let account = self.world.people[person].account.id;
            let sessions = count_sessions(self.world, account).await;
            self.witness.borrow_mut().exchanged(wait, person, sessions);
        }
    }

    /// Something happens on the bus: with faults, letters are lost, doubled, and overtake each other.
    pub(super) fn bus(&mut self, has_faults: bool) {
        let (letters, subscriptions) = self.post.waiting();
        if subscriptions > 0 && (letters == 0 || self.chance.percent(30)) {
            return self.post.subscribe();
        }
        if letters == 0 {
            return;
        }
        let letter = self.chance.below(letters);
        if has_faults && self.chance.percent(15) {
            let name = self.post.lose(letter);
            self.witness.borrow_mut().count("a letter lost");
            return self.note(format!("bus: lost {name}"));
        }
        let twice = has_faults && self.chance.percent(15);
        let (name, tag, work) = self.post.deliver(letter, twice);
        let node = self.nodes.iter().position(|node| node.tag == tag).unwrap();
        self.note(format!("bus: to {node}{}: {name}", if twice { ", not for the last time" } else { "" }));
        if let Some(work) = work {
            self.ops.push(Op::new(Kind::Question, node, work));
        }
    }

    pub(super) fn bus_is_idle(&self) -> bool {
        self.post.waiting() == (0, 0)
    }

    fn trouble(&mut self) {
        let node = self.chance.below(self.nodes.len());
        match self.chance.below(10) {
            0..3 if self.nodes[node].broker.is_some() => {
                self.crash(node);
                if self.chance.percent(60) {
                    self.start(node);
                }
            }
            0..4 if self.nodes[node].broker.is_none() => self.start(node),
            4..6 => self.cut_off(node, !self.nodes[node].is_cut_off),
            6..9 => {
                let open: Vec<_> = self.lines.iter().filter(|line| line.is_open()).cloned().collect();
                if let Some(line) = self.chance.one_of(&open) {
                    self.note(format!("line {} is cut", line.number));
                    line.is_cut.set(true);
                    if self.chance.percent(50) {
                        self.notice_cut(&line);
                    }
                }
            }
            _ => {
                // Apart by less than what the looks at the store reach back.
                if self.nodes[node].skew > -2000 {
                    self.note(format!("the clock of {node} is set back"));
                    self.nodes[node].skew -= 1500;
                    self.world.auths[node].clock.step_back(Duration::from_millis(1500));
                }
            }
        }
    }

    pub(super) fn cut_off(&mut self, node: usize, is_cut_off: bool) {
        self.nodes[node].is_cut_off = is_cut_off;
        self.note(format!("{node} {} the bus", if is_cut_off { "loses" } else { "has" }));
        self.post.set_cut_off(self.nodes[node].tag, is_cut_off);
    }

    /// The server finds out that a client is gone.
    pub(super) fn notice_cut(&mut self, line: &Rc<Line>) {
        line.is_closed.set(true);
        line.holds.set(None);
        self.ops.retain(|op| !matches!(&op.kind, Kind::Socket(other) if Rc::ptr_eq(other, line)));
    }

    fn crash(&mut self, node: usize) {
        self.note(format!("{node} crashes"));
        let is_between = |op: &Op<Kind>| op.node == node && op.at() == Some(Stop::Written);
        let between = self.ops.iter().any(is_between);
        self.witness.borrow_mut().count(if between { "crashed after a commit" } else { "crashed" });
        self.ops.retain(|op| op.node != node);
        for line in self.lines.iter().filter(|line| line.node == node) {
            line.is_closed.set(true);
            line.holds.set(None);
        }
        self.post.leave(self.nodes[node].tag);
        self.nodes[node].broker = None;
    }

    pub(super) fn start(&mut self, node: usize) {
        let tag = NodeTag(self.next_tag);
        self.next_tag += 1;
        self.note(format!("{node} starts"));
        let broker = Broker::new(self.world.auths[node].clone(), &self.post.join(tag));
        let (sweeper, keeper) = (broker.clone(), broker.clone());
        let mut loops = [
            Op::new(Kind::Loop, node, async move { sweeper.sweep().await }),
            Op::new(Kind::Loop, node, async move { keeper.keep_house().await }),
        ];
        // Both look at the clock before anybody comes.
        for one in &mut loops {
            let _ = one.go_on(false).now_or_never();
        }
        self.ops.extend(loops);
        let place = &mut self.nodes[node];
        (place.tag, place.broker, place.is_cut_off) = (tag, Some(broker), false);
    }
}

async fn count_sessions(world: &World, account: AccountId) -> i64 {
    let count = async move |tx: &mut Tx| tx.one(SESSIONS, [arg(account.0)]).await?.get::<i64>(0);
    let store = &world.auths[0].store;
    store.read(move |tx| Box::pin(async move { count(tx).await })).await.unwrap()
}
