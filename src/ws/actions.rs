//! What a client's message does: parse, call the broker, reply in the wire's words.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::socket::{Flow, Socket};
use super::wire::{self, Incoming};
use crate::auth::Error;
use crate::auth::limits::PAIRINGS_PER_SOURCE;
use crate::broker::{self, BrowserSession, PhoneSession};
use crate::domain::ids::PairingId;
use crate::domain::pairing::Browser;
use crate::domain::phone::Identifier;
use crate::domain::secret::{AccessToken, Password, ResumeSecret};
use crate::domain::text::unlinked;

/// `readyLogin` and `resumeLogin` on one socket in a minute.
const HELLOS_A_MINUTE: u32 = 20;
/// Seconds.
const MINUTE: u32 = 60;

/// An ask as it came in.
struct Asking {
    pairing: PairingId,
    kind: String,
    email: String,
    password: Option<Password>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket<S> {
    pub(super) async fn on_text(&mut self, text: &str) -> Flow {
        let outcome = match wire::parse(text) {
            Err(malformed) => return self.send(wire::malformed(malformed)),
            Ok(Incoming::ReadyLogin { os, browser, location }) => {
                self.ready_login(&os, &browser, &location).await
            }
            Ok(Incoming::Resume { pairing, secret }) => self.resume(pairing, secret).await,
            Ok(Incoming::Ready { token }) => self.ready(token).await,
            Ok(Incoming::Ask { pairing, kind, email, password }) => {
                self.ask(Asking { pairing, kind, email, password }).await
            }
            Ok(Incoming::Answer { token, pairing, approved }) => {
                let (broker, phone) = (self.broker.clone(), self.phone.as_deref_mut());
                let answered = broker::answer(&broker, phone, &token, pairing, approved, self.source).await;
                answered.map(|()| self.send(wire::message_sent(None)))
            }
        };
        match outcome {
            Ok(flow) => flow,
            Err(e) => {
                if let Error::Internal(text) = &e {
                    tracing::error!(error = text, "socket");
                }
                self.send(wire::error(&e))
            }
        }
    }

    async fn ready_login(&mut self, os: &str, browser: &str, location: &str) -> Result<Flow, Error> {
        self.count_hello()?;
        if let Some(old) = self.browser.take() {
            old.abandon(&self.broker).await?;
        }
        let ip = self.source.to_string();
        let browser =
            Browser { os: unlinked(os), browser: unlinked(browser), location: unlinked(location), ip };
        let session = BrowserSession::open(&self.broker, browser, &self.mailbox)?;
        Ok(self.welcome(session))
    }

    async fn resume(&mut self, pairing: PairingId, secret: ResumeSecret) -> Result<Flow, Error> {
        self.count_hello()?;
        let ip = self.source.to_string();
        let (session, verdict) =
            BrowserSession::resume(&self.broker, pairing, &secret, ip, &self.mailbox).await?;
        // This socket's own pairing gives way to the one that is resumed, unless they are the same.
        if let Some(old) = self.browser.take().filter(|old| old.id() != pairing) {
            old.abandon(&self.broker).await?;
        }
        let welcomed = self.welcome(session);
        Ok(if welcomed.is_continue() { self.tell(verdict) } else { welcomed })
    }

    fn welcome(&mut self, session: BrowserSession) -> Flow {
        let resume = session.resume_secret(&self.broker);
        let frame =
            wire::browser_ready(session.id(), &resume, session.time_left(&self.broker), session.is_asked());
        self.browser = Some(Box::new(session));
        self.send(frame)
    }

    async fn ready(&mut self, token: AccessToken) -> Result<Flow, Error> {
        let was_phone = self.phone.take().is_some();
        let opened = PhoneSession::open(&self.broker, &token, &self.mailbox, self.source).await;
        if self.browser.is_none() && (opened.is_ok() || was_phone) {
            // A phone may stay; a socket that is none any more has as long as a new one to become something.
            let auth = &self.broker.auth;
            let end = auth.clock.uptime() + auth.config.socket.first_message;
            self.mailbox.set_due(opened.is_err().then_some(end));
        }
        let (phone, fresh, pending) = opened?;
        let frame = wire::phone_ready(&fresh, phone.is_approving());
        self.phone = Some(Box::new(phone));
        let welcomed = self.send(frame);
        Ok(if welcomed.is_continue() { self.show(&pending) } else { welcomed })
    }

    async fn ask(&mut self, asking: Asking) -> Result<Flow, Error> {
        if self.broker.auth.config.kind(&asking.kind).is_none() {
            return Ok(self.send(wire::malformed(wire::Malformed::Message)));
        }
        if self.browser.as_ref().is_some_and(|own| own.id() == asking.pairing) {
            return self.ask_as_browser(asking).await;
        }
        self.ask_as_phone(asking).await
    }

    /// 2a: the browser itself asks, with a password.
    async fn ask_as_browser(&mut self, asking: Asking) -> Result<Flow, Error> {
        let Some(password) = &asking.password else {
            return Ok(self.send(wire::malformed(wire::Malformed::Message)));
        };
        let who = Identifier::address(&asking.email);
        let account =
            self.broker.auth.prove_password(Some(&asking.kind), &who, password, self.source).await?;
        let browser = self.browser.as_mut().ok_or(Error::Expired)?;
        browser.ask(&self.broker, account.id).await?;
        let expires_in = browser.time_left(&self.broker);
        Ok(self.send(wire::message_sent(Some(expires_in))))
    }

    /// 2b: an approving phone asks for the browser whose uuid it scanned.
    async fn ask_as_phone(&mut self, asking: Asking) -> Result<Flow, Error> {
        let phone = self.phone.as_mut().ok_or(Error::NotAuthenticated)?;
        if let Some(password) = &asking.password {
            let who = Identifier::address(&asking.email);
            self.broker.auth.prove_password(Some(&asking.kind), &who, password, self.source).await?;
        }
        let view = phone.scan(&self.broker, asking.pairing, &asking.kind, &asking.email).await?;
        Ok(self.send(wire::ask(&view, self.broker.auth.clock.now())))
    }

    fn count_hello(&mut self) -> Result<(), Error> {
        let auth = &self.broker.auth;
        let now = u32::try_from(auth.clock.uptime().as_secs()).unwrap_or(u32::MAX);
        self.hellos.retain(|said| said + MINUTE > now);
        if let Some(limit) = auth.limits.scaled(HELLOS_A_MINUTE) {
            if self.hellos.len() as u64 >= limit {
                let wait = self.hellos.first().map_or(MINUTE, |oldest| oldest + MINUTE - now);
                return Err(Error::TooManyRequests(Duration::from_secs(wait.into())));
            }
            self.hellos.push(now);
        }
        auth.limits.count(PAIRINGS_PER_SOURCE, self.source)
    }
}
