//! A bus in memory for the simulation: real frames, and a post office whose every letter somebody else decides about.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frame::{Frame, Reply, account_subject, node_subject, pack, reply_subject, unpack};
use super::{Bus, Far, Here, Message, Scan};
use crate::auth::{Auth, Error};
use crate::crypto::root::RootKeys;
use crate::domain::ids::{AccountId, NodeTag, PairingId};

/// The post office: subscriptions, and letters under way. Clones share it.
#[derive(Clone)]
pub(crate) struct Post(Arc<Mutex<Office>>);

struct Office {
    root: RootKeys,
    subscriptions: Vec<Subscription>,
    letters: Vec<Letter>,
    /// Nodes that can't reach the bus and are not reached.
    cut_off: Vec<NodeTag>,
}

struct Subscription {
    node: Arc<Here>,
    subject: String,
    /// None for the node's own.
    end: Option<CancellationToken>,
    /// False until the server knows of it.
    is_known: bool,
}

/// One frame for one node.
struct Letter {
    to: Arc<Here>,
    subject: String,
    packed: Vec<u8>,
    reply: Option<oneshot::Sender<Vec<u8>>>,
}

/// What one node has of it.
#[derive(Clone)]
pub(crate) struct Link {
    tag: NodeTag,
    post: Post,
}

/// What delivering a letter leads to: a question that this node works on.
pub(crate) type Work = LocalBoxFuture<'static, ()>;

impl Post {
    pub(crate) fn new(root: RootKeys) -> Self {
        let (subscriptions, letters, cut_off) = (Vec::new(), Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(Office { root, subscriptions, letters, cut_off })))
    }

    /// The bus of a node that starts.
    pub(crate) fn join(&self, tag: NodeTag) -> Bus {
        let link = Link { tag, post: self.clone() };
        let here = Arc::new(Here { tag, node: std::sync::OnceLock::new() });
        let own = Subscription { node: here.clone(), subject: node_subject(tag), end: None, is_known: true };
        self.0.lock().subscriptions.push(own);
        Bus { here, far: Far::Simulated(link) }
    }

    /// A node is no more: nothing reaches it.
    pub(crate) fn leave(&self, tag: NodeTag) {
        let mut office = self.0.lock();
        office.subscriptions.retain(|one| one.node.tag != tag);
        office.letters.retain(|letter| letter.to.tag != tag);
        office.cut_off.retain(|one| *one != tag);
    }

    /// Cuts a node off from the bus, or lets it come back.
    pub(crate) fn set_cut_off(&self, tag: NodeTag, is_cut_off: bool) {
        let mut office = self.0.lock();
        office.cut_off.retain(|one| *one != tag);
        if is_cut_off {
            office.cut_off.push(tag);
            // Whoever waits for an answer is told that none comes.
            office.letters.retain(|letter| letter.to.tag != tag);
        }
    }

    /// How many letters are under way, and subscriptions that the server does not know of.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let office = self.0.lock();
        (office.letters.len(), office.subscriptions.iter().filter(|one| !one.is_known).count())
    }

    /// The server learns of all subscriptions.
    pub(crate) fn subscribe(&self) {
        self.0.lock().subscriptions.iter_mut().for_each(|one| one.is_known = true);
    }

    /// Loses a letter.
    pub(crate) fn lose(&self, number: usize) -> String {
        let letter = self.0.lock().letters.remove(number);
        letter.name()
    }

    /// Delivers a letter, and keeps a second one of it if it is to come twice.
    pub(crate) fn deliver(&self, number: usize, twice: bool) -> (String, NodeTag, Option<Work>) {
        let (letter, root) = {
            let mut office = self.0.lock();
            let letter = office.letters.remove(number);
            if twice && letter.reply.is_none() {
                let again = Letter {
                    to: letter.to.clone(),
                    subject: letter.subject.clone(),
                    packed: letter.packed.clone(),
                    reply: None,
                };
                office.letters.push(again);
            }
            (letter, office.root.clone())
        };
        let (name, tag) = (letter.name(), letter.to.tag);
        let Some(frame) = unpack::<Frame>(&root, &letter.subject, &letter.packed) else {
            return (name, tag, None);
        };
        let Some(question) = letter.to.take(frame) else { return (name, tag, None) };
        let work = async move {
            let packed = pack(&root, &reply_subject(&letter.subject), &question.answer().await);
            if let Some(reply) = letter.reply {
                let _ = reply.send(packed);
            }
        };
        (name, tag, Some(work.boxed_local()))
    }

    fn send(&self, from: NodeTag, subject: &str, packed: &[u8], reply: Option<oneshot::Sender<Vec<u8>>>) {
        let mut office = self.0.lock();
        let Office { subscriptions, letters, cut_off, .. } = &mut *office;
        subscriptions.retain(|one| !one.end.as_ref().is_some_and(CancellationToken::is_cancelled));
        let mut reply = reply;
        let mut reached: Vec<NodeTag> = Vec::new();
        for one in subscriptions.iter().filter(|one| one.is_known && one.subject == subject) {
            let tag = one.node.tag;
            if tag == from || cut_off.contains(&tag) || reached.contains(&tag) {
                continue;
            }
            reached.push(tag);
            let (to, subject, packed) = (one.node.clone(), subject.to_owned(), packed.to_vec());
            letters.push(Letter { to, subject, packed, reply: reply.take() });
        }
    }
}

