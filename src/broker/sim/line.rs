//! A connection, as both of its ends know it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;

use crate::domain::ids::{AccountId, PairingId};
use crate::domain::secret::{AccessToken, ResumeSecret};
use crate::domain::time::Timestamp;

/// What a client says. Numbers are those of the witness: which browser's wait it is about.
#[derive(Clone, Debug)]
pub(super) enum Said {
    ReadyLogin(usize),
    /// `is_old`: a later secret was used, and this one is dead.
    Resume {
        wait: usize,
        id: PairingId,
        number: usize,
        secret: ResumeSecret,
        is_old: bool,
    },
    Ask {
        wait: usize,
        account: AccountId,
    },
    Ready {
        token: AccessToken,
    },
    Answer {
        wait: usize,
        id: PairingId,
        approved: bool,
        token: AccessToken,
    },
    Scan {
        wait: usize,
        id: PairingId,
        email: String,
    },
}

/// Who is at the client's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Browser,
    /// A person's phone.
    Phone(usize, usize),
}

/// A connection as both ends know it.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) node: usize,
    pub(super) who: Who,
    pub(super) said: RefCell<VecDeque<Said>>,
    pub(super) waker: RefCell<Option<Waker>>,
    /// The client is gone, and the server has not noticed.
    pub(super) is_cut: Cell<bool>,
    /// Over, for whatever reason.
    pub(super) is_closed: Cell<bool>,
    /// The wait that the server's side holds.
    pub(super) holds: Cell<Option<usize>>,
    /// The server has said `Connection ready` to a phone.
    pub(super) is_phone: Cell<bool>,
    /// What a phone's screen shows: wait, number of the ask, its end.
    pub(super) screen: RefCell<Vec<(usize, u32, Timestamp)>>,
    /// Those of them whose ring came when they were over already.
    pub(super) rung_late: RefCell<Vec<(usize, u32)>>,
    /// All that it ever showed.
    pub(super) has_shown: RefCell<Vec<(usize, u32)>>,
}

impl Line {
    pub(super) fn new(number: usize, node: usize, who: Who) -> Self {
        Self {
            number,
            node,
            who,
            said: RefCell::default(),
            waker: RefCell::default(),
            is_cut: Cell::default(),
            is_closed: Cell::default(),
            holds: Cell::default(),
            is_phone: Cell::default(),
            screen: RefCell::default(),
            rung_late: RefCell::default(),
            has_shown: RefCell::default(),
        }
    }

    pub(super) fn say(&self, said: Said) {
        self.said.borrow_mut().push_back(said);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether a client sits there who can say something and hear the answer.
    pub(super) fn is_open(&self) -> bool {
        !self.is_cut.get() && !self.is_closed.get()
    }

    /// Whether everything that the client has said was taken.
    pub(super) fn is_idle(&self) -> bool {
        self.said.borrow().is_empty()
    }
}
