//! The bus over NATS: one subscription for the node, one for each account with phones here, and rings that may be lost.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, ServerAddr, Subscriber};
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, SelectAll};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frame::{Frame, Reply, account_subject, node_subject, pack, reply_subject, unpack};
use super::{Here, Message, Scan};
use crate::auth::{Auth, Error};
use crate::config;
use crate::crypto::root::RootKeys;
use crate::domain::ids::{AccountId, NodeTag, PairingId};

/// Rings that may wait to be sent; further ones are lost, and the store's sweep makes up for them.
const RINGS: usize = 4096;
/// Messages of one subscription that may wait here.
const WAITING: usize = 256;
/// How long another node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection to a NATS server or cluster; clones share it.
#[derive(Clone)]
pub(crate) struct Nats {
    client: Client,
    root: RootKeys,
    rings: mpsc::Sender<(String, Vec<u8>)>,
    /// One order for each account that comes online: as many as there are phones, so it needs no bound of its own.
    follows: mpsc::UnboundedSender<(AccountId, CancellationToken)>,
    /// What [`Nats::run`] takes over.
    ends: Arc<Mutex<Option<Ends>>>,
}

/// The other ends of the channels.
struct Ends {
    rings: mpsc::Receiver<(String, Vec<u8>)>,
    follows: mpsc::UnboundedReceiver<(AccountId, CancellationToken)>,
}

impl Nats {
    /// Connects, or goes on trying in the background: a bus that is away stops no login within a node.
    ///
    /// # Errors
    /// A setting that can't be used: the URL, a file.
    pub(crate) async fn connect(
        config: &config::Bus,
        servers: &[ServerAddr],
        root: RootKeys,
    ) -> Result<Self, config::Error> {
        let mut options = ConnectOptions::new()
            .name("readylogin")
            .no_echo()
            .retry_on_initial_connect()
            .connection_timeout(PATIENCE)
            .request_timeout(Some(PATIENCE))
            .subscription_capacity(WAITING)
            .max_reconnects(None)
            .reconnect_delay_callback(|attempts| {
                Duration::from_millis(100 * u64::try_from(attempts.clamp(1, 20)).unwrap_or(20))
            })
            .event_callback(async |event| log(&event));
        // The client itself does not look at what stands before the @: a name and a password, or a token alone.
        if let Some(named) = servers.iter().find(|server| server.has_user_pass()) {
            let text = |part: Option<&str>| {
                part.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            };
            options = match (text(named.username()), text(named.password())) {
                (Some(name), Some(password)) => options.user_and_password(name, password),
                (Some(token), None) => options.token(token),
                (None, _) => options,
            };
        }
        if let Some(file) = &config.ca {
            options = options.add_root_certificates(file.clone());
        }
        if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        if let Some(file) = &config.credentials {
            options = options
                .credentials_file(file)
                .await
                .map_err(|e| config::Error::unusable("bus.credentials", e))?;
        }
        let client = options.connect(servers).await;
        let client = client.map_err(|e| config::Error::unusable("bus.url", e))?;
        let (rings, ring_ends) = mpsc::channel(RINGS);
        let (follows, follow_ends) = mpsc::unbounded_channel();
        let ends = Arc::new(Mutex::new(Some(Ends { rings: ring_ends, follows: follow_ends })));
        Ok(Self { client, root, rings, follows, ends })
    }

    pub(super) fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Rings whoever has to know. While the server is away nobody hears it.
    pub(super) fn ring(&self, message: &Message) {
        if !self.is_up() {
            return;
        }
        let (subject, frame) = Frame::of(message);
        let packed = pack(&self.root, &subject, &frame);
        if self.rings.try_send((subject, packed)).is_err() {
            tracing::warn!("the bus does not keep up: a ring is lost");
        }
    }

    /// Hears what concerns an account until the guard is dropped.
    pub(super) fn follow(&self, account: AccountId) -> DropGuard {
        let end = CancellationToken::new();
        let _ = self.follows.send((account, end.clone()));
        end.drop_guard()
    }

