//! How nodes reach each other: a few verbs that wake somebody up. The store decides; a message here is a doorbell.
//!
//! One node needs no bus: [`Bus::local`] hands every message straight to this node's broker.

use std::sync::{Arc, OnceLock, Weak};

use futures_util::future::BoxFuture;

use crate::auth::{AskView, Error};
use crate::domain::ids::{AccountId, PairingId};

/// What one node tells the others.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// A pairing was decided or ended: its holder looks at the store.
    Settled(PairingId),
    /// An account's phones show this.
    Ask(Arc<AskView>),
    /// Phones that showed an ask take it away.
    Resolved(Arc<Resolved>),
    /// An account, its devices or sessions changed: see who of its phones may stay.
    Account(AccountId),
}

/// An ask that is over.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) account: AccountId,
    pub(crate) pairing: PairingId,
    pub(crate) number: u32,
    pub(crate) reason: Reason,
    /// Whether it was approved.
    pub(crate) approved: bool,
}

/// How an ask ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    Answered,
    Expired,
    Replaced,
    Gone,
}

/// A phone that scanned a browser's uuid asks its holder to put the ask (CONTRACT.md section 2.1, 2b).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    pub(crate) account: AccountId,
}

/// A node as the bus sees it; the broker is one.
pub(crate) trait Node: Send + Sync {
    /// Takes a message; never waits.
    fn deliver(&self, message: Message);

    /// Puts a scanned ask to the holder of a pairing.
    fn scan(&self, pairing: PairingId, scan: Scan) -> BoxFuture<'_, Result<AskView, Error>>;

    /// Whether this node holds a browser that waits on this pairing.
    fn holds(&self, pairing: PairingId) -> bool;
}

/// A handle to the bus; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Bus {
    node: Arc<OnceLock<Weak<dyn Node>>>,
}

impl Bus {
    /// A bus of one node.
    pub(crate) fn local() -> Self {
        Self::default()
    }

    /// Says who takes this node's messages; once.
    pub(crate) fn attach(&self, node: Weak<dyn Node>) {
        let _ = self.node.set(node);
    }

    /// Tells every node that has to know.
    pub(crate) fn send(&self, message: Message) {
        if let Some(node) = self.node() {
            node.deliver(message);
        }
    }

    /// Puts a scanned ask to whoever holds the pairing.
    ///
    /// # Errors
    /// `Expired` when nobody does; else what the holder says.
    pub(crate) async fn scan(&self, pairing: PairingId, scan: Scan) -> Result<AskView, Error> {
        match self.node() {
            Some(node) => node.scan(pairing, scan).await,
            None => Err(Error::Expired),
        }
    }

    /// Whether some browser waits on this pairing right now.
    pub(crate) fn is_held(&self, pairing: PairingId) -> bool {
        self.node().is_some_and(|node| node.holds(pairing))
    }

    fn node(&self) -> Option<Arc<dyn Node>> {
        self.node.get().and_then(Weak::upgrade)
    }
}
