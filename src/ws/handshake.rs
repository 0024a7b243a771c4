//! The handshake (RFC 6455 §4.2; docs/protocol.md, "Handshake"): which clients may open a socket, and handing the raw
//! stream to a task of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Front;
use super::socket::Socket;
use crate::broker::{Full, Mailbox, Seat};
use crate::net::{Parked, Peer, Stream, client_address};

/// Seconds after which a client that found no place may try again.
const COME_BACK: &str = "10";

/// How soon a socket in a place that is kept for phones has to be `ready`.
const SOON: Duration = Duration::from_secs(5);

pub(super) async fn upgrade(
    State(front): State<Front>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
) -> Response {
    let headers = request.headers();
    let Some(accept) = accept_key(headers) else {
        let wanted = [(UPGRADE, "websocket"), (CONNECTION, "Upgrade"), (SEC_WEBSOCKET_VERSION, "13")];
        return refuse(StatusCode::UPGRADE_REQUIRED, wanted, "this address speaks WebSocket");
    };
    if !front.origins.allow(headers) {
        log_refused_origin(&front);
        return refuse(StatusCode::FORBIDDEN, [], "this origin may not open sockets");
    }
    if front.broker.is_draining() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")], "stopping");
    }
    let source = client_address(headers, peer, &front.trusted_proxies);
    let seat = match take_seat(&front, source) {
        Ok(seat) => seat,
        Err(Full::Source) => {
            return refuse(StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, COME_BACK)], "too many sockets");
        }
        Err(Full::All) => {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, COME_BACK)], "no socket is free");
        }
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let tracker = front.tracker.clone();
    tracker.spawn(async move {
        // A short task of its own: what the upgrade needs is gone before the socket begins to wait.
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else { return };
        let mut socket = open(&front, source, seat, parts.io.into_inner().park());
        if socket.feed(&parts.read_buf).is_ok() {
            front.tracker.spawn(socket.run());
        }
    });
    let head = [(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_ACCEPT, accept.as_str())];
    (StatusCode::SWITCHING_PROTOCOLS, head).into_response()
}

/// Once a minute at most, and without the stranger's text: the usual cause is a public URL that is not the one in the
/// address bar.
fn log_refused_origin(front: &Front) {
    let minute = front.broker.auth.clock.uptime().as_secs() / 60;
    if front.origin_logged.swap(minute, Ordering::Relaxed) != minute {
        tracing::warn!(
            "a handshake was refused: its Origin is neither server.public_url nor in server.allowed_origins"
        );
    }
}

fn open(front: &Front, source: std::net::IpAddr, seat: Seat, stream: Parked) -> Socket<Parked> {
    let (clock, config) = (&front.broker.auth.clock, &front.broker.auth.config.socket);
    // Spread out over the interval: sockets that came together are not pinged together.
    let spread = config.ping_every.mul_f64(f64::from(u8::try_from(seat.id() % 256).unwrap_or(0)) / 512.0);
    let mailbox = Arc::new(Mailbox::new(clock.uptime() + config.ping_every - spread));
    let patience = if seat.is_kept() { config.first_message.min(SOON) } else { config.first_message };
    mailbox.set_due(Some(clock.uptime() + patience));
    seat.sit(mailbox.clone());
    if front.broker.is_draining() {
        mailbox.push(crate::broker::Notice::Drain);
    }
    Socket::new(front.broker.clone(), source, seat, mailbox, stream)
}

fn take_seat(front: &Front, source: std::net::IpAddr) -> Result<Seat, Full> {
    let auth = &front.broker.auth;
    let config = &auth.config.socket;
    let per_source = auth.limits.scaled(config.per_source);
    front.broker.sockets.take(source, per_source, front.total)
}

/// `Sec-WebSocket-Accept`, when the request is a handshake of version 13.
fn accept_key(headers: &HeaderMap) -> Option<String> {
    let has = |name: HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .any(|v| v.split(',').any(|t| t.trim().eq_ignore_ascii_case(word)))
    };
    let is_handshake =
        has(UPGRADE, "websocket") && has(CONNECTION, "upgrade") && has(SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    // Sixteen bytes in base64 (RFC 6455 §4.1).
    (is_handshake && key.len() == 24 && key.ends_with(b"==")).then(|| derive_accept_key(key))
}

fn refuse<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, &'static str); N],
    text: &'static str,
) -> Response {
    (status, headers, text).into_response()
}
