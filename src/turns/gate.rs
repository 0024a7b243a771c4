//! A gate: so many turns at the same time, and a line for each of those who wait, served one line after the other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Asker, Patience, Who};

/// No place to wait, or none any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// How much there is of what the gate stands in front of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Turns at the same time.
    pub(crate) turns: usize,
    /// Those who may wait for one, in all lines together.
    pub(crate) room: usize,
    /// How long a request waits at most, if not for as long as anything may.
    pub(crate) patience: Option<Duration>,
    /// How long anything waits at most, [`LONGEST`] but in tests.
    pub(crate) longest: Duration,
}

/// How long a wait that may not be turned away lasts at most. Long enough for every socket of a node to have its turn while
/// the store answers; short enough that a client whose socket waits for a store that is away comes back soon.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// Gives turns; clones share them.
///
/// Lines take turns, not those who stand in them: somebody who asks a thousand times waits for the own thousand, and
/// anybody else for one of them. When no more may wait, the last of the longest line makes room for the first ones of a
/// shorter line.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Shared>);

/// A turn, until it is dropped.
pub(crate) struct Turn {
    gate: Arc<Shared>,
    who: Who,
}

struct Shared {
    size: Size,
    state: Mutex<State>,
}

struct State {
    /// Turns that nobody has.
    free: usize,
    /// Those in all lines who may be turned away.
    waiting: usize,
    lines: HashMap<Who, Line>,
    /// The lines in which somebody waits, the next one first.
    order: VecDeque<Who>,
    /// The number of the next one who waits.
    next: u64,
}

#[derive(Default)]
struct Line {
    /// Turns that it has.
    held: usize,
    waiting: VecDeque<Waiter>,
    /// How many of those may be turned away.
    refusable: usize,
}

struct Waiter {
    number: u64,
    is_patient: bool,
    reply: oneshot::Sender<Result<(), Full>>,
}

/// Somebody's place in a line; given up when dropped.
struct Place<'a> {
    gate: &'a Arc<Shared>,
    who: Who,
    number: u64,
    answer: oneshot::Receiver<Result<(), Full>>,
}

impl Gate {
    pub(crate) fn new(size: Size) -> Self {
        let state =
            State { free: size.turns, waiting: 0, lines: HashMap::new(), order: VecDeque::new(), next: 0 };
        Self(Arc::new(Shared { size, state: Mutex::new(state) }))
    }

    /// A turn for the one that the current task works for. Never to be awaited while holding one of the same gate.
    ///
    /// # Errors
    /// `Full` when too many wait, or for too long.
    pub(crate) async fn turn(&self) -> Result<Turn, Full> {
        let (who, patience) = Asker::current();
        let place = match self.0.enter(who, patience == Patience::Long)? {
            Ok(turn) => return Ok(turn),
            Err(place) => place,
        };
        let Size { patience: short, longest, .. } = self.0.size;
        let limit = match patience {
            Patience::Short => short.unwrap_or(longest),
            Patience::Long => longest,
        };
        tokio::time::timeout(limit, place.wait()).await.map_err(|_| Full)?
    }

    /// How many have a turn or wait for one.
    pub(crate) fn busy(&self) -> usize {
        let state = self.0.state.lock();
        self.0.size.turns - state.free + state.lines.values().map(|line| line.waiting.len()).sum::<usize>()
    }
}

