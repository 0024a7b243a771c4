//! How nodes reach each other: a few verbs that wake somebody up. The store decides; a message here is a doorbell.
//!
//! One node needs no bus: [`Bus::local`] hands every message straight to this node's broker. Many nodes ring each other
//! over NATS:
//!
//! - **How an answer finds its browser.** A pairing's uuid carries the tag of the node that made it, and its row the tag
//!   of the node that it was resumed on. The node that took the answer rings that node: one hop, no broadcast. Each node
//!   has one subscription of its own, so a browser that waits costs nothing on the bus and nothing in the store.
//! - **How an ask finds its phones.** A node that has an account's first phone subscribes to that account, and gives the
//!   subscription back with the last one: some 5 KB in the client for each account that is online here.
//! - **When nobody is reached.** Core NATS delivers at most once, and nothing while it is away. Every node looks at what
//!   was asked and answered lately twice a second (`broker/news.rs`), so a lost ring costs half a second, not a login.
//!
//! What is rung is authenticated: a frame without the MAC of the nodes' common root key is dropped.

mod frame;
mod nats;

use std::sync::{Arc, OnceLock, Weak};

use futures_util::future::BoxFuture;

pub(crate) use nats::Nats;

use crate::auth::{AskView, Error};
use crate::crypto::random;
use crate::domain::ids::{AccountId, NodeTag, PairingId};

/// What one node tells the others.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// A pairing was decided or ended: its holder looks at the store.
    Settled {
        pairing: PairingId,
        /// Where its browser waits.
        holder: NodeTag,
    },
    /// A browser came back on another node with resume secret number `resumes`: the socket that it had is over.
    TakenOver { pairing: PairingId, resumes: u32, holder: NodeTag },
    /// An account's phones show this.
    Ask(Arc<AskView>),
    /// Phones that showed an ask take it away.
    Resolved(Arc<Resolved>),
    /// An account, its devices, sessions or asks changed: its phones look at the store.
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
#[derive(Clone)]
pub(crate) struct Bus {
    here: Arc<Here>,
    nats: Option<Nats>,
}

/// This node, as it is known to the bus.
struct Here {
    tag: NodeTag,
    node: OnceLock<Weak<dyn Node>>,
}

impl Here {
    fn node(&self) -> Option<Arc<dyn Node>> {
        self.node.get().and_then(Weak::upgrade)
    }
}

/// As long as this lives, this node hears what concerns an account.
#[derive(Debug)]
pub(crate) struct Follow {
    _end: Option<tokio_util::sync::DropGuard>,
}

impl Bus {
    /// A bus of one node.
    pub(crate) fn local() -> Self {
        Self::new(None)
    }

    /// A bus of many nodes.
    pub(crate) fn over(nats: Nats) -> Self {
        Self::new(Some(nats))
    }

    fn new(nats: Option<Nats>) -> Self {
        let tag = NodeTag(u16::from_be_bytes(random::bytes()));
        Self { here: Arc::new(Here { tag, node: OnceLock::new() }), nats }
    }

    /// This node's tag, drawn when it started.
    pub(crate) fn tag(&self) -> NodeTag {
        self.here.tag
    }

    /// Says who takes this node's messages; once.
    pub(crate) fn attach(&self, node: Weak<dyn Node>) {
        let _ = self.here.node.set(node);
    }

    /// Takes what other nodes say, for ever.
    pub(crate) async fn run(&self) {
        match &self.nats {
            Some(nats) => nats.run(&self.here).await,
            None => std::future::pending().await,
        }
    }

    /// Whether other nodes can be reached; a node that is alone always reaches all of them.
    pub(crate) fn is_up(&self) -> bool {
        self.nats.as_ref().is_none_or(Nats::is_up)
    }

    /// Tells every node that has to know. Never waits, and may be lost.
    pub(crate) fn send(&self, message: Message) {
        let Some(node) = self.here.node() else { return };
        match message {
            Message::Settled { holder, .. } => {
                if holder != self.here.tag {
                    self.ring(&message);
                }
                // Here too: its browser may just have come back to this node.
                node.deliver(message);
            }
            // A socket of this node was told by its successor.
            Message::TakenOver { holder, .. } if holder == self.here.tag => {}
            Message::TakenOver { .. } => self.ring(&message),
            Message::Ask(_) | Message::Resolved(_) | Message::Account(_) => {
                self.ring(&message);
                node.deliver(message);
            }
        }
    }

    fn ring(&self, message: &Message) {
        if let Some(nats) = &self.nats {
            nats.ring(message);
        }
    }

    /// Hears what concerns an account until what this returns is dropped.
    pub(crate) fn follow(&self, account: AccountId) -> Follow {
        Follow { _end: self.nats.as_ref().map(|nats| nats.follow(account)) }
    }

    /// Puts a scanned ask to the node that holds the pairing. `None`: it was put by another node, and stands in the store.
    ///
    /// # Errors
    /// `Expired` when nobody holds it; else what the holder says.
    pub(crate) async fn scan(
        &self,
        pairing: PairingId,
        holder: NodeTag,
        scan: Scan,
    ) -> Result<Option<AskView>, Error> {
        match (self.here.node(), &self.nats) {
            (Some(node), Some(nats)) if holder != self.here.tag && !node.holds(pairing) => {
                nats.scan(pairing, holder, scan).await.map(|()| None)
            }
            (Some(node), _) => node.scan(pairing, scan).await.map(Some),
            (None, _) => Err(Error::Expired),
        }
    }

    /// Whether some browser waits on this pairing right now, as far as can be told.
    pub(crate) async fn is_held(&self, pairing: PairingId, holder: NodeTag) -> bool {
        if self.here.node().is_some_and(|node| node.holds(pairing)) {
            return true;
        }
        match &self.nats {
            Some(nats) if holder != self.here.tag => nats.holds(pairing, holder).await,
            Some(_) | None => false,
        }
    }
}
