//! A mail server on loopback that speaks as much SMTP (RFC 5321, 3207, 4954) as a client needs, and can misbehave.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::PATIENCE;

/// When it encrypts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encrypts {
    Never,
    /// It offers STARTTLS, and takes nothing before it.
    OnDemand,
    Always,
}

/// What it does with the next mails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    Takes,
    /// Answers the recipient with this code.
    Refuses(u16),
    /// Says nothing any more once the recipient is named.
    Hangs,
}

/// A mail that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    pub(crate) to: String,
    pub(crate) data: String,
    pub(crate) login: Option<(String, String)>,
    pub(crate) encrypted: bool,
}

/// What it remembers.
#[derive(Default)]
struct Book {
    taken: Vec<Taken>,
    /// Every line that a client said, on all connections.
    heard: Vec<String>,
}

/// A mail server; dropped, it is away.
pub(crate) struct Smtp {
    pub(crate) port: u16,
    book: Arc<Mutex<Book>>,
    mood: Arc<Mutex<Mood>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Smtp {
    /// On a free port, or where one was before.
    pub(crate) async fn start(encrypts: Encrypts, certificate: Option<&Path>, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (book, mood) = (Arc::<Mutex<Book>>::default(), Arc::new(Mutex::new(Mood::Takes)));
        let acceptor = certificate.map(acceptor);
        let (kept, told) = (book.clone(), mood.clone());
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let talk =
                    Talk { book: kept.clone(), mood: told.clone(), encrypts, acceptor: acceptor.clone() };
                connections.spawn(talk.serve(stream));
            }
        });
        Self { port, book, mood, serving }
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.book.lock().taken.clone()
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.book.lock().heard.clone()
    }

    /// The mails, once there are so many.
    pub(crate) async fn await_mails(&self, count: usize) -> Vec<Taken> {
        self.wait(|book| book.taken.len() >= count).await;
        self.taken()
    }

    /// Waits until so many lines like this were heard.
    pub(crate) async fn await_lines(&self, start: &str, count: usize) {
        self.wait(|book| book.heard.iter().filter(|line| line.starts_with(start)).count() >= count).await;
    }

    async fn wait(&self, is_enough: impl Fn(&Book) -> bool) {
        let waiting = async {
            while !is_enough(&self.book.lock()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the mail server hears of it in time");
    }
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// One connection.
struct Talk {
    book: Arc<Mutex<Book>>,
    mood: Arc<Mutex<Mood>>,
    encrypts: Encrypts,
    acceptor: Option<TlsAcceptor>,
}

/// How a conversation ended.
enum End {
    Over,
    StartTls,
}

impl Talk {
    async fn serve(self, stream: tokio::net::TcpStream) {
        if self.encrypts == Encrypts::Always {
            let Ok(stream) = self.acceptor.as_ref().unwrap().accept(stream).await else { return };
            self.talk(stream, true, true).await;
            return;
        }
        let (mut stream, end) = self.talk(stream, false, true).await;
        if matches!(end, End::StartTls) {
            stream.flush().await.unwrap();
            let Ok(stream) = self.acceptor.as_ref().unwrap().accept(stream).await else { return };
            self.talk(stream, true, false).await;
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        encrypted: bool,
        greets: bool,
    ) -> (S, End) {
        let mut stream = BufReader::new(stream);
        let (mut login, mut to) = (None, String::new());
        if greets && say(&mut stream, "220 test").await.is_err() {
            return (stream.into_inner(), End::Over);
        }
        loop {
            let Some(line) = hear(&mut stream, &self.book).await else {
                return (stream.into_inner(), End::Over);
            };
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let needs_tls = self.encrypts == Encrypts::OnDemand && !encrypted;
            let answer = match word.as_str() {
                "EHLO" if needs_tls => "250-test\r\n250 STARTTLS".to_owned(),
                "EHLO" => "250-test\r\n250 AUTH PLAIN LOGIN".to_owned(),
                "STARTTLS" if needs_tls => {
                    say(&mut stream, "220 go").await.unwrap();
                    return (stream.into_inner(), End::StartTls);
                }
                "AUTH" => {
                    login = plain(line.rsplit(' ').next().unwrap());
                    "235 in".to_owned()
                }
                "MAIL" if needs_tls => "530 STARTTLS first".to_owned(),
                "RCPT" => {
                    to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    let mood = *self.mood.lock();
                    match mood {
                        Mood::Takes => "250 ok".to_owned(),
                        Mood::Refuses(code) => format!("{code} no: {to}"),
                        Mood::Hangs => std::future::pending().await,
                    }
                }
                "DATA" => {
                    say(&mut stream, "354 go").await.unwrap();
                    let data = body(&mut stream).await;
                    let (to, login) = (to.clone(), login.clone());
                    self.book.lock().taken.push(Taken { to, data, login, encrypted });
                    "250 taken".to_owned()
                }
                "QUIT" => "221 bye".to_owned(),
                _ => "250 ok".to_owned(),
            };
            if say(&mut stream, &answer).await.is_err() || word == "QUIT" {
                return (stream.into_inner(), End::Over);
            }
        }
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut BufReader<S>, book: &Mutex<Book>) -> Option<String> {
    let mut line = String::new();
    let count = stream.read_line(&mut line).await.ok()?;
    let line = line.trim_end().to_owned();
    book.lock().heard.push(line.clone());
    (count > 0).then_some(line)
}

/// Up to the lone dot, doubled dots made single again (RFC 5321 §4.5.2).
async fn body<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> String {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if line == ".\r\n" {
            return data;
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

/// Name and password of AUTH PLAIN (RFC 4616).
fn plain(text: &str) -> Option<(String, String)> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.split('\0').skip(1).map(str::to_owned);
    Some((parts.next()?, parts.next()?))
}
