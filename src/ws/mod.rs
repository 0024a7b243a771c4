//! The socket: handshake, one parked read/write loop, and all of its JSON.

mod actions;
mod frames;
mod handshake;
mod socket;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::Router;
use axum::routing::get;
use tokio_util::task::TaskTracker;

use crate::broker::Broker;
use crate::net::{Origins, SOCKET_PATH};

/// What the socket's route needs.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) broker: Arc<Broker>,
    pub(crate) origins: Arc<Origins>,
    pub(crate) trusted_proxies: Arc<[ipnet::IpNet]>,
    pub(crate) tracker: TaskTracker,
    /// How many sockets there may be in all.
    pub(crate) total: Option<usize>,
    /// The minute of uptime in which a refused origin was logged last.
    pub(crate) origin_logged: Arc<AtomicU64>,
}

/// `GET /ws`.
pub(crate) fn routes(front: Front) -> Router {
    Router::new().route(SOCKET_PATH, get(handshake::upgrade)).with_state(front)
}

/// Where a socket's client is.
type Source = IpAddr;

/// Whether a text frame approves a login.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn is_yes(text: &str) -> bool {
    matches!(wire::parse(text), Ok(wire::Incoming::Answer { approved: true, .. }))
}

/// The texts in the bytes of a socket, up to the first breach of the protocol.
#[cfg(any(test, feature = "fuzz"))]
pub(crate) fn texts_of(parts: &[&[u8]]) -> Vec<String> {
    let (mut frames, mut texts) = (frames::Frames::new(tokio::io::empty(), 8192), Vec::new());
    let _ = parts.iter().try_for_each(|part| frames.feed(part, &mut texts));
    texts
}
