//! One socket's task: notices from others first, then what the client sends, one at a time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::frames::{Frames, Gone};
use super::{Source, wire};
use crate::broker::{Broker, BrowserSession, Mailbox, Notice, PhoneSession, Recheck, Seat, Verdict};
use crate::turns::{self, Who};

/// How long a peer may take to answer a close frame.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);
/// Pings that may stay unanswered.
const MAX_UNANSWERED: u8 = 2;

/// The reason of a close that makes room for others.
const FULL: &str = "no socket is free, come back";

/// The session was taken over by another socket: don't come back (docs/protocol.md, "Close codes").
const TAKEN_OVER: CloseCode = CloseCode::Library(4001);
/// The phone's session or device has ended: sign in again.
const SIGNED_OUT: CloseCode = CloseCode::Library(4003);

/// A socket: parked frames, a mailbox, and what it has become.
pub(super) struct Socket<S> {
    pub(super) broker: Arc<Broker>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) source: Source,
    pub(super) browser: Option<Box<BrowserSession>>,
    pub(super) phone: Option<Box<PhoneSession>>,
    /// When `readyLogin` and `resumeLogin` were said within the last minute, in seconds of uptime.
    pub(super) hellos: Vec<u32>,
    frames: Frames<S>,
    waiting: Option<Box<Waiting>>,
    unanswered: u8,
    /// A close frame was sent or received.
    is_ending: bool,
    seat: Seat,
}

/// What came in and was not handled yet; held only while there is something.
#[derive(Default)]
struct Waiting {
    notices: VecDeque<Notice>,
    texts: VecDeque<String>,
}

enum Event {
    Notice(Notice),
    Text(String),
}

