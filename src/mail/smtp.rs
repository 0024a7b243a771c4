//! Delivery to a mail server by SMTP (RFC 5321), over connections that are kept for a while.
//!
//! The connections are lettre's, the pool is not: lettre's takes a connection back in the middle of a mail when a
//! delivery is cut short, and the next mail would go on where that one stopped.

use std::path::Path;
use std::time::Duration;

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::failure::Failure;
use crate::clock::Clock;
use crate::config::{self, Protection, Relay};

/// How long a connection is kept for the next mail.
const IDLE: Duration = Duration::from_secs(30);

/// A mail server.
pub(super) struct Smtp {
    relay: Relay,
    tls: Option<TlsParameters>,
    hello: ClientId,
    timeout: Duration,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Duration,
}

impl Smtp {
    /// `ca` names the only issuers to trust; without it the public ones are.
    ///
    /// # Errors
    /// Names the setting that can't be used.
    pub(super) fn new(
        relay: Relay,
        ca: Option<&Path>,
        timeout: Duration,
        from: &Mailbox,
    ) -> Result<Self, config::Error> {
        let tls = match relay.protection {
            Protection::Nothing => None,
            Protection::Tls | Protection::StartTls => Some(tls(&relay.host, ca)?),
        };
        Ok(Self { relay, tls, hello: hello(from.email.domain()), timeout, idle: Mutex::new(Vec::new()) })
    }

    /// Hands a mail over; the server has taken it when this is `Ok`.
    pub(super) async fn send(&self, message: &Message, clock: &Clock) -> Result<(), Failure> {
        let until = clock.uptime() + self.timeout;
        // lettre's own timeout covers nothing but TCP's handshake.
        tokio::select! {
            biased;
            sent = self.hand_over(message.envelope(), message.formatted(), clock) => sent,
            () = clock.sleep_until(until) => Err(Failure::passing("no answer within mail.timeout")),
        }
    }

    /// Closes connections that nobody has used for a while.
    pub(super) fn tidy(&self, clock: &Clock) {
        let now = clock.uptime();
        self.idle.lock().retain(|idle| now.saturating_sub(idle.since) < IDLE);
    }

    async fn hand_over(&self, envelope: &Envelope, bytes: Vec<u8>, clock: &Clock) -> Result<(), Failure> {
        let connected = self.connection(clock).await;
        // Whatever is wrong before a mail is named is not the mail's fault.
        let mut connection = connected.map_err(|e| Failure::passing(reason(&e)))?;
        match connection.send(envelope, &bytes).await {
            Ok(_) => {
                self.idle.lock().push(Idle { connection, since: clock.uptime() });
                Ok(())
            }
            Err(e) if e.is_permanent() || e.is_client() => Err(Failure::lasting(reason(&e))),
            Err(e) => Err(Failure::passing(reason(&e))),
        }
    }

    async fn connection(&self, clock: &Clock) -> Result<AsyncSmtpConnection, SmtpError> {
        self.tidy(clock);
        loop {
            let Some(mut idle) = self.idle.lock().pop() else { return self.connect().await };
            if idle.connection.test_connected().await {
                return Ok(idle.connection);
            }
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let server = (self.relay.host.as_str(), self.relay.port);
        let (at_once, later) = match self.relay.protection {
            Protection::Tls => (self.tls.clone(), None),
            Protection::StartTls => (None, self.tls.clone()),
            Protection::Nothing => (None, None),
        };
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &self.hello, at_once, None)
                .await?;
        if let Some(tls) = later {
            // An error where the server has no STARTTLS: nothing else was said by then.
            connection.starttls(tls, &self.hello).await?;
        }
        if let Some((user, password)) = &self.relay.login {
            let login = Credentials::new(user.clone(), password.expose().to_owned());
            connection.auth(&[Mechanism::Plain, Mechanism::Login], &login).await?;
        }
        Ok(connection)
    }
}

fn tls(host: &str, ca: Option<&Path>) -> Result<TlsParameters, config::Error> {
    let builder = TlsParametersBuilder::new(host.to_owned());
    let Some(file) = ca else {
        return builder.build_rustls().map_err(|e| config::Error::unusable("mail.smtp_url", e));
    };
    let broken = |e: &dyn std::fmt::Display| {
        config::Error::unusable("mail.smtp_ca", format_args!("{}: {e}", file.display()))
    };
    let issuers = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| broken(&e))?;
    if issuers.is_empty() {
        return Err(broken(&"no certificate is in it"));
    }
    let mut builder = builder.certificate_store(CertificateStore::None);
    for issuer in issuers {
        builder =
            builder.add_root_certificate(Certificate::from_der(issuer.to_vec()).map_err(|e| broken(&e))?);
    }
    builder.build_rustls().map_err(|e| broken(&e))
}

/// Who we say we are: the sender's domain (RFC 5321 §4.1.1.1).
fn hello(domain: &str) -> ClientId {
    match domain.trim_matches(['[', ']']).parse() {
        Ok(std::net::IpAddr::V4(v4)) => ClientId::Ipv4(v4),
        Ok(std::net::IpAddr::V6(v6)) => ClientId::Ipv6(v6),
        Err(_) if domain.is_ascii() => ClientId::Domain(domain.to_owned()),
        Err(_) => ClientId::default(),
    }
}

/// An error in words for the log: not the server's own, since those may name the recipient.
fn reason(error: &SmtpError) -> String {
    match error.status() {
        Some(code) => format!("SMTP {code}"),
        None if error.is_response() => "the connection ended, or spoke no SMTP".to_owned(),
        None => error.to_string(),
    }
}
