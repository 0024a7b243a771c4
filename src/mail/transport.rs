//! The two ways a mail leaves: by SMTP (RFC 5321), or as a file in a folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use tokio::io::AsyncWriteExt as _;

use super::NOBODY;
use crate::config::{self, Encryption};
use crate::domain::time::Timestamp;
use crate::store::outbox::Waiting;

/// Connections to the mail server, and so mails on their way at the same time.
pub(super) const CONNECTIONS: usize = 4;

/// So many commands it takes at most to hand over a mail, from the greeting on.
const COMMANDS: u32 = 10;

/// Where mail goes.
#[derive(Debug)]
pub(crate) enum Transport {
    /// One `.eml` file each.
    Folder(PathBuf),
    /// A mail server, and how long one command may take.
    Smtp(AsyncSmtpTransport<Tokio1Executor>, Duration),
}

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server will never take it (its code).
    #[error("refused for good with {0}")]
    Refused(String),
    /// It may work later.
    #[error("{0}")]
    Later(String),
}

impl Transport {
    /// What the settings say.
    ///
    /// # Errors
    /// `mail.smtp_ca` can't be read, or the host is none that TLS could be spoken to.
    pub(crate) fn new(mail: &config::Mail, from: &Mailbox) -> Result<Self, config::Error> {
        let Some(url) = &mail.smtp_url else { return Ok(Self::Folder(mail.folder.clone())) };
        let tls = match url.encryption {
            Encryption::None => Tls::None,
            Encryption::StartTls => Tls::Required(tls(&url.host, mail.smtp_ca.as_deref())?),
            Encryption::Implicit => Tls::Wrapper(tls(&url.host, mail.smtp_ca.as_deref())?),
        };
        let size = u32::try_from(CONNECTIONS).unwrap_or(1);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&url.host)
            .port(url.port)
            .tls(tls)
            .hello_name(ClientId::Domain(from.email.domain().to_owned()))
            .timeout(Some(mail.timeout))
            .pool_config(PoolConfig::new().max_size(size));
        if let Some(login) = &url.login {
            builder =
                builder.credentials(Credentials::new(login.user.clone(), login.password.expose().to_owned()));
        }
        Ok(Self::Smtp(builder.build(), mail.timeout))
    }

    /// Sends one mail; when this returns `Ok` somebody else answers for it.
    pub(super) async fn send(&self, from: &Mailbox, mail: &Waiting) -> Result<(), Failure> {
        let later = |e: &dyn std::fmt::Display| Failure::Later(e.to_string());
        let message = message(from, mail).map_err(|e| Failure::Refused(e.to_string()))?;
        match self {
            Self::Folder(folder) => write(folder, mail, &message.formatted()).await.map_err(|e| later(&e)),
            Self::Smtp(..) if mail.recipient == NOBODY => Ok(()),
            // The transport itself gives up a command that takes too long, and then closes its connection; one that is
            // cancelled from here is left in its pool. So this is for a server that answers, but never comes to an end.
            Self::Smtp(smtp, limit) => {
                match tokio::time::timeout(*limit * COMMANDS, smtp.send(message)).await {
                    Err(_) => Err(Failure::Later("the mail server takes too long".to_owned())),
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(e)) => Err(told(&e)),
                }
            }
        }
    }
}

/// A server's own words may hold the address; its code does not.
fn told(error: &lettre::transport::smtp::Error) -> Failure {
    match error.status().map(u16::from) {
        // Those of the mailbox and of the message (RFC 5321 §4.2.3). Others, 535 for a wrong password among them, can be
        // mended by the operator.
        Some(code @ 550..=559) => Failure::Refused(code.to_string()),
        Some(code) => Failure::Later(format!("the mail server says {code}")),
        None if error.is_timeout() => Failure::Later("the mail server takes too long".to_owned()),
        None if error.is_tls() => Failure::Later("no TLS with the mail server: see mail.smtp_ca".to_owned()),
        None if error.is_client() => Failure::Later(format!("not possible with this mail server: {error}")),
        None => Failure::Later(format!("the mail server can't be reached: {error}")),
    }
}

fn tls(host: &str, ca: Option<&Path>) -> Result<TlsParameters, config::Error> {
    let unusable = |e: &dyn std::fmt::Display| config::Error::unusable("mail.smtp_ca", e);
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(file) = ca {
        let pem = std::fs::read(file).map_err(|e| unusable(&format_args!("{}: {e}", file.display())))?;
        let certificate = Certificate::from_pem(&pem).map_err(|e| unusable(&e))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    } else {
        builder = builder.certificate_store(CertificateStore::WebpkiRoots);
    }
    builder.build_rustls().map_err(|e| config::Error::unusable("mail.smtp_url", e))
}

/// The mail itself: both forms of the text, and a name by which a second delivery can be told from a second mail.
fn message(from: &Mailbox, mail: &Waiting) -> anyhow::Result<Message> {
    let date = std::time::SystemTime::UNIX_EPOCH + mail.created_at.since(Timestamp(0));
    let name = format!("{}.{}", letters(mail.created_at.0), letters(mail.id));
    let is_anybody_s = mail.recipient != NOBODY;
    let to = if is_anybody_s { Mailbox::new(None, mail.recipient.parse()?) } else { from.clone() };
    let builder = Message::builder()
        .from(from.clone())
        .to(to)
        .date(date)
        .message_id(Some(format!("<{name}@{}>", from.email.domain())))
        .subject(&mail.subject);
    let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(mail.body.clone());
    if mail.html.is_empty() {
        return Ok(builder.singlepart(plain)?);
    }
    let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(mail.html.clone());
    let both = MultiPart::alternative().boundary(format!("part.{name}"));
    Ok(builder.multipart(both.singlepart(plain).singlepart(html))?)
}

/// A number in letters: nothing in a mail but its code may look like one.
fn letters(number: i64) -> String {
    format!("{number:x}")
        .bytes()
        .map(|digit| if digit.is_ascii_digit() { digit - b'0' + b'g' } else { digit })
        .map(char::from)
        .collect()
}

/// Writes the file whole before it has its name.
async fn write(folder: &Path, mail: &Waiting, bytes: &[u8]) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let name = format!("{}-{}.eml", mail.created_at.0, mail.id);
    let (draft, file) = (folder.join(format!(".{name}.draft")), folder.join(name));
    let mut out = tokio::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .await?;
    out.write_all(bytes).await?;
    out.sync_all().await?;
    if mail.recipient == NOBODY {
        tokio::fs::remove_file(&draft).await?;
    } else {
        tokio::fs::rename(&draft, &file).await?;
    }
    // The name, too, has to survive a power failure before the outbox forgets the mail.
    tokio::fs::File::open(folder).await?.sync_all().await
}
