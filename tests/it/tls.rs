//! TLS of the server's own, and no listener for strangers without it.

use std::sync::Arc;

use base64::Engine as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{PASSWORD, Server, Socket, all_settings, run};

/// A certificate for the loopback address, its key beside it.
pub(crate) struct Certificate {
    folder: tempfile::TempDir,
}

/// One ASN.1 value in DER: a tag, a length, and what it holds.
fn der(tag: u8, held: &[&[u8]]) -> Vec<u8> {
    let held = held.concat();
    let length = match u8::try_from(held.len()) {
        Ok(short @ 0..=127) => vec![short],
        Ok(length) => vec![0x81, length],
        Err(_) => [&[0x82], u16::try_from(held.len()).unwrap().to_be_bytes().as_slice()].concat(),
    };
    [&[tag], length.as_slice(), &held].concat()
}

/// A self-signed certificate (RFC 5280 section 4.1) for 127.0.0.1, and its key in PKCS #8.
fn self_signed() -> [Vec<u8>; 2] {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING as ALG, EcdsaKeyPair, KeyPair as _};
    const SEQUENCE: u8 = 0x30;
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ALG, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ALG, pkcs8.as_ref()).unwrap();
    let oid = |bytes: &[u8]| der(6, &[bytes]);
    let ecdsa_with_sha256 = der(SEQUENCE, &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
    let p256 = [oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7])];
    let key =
        der(SEQUENCE, &[&der(SEQUENCE, &[&p256[0], &p256[1]]), &der(3, &[&[0], pair.public_key().as_ref()])]);
    let name = der(SEQUENCE, &[&der(0x31, &[&der(SEQUENCE, &[&oid(&[0x55, 4, 3]), &der(12, &[b"test"])])])]);
    let validity = der(SEQUENCE, &[&der(23, &[b"200101000000Z"]), &der(23, &[b"491231235959Z"])]);
    let addresses = der(SEQUENCE, &[&der(0x87, &[&[127, 0, 0, 1]])]);
    let extension = der(SEQUENCE, &[&oid(&[0x55, 0x1d, 0x11]), &der(4, &[&addresses])]);
    let extensions = der(0xa3, &[&der(SEQUENCE, &[&extension])]);
    let (version, serial) = (der(0xa0, &[&der(2, &[&[2]])]), der(2, &[&[1]]));
    let body =
        der(SEQUENCE, &[&version, &serial, &ecdsa_with_sha256, &name, &validity, &name, &key, &extensions]);
    let signature = pair.sign(&random, &body).unwrap();
    let certificate = der(SEQUENCE, &[&body, &ecdsa_with_sha256, &der(3, &[&[0], signature.as_ref()])]);
    [certificate, pkcs8.as_ref().to_vec()]
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = self_signed();
        for (file, label, bytes) in
            [("cert.pem", "CERTIFICATE", certificate), ("key.pem", "PRIVATE KEY", key)]
        {
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
            std::fs::write(folder.path().join(file), pem).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    async fn server(&self) -> Server {
        Server::start(&[
            ("SERVER__TLS__CERT", &self.file("cert.pem")),
            ("SERVER__TLS__KEY", &self.file("key.pem")),
            ("SERVER__HEADER_TIMEOUT", "1s"),
        ])
        .await
    }

    /// A connection that trusts this certificate and no other.
    async fn connect(&self, server: &Server) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("cert.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address(server)).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("the handshake succeeds")
    }

    /// `POST` over TLS; the answer's head and JSON.
    async fn post(&self, server: &Server, path: &str, token: Option<&str>, body: &Value) -> (String, Value) {
        let body = body.to_string();
        let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = self.connect(server).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }
}

fn address(server: &Server) -> &str {
    server.url().strip_prefix("https://").expect("an https URL")
}

#[tokio::test]
async fn a_login_and_an_ask_over_tls() {
    let certificate = Certificate::new();
    let server = certificate.server().await;
    let ann = json!({"email": "ann@example.org", "password": PASSWORD});
    let (head, answer) = certificate.post(&server, "/auth/p/register", None, &ann).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("strict-transport-security: max-age=31536000"), "{head}");
    assert!(answer["token"].is_string());

    let open = async || {
        Socket::over(certificate.connect(&server).await, &server.url().replacen("https", "wss", 1)).await
    };
    let mut browser = open().await;
    let uuid = browser.ready_login().await["uuid"].clone();
    let ask = json!({"action": "askMobileConnection", "uuid": uuid, "type": "p", "email": "ann@example.org", "password": PASSWORD});
    assert_eq!(browser.call(&ask).await["message"], "Message sent");
    let mut phone = open().await;
    let ready = phone.call(&json!({"action": "ready", "authToken": answer["token"]})).await;
    assert_eq!(ready["message"], "Connection ready");
    // A frame of many records, and many frames in one.
    let long = json!({"action": "readyLogin", "os": "x".repeat(6000), "browser": "", "location": ""});
    for _ in 0..3 {
        assert_eq!(browser.call(&long).await["message"], "Connection ready");
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_is_not_heard() {
    let certificate = Certificate::new();
    let server = certificate.server().await;
    for words in [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), b""] {
        let mut stream = TcpStream::connect(address(&server)).await.unwrap();
        stream.write_all(words).await.unwrap();
        let mut answer = Vec::new();
        // The silent one is cut off after the time for a head.
        let _ = tokio::time::timeout(crate::harness::PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("it closes");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
}

#[tokio::test]
async fn strangers_get_no_listener_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let (cert, key) = (certificate.file("cert.pem"), certificate.file("key.pem"));
    let refused = async |settings: &[(&str, &str)], setting: &str| {
        let store = format!("sqlite://{}", folder.path().join("x.db").display());
        let settings = all_settings(settings, &store, folder.path());
        let ended = run(&["serve"], &settings, folder.path(), "").await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(setting) && !ended.stdout.contains("listening"), "{ended:?}");
    };
    let limits = ("LIMITS__FACTOR", "1");
    refused(&[("SERVER__LISTEN", "0.0.0.0:0"), limits], "server.listen").await;
    refused(&[("SERVER__LISTEN", "[::]:0"), limits], "server.listen").await;
    refused(&[("SERVER__LISTEN", "0.0.0.0:0"), ("SERVER__TLS__CERT", &cert), limits], "server.tls").await;
    let open = [("SERVER__LISTEN", "0.0.0.0:0"), ("SERVER__TLS__CERT", &cert), ("SERVER__TLS__KEY", &key)];
    refused(&open, "limits.factor").await;
}

#[tokio::test]
async fn tls_files_that_can_t_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let cert = certificate.file("cert.pem");
    let store = format!("sqlite://{}", folder.path().join("x.db").display());
    for (cert, key, setting) in [
        (cert.as_str(), "nowhere.pem".to_owned(), "server.tls.key"),
        (&cert, cert.clone(), "server.tls.key"),
        (&cert, other.file("key.pem"), "server.tls"),
        ("nowhere.pem", certificate.file("key.pem"), "server.tls.cert"),
    ] {
        let settings =
            all_settings(&[("SERVER__TLS__CERT", cert), ("SERVER__TLS__KEY", &key)], &store, folder.path());
        let ended = run(&["serve"], &settings, folder.path(), "").await;
        assert!(ended.code != Some(0) && ended.stderr.contains(setting), "{ended:?}");
        assert!(!ended.stdout.contains("listening"), "{ended:?}");
    }
}
