//! The server's end of a connection: the socket's task as `ws/socket.rs` has it, without frames and JSON.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use super::line::{Line, Said};
use super::witness::{Shared, Told};
use super::world::HERE;
use crate::auth::{AskView, Error};
use crate::broker::{Broker, BrowserSession, Mailbox, Notice, PhoneSession, Recheck, Seat, Verdict, answer};
use crate::domain::ids::PairingId;
use crate::domain::pairing::Browser;
use crate::domain::secret::{AccessToken, ResumeSecret};

/// The server's end.
pub(super) struct Socket {
    broker: Arc<Broker>,
    mailbox: Arc<Mailbox>,
    notices: VecDeque<Notice>,
    line: Rc<Line>,
    witness: Shared,
    browser: Option<BrowserSession>,
    phone: Option<PhoneSession>,
    _seat: Seat,
}

type Flow = ControlFlow<()>;
const GO_ON: Flow = Flow::Continue(());
const END: Flow = Flow::Break(());

impl Socket {
    pub(super) fn new(broker: Arc<Broker>, line: Rc<Line>, witness: Shared) -> Self {
        let seat = broker.sockets.take(HERE, None, None).unwrap();
        let every = broker.auth.config.socket.ping_every;
        let mailbox = Arc::new(Mailbox::new(broker.auth.clock.uptime() + every));
        seat.sit(mailbox.clone());
        let (notices, browser, phone) = (VecDeque::new(), None, None);
        Self { broker, mailbox, notices, line, witness, browser, phone, _seat: seat }
    }

    /// Until the server closes it.
    pub(super) async fn run(mut self) {
        loop {
            let flow = match self.next().await {
                Ok(notice) => self.on_notice(notice).await,
                Err(said) => self.on_said(said).await,
            };
            if flow.is_break() {
                self.line.is_closed.set(true);
                self.line.holds.set(None);
                return;
            }
        }
    }

    /// Notices come before what the client has said.
    async fn next(&mut self) -> Result<Notice, Said> {
        poll_fn(|cx| {
            if let Poll::Ready(notices) = self.mailbox.poll(cx) {
                self.notices.extend(notices);
            }
            if let Some(notice) = self.notices.pop_front() {
                return Poll::Ready(Ok(notice));
            }
            self.line.waker.replace(Some(cx.waker().clone()));
            let said = self.line.said.borrow_mut().pop_front();
            said.map_or(Poll::Pending, |said| Poll::Ready(Err(said)))
        })
        .await
    }

    async fn on_notice(&mut self, notice: Notice) -> Flow {
        let now = self.broker.auth.clock.now();
        match notice {
            Notice::Drain | Notice::Overflow | Notice::Displaced => END,
            Notice::TakenOver(id) if self.browser.as_ref().is_some_and(|own| own.id() == id) => END,
            Notice::Ping | Notice::TakenOver(_) => GO_ON,
            Notice::Due | Notice::Settled => self.settle().await,
            Notice::Scan(question) => {
                let (scan, reply) = *question;
                if let Some(browser) = &mut self.browser {
                    let _ = reply.send(browser.scanned(&self.broker, scan).await);
                }
                GO_ON
            }
            Notice::Ask(_) if self.phone.as_ref().is_some_and(|phone| phone.is_stale(now)) => {
                self.recheck().await
            }
            Notice::Ask(view) => {
                if self.phone.as_mut().is_some_and(|phone| phone.shows(&view)) {
                    self.show(&[view.as_ref().clone()]);
                    self.witness.borrow_mut().rung(&self.line, &view);
                }
                GO_ON
            }
            Notice::Resolved(over) => {
                if self.phone.as_mut().is_some_and(|phone| phone.hides(&over)) {
                    let wait = self.witness.borrow().wait_of(over.pairing);
                    self.line.screen.borrow_mut().retain(|one| (Some(one.0), one.1) != (wait, over.number));
                }
                GO_ON
            }
            Notice::Recheck => self.recheck().await,
        }
    }

    async fn on_said(&mut self, said: Said) -> Flow {
        let outcome = match said.clone() {
            Said::ReadyLogin(wait) => self.ready_login(wait).await,
            Said::Resume { wait, id, secret, .. } => self.resume(wait, id, &secret).await,
            Said::Ask { account, .. } => match &mut self.browser {
                Some(browser) => browser.ask(&self.broker, account).await.map(|()| GO_ON),
                None => Err(Error::NotAuthenticated),
            },
            Said::Ready { token } => self.ready(&token).await,
            Said::Answer { id, approved, token, .. } => {
                answer(&self.broker, self.phone.as_mut(), &token, id, approved, HERE).await.map(|()| GO_ON)
            }
            Said::Scan { id, email, .. } => match &mut self.phone {
                Some(phone) => match phone.scan(&self.broker, id, "p", &email).await {
                    Ok(view) => {
                        self.show(&[view]);
                        Ok(GO_ON)
                    }
                    Err(e) => Err(e),
                },
                None => Err(Error::NotAuthenticated),
            },
        };
        self.witness.borrow_mut().heard(&self.line, &said, outcome.as_ref().map(|_| ()));
        outcome.unwrap_or(GO_ON)
    }

    async fn ready_login(&mut self, wait: usize) -> Result<Flow, Error> {
        if let Some(old) = self.browser.take() {
            self.line.holds.set(None);
            old.abandon(&self.broker).await?;
        }
        let session = BrowserSession::open(&self.broker, Browser::default(), &self.mailbox)?;
        self.welcome(wait, session);
        Ok(GO_ON)
    }

    async fn resume(&mut self, wait: usize, id: PairingId, secret: &ResumeSecret) -> Result<Flow, Error> {
        let ip = HERE.to_string();
        let (session, verdict) = BrowserSession::resume(&self.broker, id, secret, ip, &self.mailbox).await?;
        self.welcome(wait, session);
        Ok(self.tell(verdict))
    }

    fn welcome(&mut self, wait: usize, session: BrowserSession) {
        let secret = session.resume_secret(&self.broker);
        self.witness.borrow_mut().welcomed(&self.line, wait, session.id(), secret);
        self.line.holds.set(Some(wait));
        self.browser = Some(session);
    }

    async fn settle(&mut self) -> Flow {
        let Some(browser) = &mut self.browser else { return GO_ON };
        match browser.settle(&self.broker).await {
            Ok(verdict) => self.tell(verdict),
            Err(_) => GO_ON,
        }
    }

    fn tell(&mut self, verdict: Verdict) -> Flow {
        let told = match verdict {
            Verdict::Wait => return GO_ON,
            Verdict::Approved(ticket) => Told::Code(ticket.expose().to_owned()),
            Verdict::Refused => Told::No,
            Verdict::Expired => Told::Over,
        };
        self.witness.borrow_mut().told(&self.line, told);
        END
    }

    async fn ready(&mut self, token: &AccessToken) -> Result<Flow, Error> {
        self.phone = None;
        let (phone, _, pending) = PhoneSession::open(&self.broker, token, &self.mailbox, HERE).await?;
        self.phone = Some(phone);
        self.line.is_phone.set(true);
        self.show(&pending);
        Ok(GO_ON)
    }

    async fn recheck(&mut self) -> Flow {
        let Some(phone) = &mut self.phone else { return GO_ON };
        match phone.recheck(&self.broker).await {
            Ok(Recheck::Goes { new, .. }) => {
                self.show(&new);
                GO_ON
            }
            Ok(Recheck::Ended) | Err(_) => END,
        }
    }

    fn show(&self, asks: &[AskView]) {
        for ask in asks {
            self.witness.borrow_mut().shown(&self.line, ask);
        }
    }
}