/// Goes on, or ends the socket.
pub(super) type Flow = ControlFlow<()>;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket<S> {
    pub(super) fn new(
        broker: Arc<Broker>,
        source: Source,
        seat: Seat,
        mailbox: Arc<Mailbox>,
        stream: S,
    ) -> Self {
        let frames = Frames::new(stream, broker.auth.config.socket.max_message);
        Self {
            broker,
            mailbox,
            source,
            browser: None,
            phone: None,
            hellos: Vec::new(),
            frames,
            waiting: None,
            unanswered: 0,
            is_ending: false,
            seat,
        }
    }

    /// Takes in what came together with the handshake.
    pub(super) fn feed(&mut self, early: &[u8]) -> Result<(), Gone> {
        let mut texts = Vec::new();
        self.frames.feed(early, &mut texts)?;
        if !texts.is_empty() {
            self.waiting.get_or_insert_default().texts.extend(texts);
        }
        Ok(())
    }

    /// Runs the socket until it is gone. A block rather than an `async fn`, whose future would hold the socket twice.
    #[expect(clippy::manual_async_fn, reason = "a waiting socket would cost twice as much")]
    pub(super) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            while let Ok(event) = poll_fn(|cx| self.poll(cx)).await {
                // Boxed, so that a waiting socket does not pay for what a message needs while it is handled.
                if Box::pin(self.handle(event)).await.is_break() {
                    return;
                }
            }
        }
    }

    pub(super) fn send(&mut self, text: String) -> Flow {
        self.sent(|frames| frames.send(text))
    }

    /// Begins to close; the client has a while to agree.
    pub(super) fn close(&mut self, code: CloseCode, reason: &'static str) -> Flow {
        self.let_go();
        // What waits was said to a socket that is no more.
        self.waiting = None;
        self.sent(|frames| frames.close(code, reason))
    }

    fn sent(&mut self, send: impl FnOnce(&mut Frames<S>) -> Result<(), Gone>) -> Flow {
        match send(&mut self.frames) {
            Ok(()) => Flow::Continue(()),
            Err(Gone) => Flow::Break(()),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Gone>> {
        loop {
            if let Poll::Ready(notices) = self.mailbox.poll(cx) {
                self.waiting.get_or_insert_default().notices.extend(notices);
            }
            if let Some(event) = self.next_waiting() {
                return Poll::Ready(Ok(event));
            }
            if self.waiting.is_some() {
                // Texts wait until the replies to those before them are read: a peer that does not read is not heard.
                std::task::ready!(self.frames.poll_flush(cx))?;
                continue;
            }
            let mut texts = Vec::new();
            let polled = self.frames.poll(cx, &mut texts);
            if !texts.is_empty() {
                // What was said before a close frame or a breach counts, whatever came with it.
                self.waiting.get_or_insert_default().texts.extend(texts);
                self.unanswered = 0;
                continue;
            }
            if self.frames.is_closing() {
                // Also when nothing came: a peer that broke the protocol may say nothing more for ever.
                self.let_go();
            }
            std::task::ready!(polled)?;
            self.unanswered = 0;
        }
    }

    /// Notices come before what the client sent: a late answer loses to a deadline.
    fn next_waiting(&mut self) -> Option<Event> {
        let waiting = self.waiting.as_mut()?;
        let event = match waiting.notices.pop_front() {
            Some(notice) => Some(Event::Notice(notice)),
            None if self.frames.is_blocked() && !waiting.texts.is_empty() => return None,
            None => waiting.texts.pop_front().map(Event::Text),
        };
        if event.is_none() {
            self.waiting = None;
        }
        event
    }

    /// Whoever closes has gone; the peer has a while to finish the handshake.
    fn let_go(&mut self) {
        if !std::mem::replace(&mut self.is_ending, true) {
            self.browser = None;
            self.phone = None;
            self.mailbox.set_due(Some(self.broker.auth.clock.uptime() + CLOSE_PATIENCE));
        }
    }

    async fn handle(&mut self, event: Event) -> Flow {
        match event {
            Event::Notice(notice) => turns::for_notice(self.who(), self.on_notice(notice)).await,
            Event::Text(text) => turns::for_request(self.who(), self.on_text(&text)).await,
        }?;
        self.hold_place()
    }

    /// Says what the socket's place is worth to it now, and leaves one that is kept for phones if it is none.
    fn hold_place(&mut self) -> Flow {
        let is_asked = self.browser.as_ref().is_some_and(|browser| browser.is_asked());
        self.mailbox.set_settled(self.phone.is_some() || is_asked);
        if self.is_ending || !self.seat.is_kept() {
            return Flow::Continue(());
        }
        let device = self.phone.as_ref().map(|phone| phone.device());
        let stays = device.map_or(self.browser.is_none(), |device| self.seat.give_to(device));
        if stays { Flow::Continue(()) } else { self.close(CloseCode::Again, FULL) }
    }

    /// In whose line this socket waits for what all share.
    fn who(&self) -> Who {
        self.phone.as_ref().map_or_else(|| Who::at(self.source), |phone| Who::Account(phone.account()))
    }

    async fn on_notice(&mut self, notice: Notice) -> Flow {
        match notice {
            Notice::Drain => self.close(CloseCode::Away, "come back"),
            Notice::Displaced => self.close(CloseCode::Again, FULL),
            Notice::Overflow => self.close(CloseCode::Policy, "too slow"),
            Notice::Due => self.on_due().await,
            Notice::Ping if self.unanswered >= MAX_UNANSWERED => Flow::Break(()),
            Notice::Ping if self.frames.is_closing() => Flow::Continue(()),
            Notice::Ping => {
                self.unanswered += 1;
                self.sent(Frames::ping)
            }
            Notice::TakenOver(pairing) if self.browser.as_ref().is_some_and(|own| own.id() == pairing) => {
                self.close(TAKEN_OVER, "taken over")
            }
            // It waits on another one by now.
            Notice::TakenOver(_) => Flow::Continue(()),
            Notice::Settled => self.settle().await,
            Notice::Scan(question) => {
                let (scan, reply) = *question;
                let Some(browser) = &mut self.browser else { return Flow::Continue(()) };
                let outcome = browser.scanned(&self.broker, scan).await;
                let told = outcome.is_ok().then(|| wire::message_sent(Some(browser.time_left(&self.broker))));
                // A phone that hung up meanwhile has asked all the same.
                let _ = reply.send(outcome);
                told.map_or(Flow::Continue(()), |frame| self.send(frame))
            }
            Notice::Ask(_)
                if self.phone.as_ref().is_some_and(|phone| phone.is_stale(self.broker.auth.clock.now())) =>
            {
                self.recheck().await
            }
            Notice::Ask(view) => {
                let is_new = self.phone.as_mut().is_some_and(|phone| phone.shows(&view));
                if is_new { self.show(&[view.as_ref().clone()]) } else { Flow::Continue(()) }
            }
            Notice::Resolved(over) => {
                let was_shown = self.phone.as_mut().is_some_and(|phone| phone.hides(&over));
                if was_shown { self.send(wire::resolved(&over)) } else { Flow::Continue(()) }
            }
            Notice::Recheck => self.recheck().await,
        }
    }

    async fn on_due(&mut self) -> Flow {
        if self.frames.is_closing() {
            return Flow::Break(());
        }
        if self.browser.is_some() {
            return self.settle().await;
        }
        match self.phone {
            Some(_) => Flow::Continue(()),
            None if self.seat.is_kept() => self.close(CloseCode::Again, FULL),
            None => self.close(CloseCode::Policy, "no role was taken"),
        }
    }

    async fn settle(&mut self) -> Flow {
        let Some(browser) = &mut self.browser else { return Flow::Continue(()) };
        match browser.settle(&self.broker).await {
            Ok(verdict) => self.tell(verdict),
            Err(e) => {
                tracing::warn!(error = %e, "a pairing can't be looked at; trying again");
                Flow::Continue(())
            }
        }
    }

    /// Tells a browser how its pairing stands; the last word closes its socket.
    pub(super) fn tell(&mut self, verdict: Verdict) -> Flow {
        let last_word = match verdict {
            Verdict::Wait => return Flow::Continue(()),
            Verdict::Approved(ticket) => wire::answer(Some(&ticket)),
            Verdict::Refused => wire::answer(None),
            Verdict::Expired => wire::error(&crate::auth::Error::Expired),
        };
        self.send(last_word)?;
        self.close(CloseCode::Normal, "done")
    }

    async fn recheck(&mut self) -> Flow {
        let Some(phone) = &mut self.phone else { return Flow::Continue(()) };
        match phone.recheck(&self.broker).await {
            Ok(Recheck::Ended) => self.close(SIGNED_OUT, "signed out"),
            Ok(Recheck::Goes { new, was_stopped }) => {
                if was_stopped {
                    self.send(wire::phone_stopped())?;
                }
                self.show(&new)
            }
            Err(e) => {
                // Closed rather than trusted: the phone comes back and is looked at again.
                tracing::warn!(error = %e, "a session can't be looked at");
                self.close(CloseCode::Again, "come back")
            }
        }
    }

    pub(super) fn show(&mut self, asks: &[crate::auth::AskView]) -> Flow {
        let now = self.broker.auth.clock.now();
        asks.iter().try_for_each(|ask| self.send(wire::ask(ask, now)))
    }
}
