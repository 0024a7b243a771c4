//! Parked frames: between messages a socket holds its stream and nothing else.
//!
//! tungstenite's protocol context lives on the stack while bytes are at hand. It is kept, boxed, only while a message
//! is incomplete, output is blocked, or the closing handshake is under way. Reading goes into one scratch buffer per
//! thread.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};

/// What is read at once, and so the most that may wait to be handled.
const SCRATCH: usize = 16 * 1024;
/// Output that a slow reader may leave waiting before it is closed.
const MAX_OUTPUT: usize = 64 * 1024;

thread_local! {
    static SCRATCH_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// The connection is over; nothing can be sent or read any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gone;

/// A WebSocket over a stream that is parked between messages.
pub(super) struct Frames<S> {
    stream: S,
    live: Option<Box<Live>>,
    phase: Phase,
    is_blocked: bool,
    max_message: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    /// A close frame was sent or received.
    Closing,
    /// The peer broke the protocol: it was told, and what it still sends is thrown away until it hangs up. Closing the
    /// TCP connection with unread bytes would take the close frame back.
    Lingering,
    /// The closing handshake is done; what was said before it is still to be handled.
    Closed,
}

/// The protocol's state in the middle of something.
struct Live {
    context: WebSocketContext,
    boundary: Boundary,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(super) fn new(stream: S, max_message: usize) -> Self {
        let max_message = u32::try_from(max_message).unwrap_or(u32::MAX);
        Self { stream, live: None, phase: Phase::Open, is_blocked: false, max_message }
    }

    /// Whether a close frame was sent or received: nothing is handled any more.
    pub(super) fn is_closing(&self) -> bool {
        self.phase != Phase::Open
    }

    /// Whether output waits for the peer to read.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Sends a text frame, as far as the peer reads it; nothing once the socket is closing.
    pub(super) fn send(&mut self, text: String) -> Result<(), Gone> {
        if self.is_closing() {
            return Ok(());
        }
        self.write(Message::Text(Utf8Bytes::from(text)))
    }

    /// Sends a ping.
    pub(super) fn ping(&mut self) -> Result<(), Gone> {
        self.write(Message::Ping(Bytes::new()))
    }

    /// Begins the closing handshake.
    pub(super) fn close(&mut self, code: CloseCode, reason: &'static str) -> Result<(), Gone> {
        if self.is_closing() {
            return Ok(());
        }
        self.write(Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })))
    }

    /// Feeds bytes that came with the handshake.
    pub(super) fn feed(&mut self, bytes: &[u8], inbox: &mut Vec<String>) -> Result<(), Gone> {
        let mut cx = Context::from_waker(Waker::noop());
        if bytes.is_empty() { Ok(()) } else { self.step(&mut cx, bytes, None, inbox) }
    }

    /// Sends what is blocked. Ready when all of it is sent, or the connection is gone.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        self.step(cx, &[], None, &mut Vec::new())?;
        if self.is_blocked { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Sends what is blocked; reads when nothing is. Ready when text came in, or the connection is gone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, inbox: &mut Vec<String>) -> Poll<Result<(), Gone>> {
        loop {
            if self.phase == Phase::Closed {
                return Poll::Ready(Err(Gone));
            }
            if self.is_blocked {
                self.step(cx, &[], None, inbox)?;
                if self.is_blocked {
                    return Poll::Pending;
                }
            }
            let read = SCRATCH_BUFFER.with_borrow_mut(|scratch| {
                let mut buf = ReadBuf::new(scratch);
                match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(_)) => Poll::Ready(Err(Gone)),
                    Poll::Ready(Ok(())) if buf.filled().is_empty() => Poll::Ready(Err(Gone)),
                    Poll::Ready(Ok(())) if self.phase == Phase::Lingering => Poll::Ready(Ok(())),
                    Poll::Ready(Ok(())) => Poll::Ready(self.step(cx, buf.filled(), None, inbox)),
                }
            });
            std::task::ready!(read)?;
            if self.phase != Phase::Lingering {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn write(&mut self, message: Message) -> Result<(), Gone> {
        // What can't be written now is written by `poll`, which brings a real waker.
        let mut cx = Context::from_waker(Waker::noop());
        self.step(&mut cx, &[], Some(message), &mut Vec::new())
    }

    /// One step of the protocol: input to messages, output to the stream, then parked again if possible.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        input: &[u8],
        output: Option<Message>,
        inbox: &mut Vec<String>,
    ) -> Result<(), Gone> {
        if self.phase == Phase::Lingering {
            return Ok(());
        }
        let kept = self.live.take();
        let mut live = kept.map_or_else(|| Live::new(self.max_message as usize), |boxed| *boxed);
        let at_boundary = live.boundary.feed(input);
        let mut bridge = Bridge { input, stream: &mut self.stream, cx };
        self.is_blocked = false;
        if let Some(message) = output {
            let closes = matches!(message, Message::Close(_));
            let written = match message {
                Message::Close(frame) => live.context.close(&mut bridge, frame),
                Message::Text(_)
                | Message::Ping(_)
                | Message::Binary(_)
                | Message::Pong(_)
                | Message::Frame(_) => live.context.write(&mut bridge, message),
            };
            self.is_blocked |= blocked(written)?;
            self.phase = if closes { Phase::Closing } else { self.phase };
        }
        self.phase = match live.read_all(&mut bridge, self.phase, inbox) {
            Ok(phase) => phase,
            Err(Gone) if inbox.is_empty() => return Err(Gone),
            Err(Gone) => {
                self.phase = Phase::Closed;
                return Ok(());
            }
        };
        self.is_blocked |= blocked(live.context.flush(&mut bridge))?;
        if self.phase == Phase::Lingering {
            let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
            return Ok(());
        }
        if !at_boundary || self.is_blocked || self.phase == Phase::Closing {
            self.live = Some(Box::new(live));
        }
        Ok(())
    }
}

