//! A connection, plain or over TLS, as one type: a parked socket gets it back from hyper by this name.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use super::crowd::Place;

/// An accepted connection.
pub(crate) struct Stream {
    kind: Kind,
    /// How long the peer may read nothing of what waits for it; `None` for ever.
    write_timeout: Option<Duration>,
    /// Runs while the peer reads nothing.
    blocked: Option<Pin<Box<Sleep>>>,
    /// Boxed: a connection that is not counted, or that waits as a socket, pays a pointer.
    _place: Box<Place>,
}

pub(super) enum Kind {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(super) fn new(kind: Kind, write_timeout: Duration, place: Place) -> Self {
        Self { kind, write_timeout: Some(write_timeout), blocked: None, _place: Box::new(place) }
    }

    /// Ends the write timeout: a socket notices by its pings that its peer reads nothing.
    pub(crate) fn without_write_timeout(self) -> Self {
        Self { write_timeout: None, blocked: None, ..self }
    }

    /// Fails what has been pending for too long.
    fn timed<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Some(timeout) = self.write_timeout.filter(|_| polled.is_pending()) else {
            self.blocked = None;
            return polled;
        };
        let blocked = self.blocked.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        blocked.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

macro_rules! either {
    ($self:expr, $inner:ident => $call:expr) => {
        match &mut $self.kind {
            Kind::Plain(stream) => {
                let $inner = Pin::new(stream);
                $call
            }
            Kind::Tls(stream) => {
                let $inner = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = either!(self, stream => stream.poll_write(cx, buf));
        self.timed(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = either!(self, stream => stream.poll_flush(cx));
        self.timed(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = either!(self, stream => stream.poll_shutdown(cx));
        self.timed(cx, polled)
    }
}
