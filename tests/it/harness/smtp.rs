//! A mail server on loopback that takes mail by SMTP, and misbehaves on request.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Certificate, Mail, eventually};

pub(crate) const USER: &str = "desk@example.org";
pub(crate) const MAIL_PASSWORD: &str = "s3cret /:@%?#";

/// How one gets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entrance {
    /// No TLS at all, no login.
    Open,
    /// STARTTLS, then a login by this mechanism.
    StartTls(&'static str),
    /// TLS from the first byte, then a login by PLAIN.
    Tls,
}

/// How it treats those who come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    Take,
    /// Closes each connection at once, as if it were away.
    HangUp,
    /// Answers every recipient with this.
    Answer(&'static str),
    /// Says nothing more once it has heard of this recipient.
    HangFor(&'static str),
    /// Takes the mail and goes away before it says so.
    LoseReply,
}

/// A running mail server.
pub(crate) struct MailServer {
    address: SocketAddr,
    pub(crate) certificate: Certificate,
    desk: Arc<Desk>,
}

struct Desk {
    entrance: Entrance,
    tls: TlsAcceptor,
    manner: Mutex<Manner>,
    /// Commands, each with whether TLS hid it from others.
    heard: Mutex<Vec<(bool, String)>>,
    mails: Mutex<Vec<Mail>>,
    /// Connections that came, and those that are over.
    connections: Mutex<(usize, usize)>,
}

impl MailServer {
    pub(crate) async fn start(entrance: Entrance) -> Self {
        let certificate = Certificate::new();
        let chain = vec![CertificateDer::from_pem_file(certificate.file("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(certificate.file("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let desk = Arc::new(Desk {
            entrance,
            tls: TlsAcceptor::from(Arc::new(config)),
            manner: Mutex::new(Manner::Take),
            heard: Mutex::default(),
            mails: Mutex::default(),
            connections: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let at_desk = desk.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(at_desk.clone().attend(stream));
            }
        });
        Self { address, certificate, desk }
    }

    /// `mail.smtp_url` for it.
    pub(crate) fn url(&self) -> String {
        let encode = |text| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let (user, password) = (encode(USER), encode(MAIL_PASSWORD));
        match self.desk.entrance {
            Entrance::Open => format!("smtp://{}?tls=none", self.address),
            Entrance::StartTls(_) => format!("smtp://{user}:{password}@{}", self.address),
            Entrance::Tls => format!("smtps://{user}:{password}@{}", self.address),
        }
    }

    /// The same place with STARTTLS demanded and a login, whatever it offers.
    pub(crate) fn url_with_starttls(&self) -> String {
        format!("smtp://someone:{USER}@{}", self.address).replace("@example", "%40example")
    }

    /// The issuer of its certificate, as a setting.
    pub(crate) fn issuer(&self) -> String {
        self.certificate.file("cert.pem")
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.desk.manner.lock() = manner;
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.desk.mails.lock().clone()
    }

    /// The `nth` mail to this address, counted from 1, once it has come.
    pub(crate) async fn await_mail(&self, to: &str, nth: usize) -> Mail {
        let find = || self.mails().into_iter().filter(|mail| mail.to == to).nth(nth - 1);
        eventually(&format!("mail {nth} to {to}"), find).await
    }

    /// Waits until a command that begins so was heard `times` times.
    pub(crate) async fn await_heard(&self, start: &str, times: usize) {
        let count = || self.heard().iter().filter(|(_, line)| line.starts_with(start)).count();
        eventually(&format!("{times} {start}"), || (count() >= times).then_some(())).await;
    }

    /// Waits until so many connections have come and gone.
    pub(crate) async fn await_over(&self, connections: usize) {
        let over = || (self.desk.connections.lock().1 >= connections).then_some(());
        eventually(&format!("the end of {connections} connections"), over).await;
    }

    pub(crate) fn heard(&self) -> Vec<(bool, String)> {
        self.desk.heard.lock().clone()
    }

    /// How many connections came.
    pub(crate) fn connections(&self) -> usize {
        self.desk.connections.lock().0
    }
}

impl Desk {
    async fn attend(self: Arc<Self>, stream: TcpStream) {
        self.connections.lock().0 += 1;
        let _ = self.converse(stream).await;
        self.connections.lock().1 += 1;
    }

    async fn converse(&self, stream: TcpStream) -> std::io::Result<()> {
        if *self.manner.lock() == Manner::HangUp {
            return Ok(());
        }
        if self.entrance == Entrance::Tls {
            return self.talk(self.tls.accept(stream).await?, true, true).await.map(drop);
        }
        match self.talk(stream, false, true).await? {
            Some(stream) => self.talk(self.tls.accept(stream).await?, true, false).await.map(drop),
            None => Ok(()),
        }
    }

    /// Talks until the other side is gone (`None`) or wants TLS from here on.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        is_hidden: bool,
        greet: bool,
    ) -> std::io::Result<Option<S>> {
        let mut stream = BufReader::new(stream);
        if greet {
            stream.write_all(b"220 test ESMTP\r\n").await?;
        }
        let (mut is_in, mut line) = (self.entrance == Entrance::Open, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            let command = line.trim_end().to_owned();
            self.heard.lock().push((is_hidden, command.clone()));
            let verb = command.split([' ', ':']).next().unwrap().to_ascii_uppercase();
            let answer = match verb.as_str() {
                "EHLO" => self.offers(is_hidden),
                "STARTTLS" => {
                    stream.write_all(b"220 go ahead\r\n").await?;
                    return Ok(Some(stream.into_inner()));
                }
                "AUTH" => {
                    is_in = self.is_login(&command, &mut stream).await?;
                    (if is_in { "235 welcome" } else { "535 no" }).to_owned()
                }
                "MAIL" if !is_in => "530 log in first".to_owned(),
                "RCPT" => self.on_recipient(&command).await,
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await?;
                    self.take(&mut stream).await?;
                    if *self.manner.lock() == Manner::LoseReply {
                        return Ok(None);
                    }
                    "250 taken".to_owned()
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(None);
                }
                "MAIL" | "NOOP" | "RSET" => "250 well".to_owned(),
                _ => "500 what?".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
            stream.flush().await?;
        }
    }

    fn offers(&self, is_hidden: bool) -> String {
        let more = match (self.entrance, is_hidden) {
            (Entrance::StartTls(_), false) => "250-STARTTLS\r\n".to_owned(),
            (Entrance::StartTls(mechanism), true) => format!("250-AUTH {mechanism}\r\n"),
            (Entrance::Tls, _) => "250-AUTH PLAIN\r\n".to_owned(),
            // A login without TLS: a trap.
            (Entrance::Open, _) => "250-AUTH PLAIN LOGIN\r\n".to_owned(),
        };
        format!("250-test\r\n{more}250 8BITMIME")
    }

    async fn is_login<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        command: &str,
        stream: &mut BufReader<S>,
    ) -> std::io::Result<bool> {
        let decoded = |text: &str| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        if let Some(plain) = command.strip_prefix("AUTH PLAIN ") {
            return Ok(decoded(plain) == format!("\0{USER}\0{MAIL_PASSWORD}"));
        }
        let mut said = Vec::new();
        for question in ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"] {
            stream.write_all(format!("334 {question}\r\n").as_bytes()).await?;
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            said.push(decoded(&line));
        }
        Ok(command == "AUTH LOGIN" && said == [USER, MAIL_PASSWORD])
    }

    async fn on_recipient(&self, command: &str) -> String {
        let manner = *self.manner.lock();
        match manner {
            Manner::Answer(answer) => answer.to_owned(),
            Manner::HangFor(recipient) if command.contains(recipient) => std::future::pending().await,
            Manner::HangFor(_) | Manner::Take | Manner::HangUp | Manner::LoseReply => "250 well".to_owned(),
        }
    }

    /// Reads a mail up to its lone dot (RFC 5321 section 4.5.2).
    async fn take<S: AsyncRead + Unpin>(&self, stream: &mut BufReader<S>) -> std::io::Result<()> {
        let (mut mail, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line == ".\r\n" {
                break;
            }
            mail.push_str(line.strip_prefix('.').unwrap_or(&line));
        }
        self.mails.lock().push(Mail::parse(&mail));
        Ok(())
    }
}