    /// Lets the holder of a pairing put a scanned ask.
    pub(super) async fn scan(&self, holder: NodeTag, scan: Scan) -> Result<(), Error> {
        let frame = Frame::Scan { pairing: scan.pairing.0, account: scan.account.0 };
        self.ask(holder, &frame).await?.into_outcome()
    }

    pub(super) async fn holds(&self, pairing: PairingId, holder: NodeTag) -> bool {
        let asked = self.ask(holder, &Frame::Holds { pairing: pairing.0 }).await;
        matches!(asked, Ok(Reply::Held { held: true }))
    }

    /// Asks one node something.
    ///
    /// # Errors
    /// `Expired` when there is no such node; `Busy` when it does not answer.
    async fn ask(&self, holder: NodeTag, frame: &Frame) -> Result<Reply, Error> {
        let busy = || Error::Busy(Auth::BUSY);
        if !self.is_up() {
            return Err(busy());
        }
        let subject = node_subject(holder);
        let packed = pack(&self.root, &subject, frame);
        match self.client.request(subject.clone(), packed.into()).await {
            Ok(answer) => unpack(&self.root, &reply_subject(&subject), &answer.payload).ok_or_else(busy),
            Err(e) if e.kind() == async_nats::client::RequestErrorKind::NoResponders => Err(Error::Expired),
            Err(_) => Err(busy()),
        }
    }

    /// Sends rings and takes those of others, for ever.
    pub(super) async fn run(&self, here: &Arc<Here>) {
        let Some(mut ends) = self.ends.lock().take() else { return };
        let own = node_subject(here.tag);
        let mut heard: SelectAll<BoxStream<'static, async_nats::Message>> = SelectAll::new();
        match self.client.subscribe(own).await {
            Ok(subscriber) => heard.push(subscriber.boxed()),
            Err(e) => {
                tracing::error!(error = %e, "bus");
                return;
            }
        }
        loop {
            tokio::select! {
                Some((account, end)) = ends.follows.recv() => match self.client.subscribe(account_subject(account)).await {
                    Ok(subscriber) => heard.push(until(subscriber, end)),
                    Err(e) => tracing::warn!(error = %e, "an account's rings are not heard"),
                },
                Some((subject, packed)) = ends.rings.recv() => {
                    if let Err(e) = self.client.publish(subject, packed.into()).await {
                        tracing::warn!(error = %e, "a ring is lost");
                    }
                }
                Some(message) = heard.next() => self.take(here, message),
                else => return,
            }
        }
    }

    fn take(&self, here: &Arc<Here>, message: async_nats::Message) {
        let Some(frame) = unpack::<Frame>(&self.root, &message.subject, &message.payload) else {
            tracing::warn!("a ring without the nodes' common key is dropped");
            return;
        };
        let Some(question) = here.take(frame) else { return };
        let Some(reply_to) = message.reply else { return };
        let (nats, subject) = (self.clone(), reply_subject(&message.subject));
        // A scan waits for its browser's socket; other rings don't wait for it.
        tokio::spawn(async move {
            let packed = pack(&nats.root, &subject, &question.answer().await);
            let _ = nats.client.publish(reply_to, packed.into()).await;
        });
    }
}

/// A subscription that ends with its guard; the client gives it back when it is dropped.
fn until(subscriber: Subscriber, end: CancellationToken) -> BoxStream<'static, async_nats::Message> {
    subscriber.take_until(end.cancelled_owned()).boxed()
}

fn log(event: &Event) {
    match event {
        Event::Connected => tracing::info!("bus: connected"),
        Event::Disconnected => tracing::warn!("bus: away; other nodes are reached through the store"),
        Event::SlowConsumer(_) => tracing::warn!("bus: rings were lost here"),
        Event::LameDuckMode
        | Event::Draining
        | Event::Closed
        | Event::ServerError(_)
        | Event::ClientError(_) => tracing::debug!(%event, "bus"),
    }
}
