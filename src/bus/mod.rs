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
#[cfg(test)]
pub(crate) mod simulated;

use std::sync::{Arc, OnceLock, Weak};

use futures_util::future::BoxFuture;

use frame::{Frame, Reply};
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

/// A phone that scanned a browser's uuid asks its holder to put the ask (2b of docs/protocol.md, "The socket").
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan {
    pub(crate) pairing: PairingId,
    pub(crate) account: AccountId,
}

/// A node as the bus sees it; the broker is one.
pub(crate) trait Node: Send + Sync {
    /// Takes a message; never waits.
    fn deliver(&self, message: Message);

    /// Puts a scanned ask to the holder of a pairing.
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<AskView, Error>>;

    /// Whether this node holds a browser that waits on this pairing.
    fn holds(&self, pairing: PairingId) -> bool;
}

/// A handle to the bus; clones share it.
#[derive(Clone)]
pub(crate) struct Bus {
    here: Arc<Here>,
    far: Far,
}

/// What reaches other nodes.
#[derive(Clone)]
enum Far {
    /// There are none.
    Nobody,
    Nats(Box<Nats>),
    #[cfg(test)]
    Simulated(simulated::Link),
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

    /// Takes a frame of another node: delivers what it says, or returns what it asks.
    fn take(&self, frame: Frame) -> Option<Question> {
        let node = self.node()?;
        match frame {
            Frame::Scan { pairing, account } => {
                let (pairing, account) = (PairingId(pairing), AccountId(account));
                Some(Question::Scan(node, Scan { pairing, account }))
            }
            Frame::Holds { pairing } => Some(Question::Holds(node, PairingId(pairing))),
            told @ (Frame::Settled { .. }
            | Frame::TakenOver { .. }
            | Frame::Account { .. }
            | Frame::Resolved { .. }) => {
                if let Some(message) = told.message(self.tag) {
                    node.deliver(message);
                }
                None
            }
        }
    }
}

/// What another node wants to know of this one.
enum Question {
    Scan(Arc<dyn Node>, Scan),
    Holds(Arc<dyn Node>, PairingId),
}

impl Question {
    async fn answer(self) -> Reply {
        match self {
            Self::Scan(node, scan) => Reply::of(node.scan(scan).await),
            Self::Holds(node, pairing) => Reply::Held { held: node.holds(pairing) },
        }
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
        Self::new(Far::Nobody)
    }

    /// A bus of many nodes.
    pub(crate) fn over(nats: Nats) -> Self {
        Self::new(Far::Nats(Box::new(nats)))
    }

    fn new(far: Far) -> Self {
        let tag = NodeTag(u16::from_be_bytes(random::bytes()));
        Self { here: Arc::new(Here { tag, node: OnceLock::new() }), far }
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
        match &self.far {
            Far::Nats(nats) => nats.run(&self.here).await,
            Far::Nobody => std::future::pending().await,
            #[cfg(test)]
            Far::Simulated(_) => std::future::pending().await,
        }
    }

    /// Whether other nodes can be reached; a node that is alone always reaches all of them.
    pub(crate) fn is_up(&self) -> bool {
        match &self.far {
            Far::Nobody => true,
            Far::Nats(nats) => nats.is_up(),
            #[cfg(test)]
            Far::Simulated(link) => link.is_up(),
        }
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
        match &self.far {
            Far::Nobody => {}
            Far::Nats(nats) => nats.ring(message),
            #[cfg(test)]
            Far::Simulated(link) => link.ring(message),
        }
    }

    /// Hears what concerns an account until what this returns is dropped.
    pub(crate) fn follow(&self, account: AccountId) -> Follow {
        let end = match &self.far {
            Far::Nobody => None,
            Far::Nats(nats) => Some(nats.follow(account)),
            #[cfg(test)]
            Far::Simulated(link) => Some(link.follow(account)),
        };
        Follow { _end: end }
    }

    /// Puts a scanned ask to the node that holds the pairing. `None`: it was put by another node, and stands in the store.
    ///
    /// # Errors
    /// `Expired` when nobody holds it; else what the holder says.
    pub(crate) async fn scan(&self, holder: NodeTag, scan: Scan) -> Result<Option<AskView>, Error> {
        let Some(node) = self.here.node() else { return Err(Error::Expired) };
        let is_far = holder != self.here.tag && !node.holds(scan.pairing);
        match &self.far {
            Far::Nats(nats) if is_far => nats.scan(holder, scan).await.map(|()| None),
            #[cfg(test)]
            Far::Simulated(link) if is_far => link.scan(holder, scan).await.map(|()| None),
            _ => node.scan(scan).await.map(Some),
        }
    }

    /// Whether some browser waits on this pairing right now, as far as can be told.
    pub(crate) async fn is_held(&self, pairing: PairingId, holder: NodeTag) -> bool {
        if self.here.node().is_some_and(|node| node.holds(pairing)) {
            return true;
        }
        match &self.far {
            Far::Nats(nats) if holder != self.here.tag => nats.holds(pairing, holder).await,
            #[cfg(test)]
            Far::Simulated(link) if holder != self.here.tag => link.holds(pairing, holder).await,
            _ => false,
        }
    }
}