impl Live {
    fn new(max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(512)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_OUTPUT)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        Self { context: WebSocketContext::new(Role::Server, Some(config)), boundary: Boundary::default() }
    }

    /// Reads every message that is complete.
    fn read_all<S>(
        &mut self,
        bridge: &mut Bridge<'_, '_, S>,
        phase: Phase,
        inbox: &mut Vec<String>,
    ) -> Result<Phase, Gone>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut phase = phase;
        loop {
            let refused = match self.context.read(bridge) {
                Ok(Message::Text(text)) if phase == Phase::Open => {
                    inbox.push(text.as_str().to_owned());
                    continue;
                }
                Ok(Message::Binary(_)) if phase == Phase::Open => {
                    (CloseCode::Unsupported, "text frames only")
                }
                Ok(Message::Close(_)) => {
                    phase = Phase::Closing;
                    continue;
                }
                Ok(_) => continue,
                Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => return Ok(phase),
                Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)) => return Err(Gone),
                Err(Error::Utf8(_)) => (CloseCode::Invalid, "not UTF-8"),
                Err(Error::Capacity(_)) => (CloseCode::Size, "message too large"),
                Err(_) => (CloseCode::Protocol, "protocol error"),
            };
            let (code, reason) = refused;
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            let _ = self.context.close(bridge, Some(frame));
            return Ok(Phase::Lingering);
        }
    }
}

/// Whether output is blocked, or the connection gone.
fn blocked(written: Result<(), Error>) -> Result<bool, Gone> {
    match written {
        Ok(()) => Ok(false),
        Err(Error::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(_) => Err(Gone),
    }
}

/// Lets the synchronous protocol read from a slice and write to a stream.
struct Bridge<'a, 'c, S> {
    input: &'a [u8],
    stream: &'a mut S,
    cx: &'a mut Context<'c>,
}

impl<S> Read for Bridge<'_, '_, S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.input.read(buf) }
    }
}

impl<S: AsyncWrite + Unpin> Write for Bridge<'_, '_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.stream).poll_write(self.cx, buf) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match Pin::new(&mut *self.stream).poll_flush(self.cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// The longest frame header (RFC 6455 §5.2): two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;

/// Follows frame boundaries only, to know when nothing is incomplete.
#[derive(Default)]
struct Boundary {
    header: [u8; MAX_HEADER],
    have: usize,
    /// Payload bytes still to come.
    left: u64,
    /// A message has begun and not ended.
    is_fragmented: bool,
    /// The header made no sense; the protocol will say so.
    is_lost: bool,
}

impl Boundary {
    /// Whether everything fed so far ends with a complete message.
    fn feed(&mut self, mut bytes: &[u8]) -> bool {
        while !self.is_lost {
            let skip = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= skip as u64;
            bytes = &bytes[skip..];
            let Some((first, rest)) = bytes.split_first() else { break };
            self.header[self.have] = *first;
            self.have += 1;
            bytes = rest;
            self.read_header();
        }
        !self.is_lost && self.left == 0 && self.have == 0 && !self.is_fragmented
    }

    fn read_header(&mut self) {
        match FrameHeader::parse(&mut io::Cursor::new(&self.header[..self.have])) {
            Ok(None) => self.is_lost = self.have == MAX_HEADER,
            Ok(Some((header, length))) => {
                self.have = 0;
                self.left = length;
                if let OpCode::Data(Data::Text | Data::Binary | Data::Continue) = header.opcode {
                    self.is_fragmented = !header.is_final;
                }
            }
            Err(_) => self.is_lost = true,
        }
    }
}

#[cfg(test)]
mod tests;