impl Shared {
    /// A turn if there is one, or else a place in the line.
    fn enter(self: &Arc<Self>, who: Who, is_patient: bool) -> Result<Result<Turn, Place<'_>>, Full> {
        let mut state = self.state.lock();
        let share = self.share(who);
        // Somebody may wait beside a free turn: those of a line that has its share.
        if state.free > 0 && state.lines.get(&who).is_none_or(|line| line.held < share) {
            state.free -= 1;
            state.lines.entry(who).or_default().held += 1;
            return Ok(Ok(Turn { gate: self.clone(), who }));
        }
        if !is_patient && state.waiting >= self.size.room {
            state.make_room(who)?;
        }
        let (reply, answer) = oneshot::channel();
        let number = state.next;
        state.next += 1;
        state.queue(who, Waiter { number, is_patient, reply });
        Ok(Err(Place { gate: self, who, number, answer }))
    }

    /// The most turns that a line has at once. What is left goes to others without waiting: to a neighbour when one
    /// account waits for its own locks, and to the rest of the world when a whole network does.
    fn share(&self, who: Who) -> usize {
        let turns = self.size.turns;
        match who {
            Who::Server => turns,
            Who::Network(_) => turns - turns / 4,
            Who::Account(_) => turns.div_ceil(2),
        }
    }

    /// Hands out what is free.
    fn hand_out(&self, state: &mut State) {
        while state.free > 0 {
            let is_next = |who: &Who| state.lines.get(who).is_some_and(|line| line.held < self.share(*who));
            let Some(place) = state.order.iter().position(is_next) else { return };
            let Some(who) = state.order.remove(place) else { return };
            let Some(line) = state.lines.get_mut(&who) else { return };
            let Some(waiter) = line.waiting.pop_front() else { return };
            line.held += 1;
            state.free -= 1;
            if !waiter.is_patient {
                line.refusable -= 1;
                state.waiting -= 1;
            }
            if !line.waiting.is_empty() {
                state.order.push_back(who);
            }
            // It listens: who gives a place up takes it out of the line first.
            let _ = waiter.reply.send(Ok(()));
        }
    }

    fn give_back(&self, who: Who) {
        let mut state = self.state.lock();
        state.free += 1;
        if let Some(line) = state.lines.get_mut(&who) {
            line.held -= 1;
        }
        state.forget_if_empty(who);
        self.hand_out(&mut state);
    }
}

impl State {
    fn queue(&mut self, who: Who, waiter: Waiter) {
        let line = self.lines.entry(who).or_default();
        if line.waiting.is_empty() {
            self.order.push_back(who);
        }
        if !waiter.is_patient {
            line.refusable += 1;
            self.waiting += 1;
        }
        line.waiting.push_back(waiter);
    }

    /// Turns the last of the longest line away, unless `who` would stand in a line as long as that.
    fn make_room(&mut self, who: Who) -> Result<(), Full> {
        let own = self.lines.get(&who).map_or(0, |line| line.refusable);
        let longest = self.lines.iter().max_by_key(|(_, line)| line.refusable).ok_or(Full)?;
        if longest.1.refusable <= own + 1 {
            return Err(Full);
        }
        let longest = *longest.0;
        let line = self.lines.get(&longest).ok_or(Full)?;
        let last = line.waiting.iter().rfind(|waiter| !waiter.is_patient).ok_or(Full)?.number;
        if let Some(waiter) = self.take_out(longest, last) {
            let _ = waiter.reply.send(Err(Full));
        }
        Ok(())
    }

    fn take_out(&mut self, who: Who, number: u64) -> Option<Waiter> {
        let line = self.lines.get_mut(&who)?;
        let place = line.waiting.binary_search_by_key(&number, |waiter| waiter.number).ok()?;
        let waiter = line.waiting.remove(place)?;
        if !waiter.is_patient {
            line.refusable -= 1;
            self.waiting -= 1;
        }
        if line.waiting.is_empty() {
            self.order.retain(|other| *other != who);
        }
        self.forget_if_empty(who);
        Some(waiter)
    }

    fn forget_if_empty(&mut self, who: Who) {
        if self.lines.get(&who).is_some_and(|line| line.held == 0 && line.waiting.is_empty()) {
            self.lines.remove(&who);
        }
    }
}

impl Place<'_> {
    async fn wait(mut self) -> Result<Turn, Full> {
        match (&mut self.answer).await {
            Ok(Ok(())) => Ok(Turn { gate: self.gate.clone(), who: self.who }),
            Ok(Err(Full)) | Err(_) => Err(Full),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let was_waiting = self.gate.state.lock().take_out(self.who, self.number).is_some();
        // Its turn came and was not looked at: the next one's.
        if !was_waiting && self.answer.try_recv() == Ok(Ok(())) {
            self.gate.give_back(self.who);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.gate.give_back(self.who);
    }
}
