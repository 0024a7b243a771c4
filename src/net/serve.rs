//! The accept loop: every connection in a tracked task, with limits on how long a head may take and how large it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::crowd::{Crowd, Place, Plain};
use super::stream::Kind;
use super::{Peer, Stream};

/// Where sockets are opened; a request there is a handshake and nothing else.
pub(crate) const SOCKET_PATH: &str = "/ws";

/// A request's head beyond this is refused (431).
const MAX_HEAD: usize = 16 * 1024;
/// After a failed accept (no file handles, say) the loop takes breath.
const BREATH: Duration = Duration::from_millis(50);

/// File handles that sockets leave to requests, the store and the log.
const RESERVED_FILES: usize = 512;

/// How many sockets the process may hold before it would run out of file handles; `None` when the system does not say.
pub(crate) fn free_files() -> Option<usize> {
    open_files().map(|soft| soft.saturating_sub(RESERVED_FILES).max(soft / 2))
}

fn open_files() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many connections the process may have in all: sockets leave some of them to requests, and these leave file handles
/// to the store and the log.
pub(crate) fn free_connections() -> Option<usize> {
    Some(usize::midpoint(free_files()?, open_files()?))
}

/// How connections are treated.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) header_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// Accepts until `stop`; connections then finish the request they are at.
pub(crate) async fn serve(listener: TcpListener, app: Router, how: Connections) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = how.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // One that has too many is closed without an answer: an answer could wait for a client that reads nothing.
                let Some((place, plain)) = how.crowd.enter(peer.ip()) else { continue };
                let (app, connection) = (app.clone(), how.clone());
                how.tracker
                    .spawn(async move { connection.run(stream, (place, plain), Peer(peer), app).await });
            }
            Err(e) => {
                tracing::warn!(error = %e, "accept");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

impl Connections {
    async fn run(self, stream: TcpStream, (place, plain): (Place, Option<Plain>), peer: Peer, app: Router) {
        // Frames are small and waited for: Nagle's algorithm would hold them back.
        let _ = stream.set_nodelay(true);
        let kind = match &self.tls {
            None => Kind::Plain(stream),
            Some(tls) => match tokio::time::timeout(self.header_timeout, tls.accept(stream)).await {
                Ok(Ok(stream)) => Kind::Tls(Box::new(stream)),
                Ok(Err(_)) | Err(_) => return,
            },
        };
        let stream = Stream::new(kind, self.write_timeout, place);
        let service = Tagged { app, peer, tracker: self.tracker.clone() };
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.header_timeout).max_buf_size(MAX_HEAD);
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let makes_room = async {
            match &plain {
                Some(plain) => plain.ended().await,
                None => std::future::pending().await,
            }
        };
        let finished = tokio::select! {
            finished = connection.as_mut() => finished,
            () = makes_room => return,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(e) = finished {
            tracing::debug!(error = %e, "connection");
        }
    }
}

/// Puts the peer's address into every request, and runs each in a task of its own: hyper drops what it awaits when a
/// client hangs up, and a guess whose client did not wait for the answer must be checked and counted all the same.
#[derive(Clone)]
struct Tagged {
    app: Router,
    peer: Peer,
    tracker: TaskTracker,
}

// hyper's own trait: what stands between it and tower's is polled only later, and not at all when the end of the
// connection is read together with the request.
impl hyper::service::Service<hyper::Request<hyper::body::Incoming>> for Tagged {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn call(&self, mut request: hyper::Request<hyper::body::Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let is_handshake = request.method() == Method::GET && request.uri().path() == SOCKET_PATH;
        let answer = tower_service::Service::call(&mut self.app.clone(), request);
        // A handshake guesses nothing, and ten thousand tasks of them at once would leave holes in the memory.
        if is_handshake {
            return Box::pin(answer);
        }
        let task = self.tracker.spawn(answer);
        Box::pin(async move {
            task.await.unwrap_or_else(|died| {
                tracing::error!(error = %died, "a request's task has died");
                Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
            })
        })
    }
}