impl Letter {
    fn name(&self) -> String {
        let json = self.packed.get(32..).unwrap_or_default();
        let frame = serde_json::from_slice::<Frame>(json);
        frame.map_or_else(|_| "?".to_owned(), |frame| format!("{frame:?}"))
    }
}

impl Link {
    pub(super) fn is_up(&self) -> bool {
        !self.post.0.lock().cut_off.contains(&self.tag)
    }

    pub(super) fn ring(&self, message: &Message) {
        if self.is_up() {
            let (subject, frame) = Frame::of(message);
            let root = self.post.0.lock().root.clone();
            self.post.send(self.tag, &subject, &pack(&root, &subject, &frame), None);
        }
    }

    pub(super) fn follow(&self, account: AccountId) -> DropGuard {
        let end = CancellationToken::new();
        let mut office = self.post.0.lock();
        let own = office.subscriptions.iter().find(|one| one.node.tag == self.tag);
        if let Some(node) = own.map(|one| one.node.clone()) {
            let subject = account_subject(account);
            office.subscriptions.push(Subscription {
                node,
                subject,
                end: Some(end.clone()),
                is_known: false,
            });
        }
        end.drop_guard()
    }

    pub(super) async fn scan(&self, holder: NodeTag, scan: Scan) -> Result<(), Error> {
        let frame = Frame::Scan { pairing: scan.pairing.0, account: scan.account.0 };
        self.ask(holder, &frame).await?.into_outcome()
    }

    pub(super) async fn holds(&self, pairing: PairingId, holder: NodeTag) -> bool {
        let asked = self.ask(holder, &Frame::Holds { pairing: pairing.0 }).await;
        matches!(asked, Ok(Reply::Held { held: true }))
    }

    async fn ask(&self, holder: NodeTag, frame: &Frame) -> Result<Reply, Error> {
        let busy = || Error::Busy(Auth::BUSY);
        if !self.is_up() {
            return Err(busy());
        }
        let subject = node_subject(holder);
        let root = self.post.0.lock().root.clone();
        let (reply, answer) = oneshot::channel();
        let before = self.post.waiting().0;
        self.post.send(self.tag, &subject, &pack(&root, &subject, frame), Some(reply));
        if self.post.waiting().0 == before {
            return Err(Error::Expired);
        }
        // A letter that is lost is one that is not answered in time.
        let packed = answer.await.map_err(|_| busy())?;
        unpack(&root, &reply_subject(&subject), &packed).ok_or_else(busy)
    }
}
