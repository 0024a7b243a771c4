//! Bytes that are not the protocol: each breach gets its close code, and nobody else notices (RFC 6455 §7.4).

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{PATIENCE, Person, Phone, Server, Socket};

/// A handshake by hand, and then any bytes.
pub(crate) struct Raw(TcpStream);

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame with this first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..65_536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

impl Raw {
    pub(crate) async fn open(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Self(stream)
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Whether the server took the bytes within a moment, instead of holding them off or hanging up.
    pub(crate) async fn is_taken(&mut self, bytes: &[u8]) -> bool {
        let taken = tokio::time::timeout(Duration::from_secs(1), self.0.write_all(bytes)).await;
        matches!(taken, Ok(Ok(())))
    }

    /// The next frame: first byte and payload. Server frames are never masked.
    async fn read(&mut self) -> (u8, Vec<u8>) {
        let read = async {
            let first = self.0.read_u8().await.unwrap();
            let len = match self.0.read_u8().await.unwrap() {
                126 => u64::from(self.0.read_u16().await.unwrap()),
                127 => self.0.read_u64().await.unwrap(),
                len => u64::from(len),
            };
            let mut payload = vec![0; usize::try_from(len).unwrap()];
            self.0.read_exact(&mut payload).await.unwrap();
            (first, payload)
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a frame in time")
    }

    /// The code of the close frame, which must come next.
    pub(crate) async fn close_code(&mut self) -> u16 {
        let (first, payload) = self.read().await;
        assert_eq!(first, 0x88, "{}", String::from_utf8_lossy(&payload));
        u16::from_be_bytes([payload[0], payload[1]])
    }
}

async fn check_login(server: &Server, ann: &Person, phone: &mut Phone) {
    let (mut browser, uuid) = ann.asking_browser(server).await;
    phone.answer(&uuid, true).await;
    ann.exchange(&browser.expect_code().await).await.token();
}

/// These bytes are answered with this close code, while another login goes through.
async fn check_closed(server: &Server, what: &str, bytes: &[u8], code: u16) {
    let mut raw = Raw::open(server.url()).await;
    raw.write(bytes).await;
    assert_eq!(raw.close_code().await, code, "{what}");
}

#[tokio::test]
async fn each_breach_has_its_close_code() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let long = [b'x'; 8 * 1024 + 1];
    let fragments = |count: usize| {
        let mut bytes = frame(0x01, &long[..1024]);
        (0..count).for_each(|_| bytes.extend(frame(0x00, &long[..1024])));
        bytes
    };
    let breaches: [(&str, Vec<u8>, u16); 16] = [
        ("a binary frame", frame(0x82, b"{}"), 1003),
        ("an empty binary frame", frame(0x82, b""), 1003),
        ("a frame that is too long", frame(0x81, &long), 1009),
        ("a frame that says it will be too long", vec![0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4], 1009),
        ("fragments that are too long together", fragments(8), 1009),
        ("a text that is not UTF-8", frame(0x81, b"{\"action\":\"\xff\"}"), 1007),
        ("a surrogate", frame(0x81, b"\xed\xa0\x80"), 1007),
        ("a character that is cut off", frame(0x81, b"\xf0\x9f\xa6"), 1007),
        ("a frame without a mask", b"\x81\x02{}".to_vec(), 1002),
        ("a reserved bit", frame(0xc1, b"{}"), 1002),
        ("a reserved opcode", frame(0x83, b"{}"), 1002),
        ("a reserved control opcode", frame(0x8b, b""), 1002),
        ("a fragmented ping", frame(0x09, b""), 1002),
        ("a ping that is too long", frame(0x89, &long[..126]), 1002),
        ("a continuation of nothing", frame(0x80, b"{}"), 1002),
        ("a message within a message", [frame(0x01, b"{"), frame(0x81, b"{}")].concat(), 1002),
    ];
    for (what, bytes, code) in breaches {
        check_closed(&server, what, &bytes, code).await;
        let mut slow = Raw::open(server.url()).await;
        for byte in bytes.iter().take(200) {
            slow.write(&[*byte]).await;
        }
        check_login(&server, &ann, &mut phone).await;
    }
}

#[tokio::test]
async fn the_longest_message_fits_whole_and_in_fragments() {
    let server = Server::start(&[]).await;
    let mut text = json!({"action": "readyLogin", "more": ""}).to_string();
    text.insert_str(text.len() - 2, &"x".repeat(8 * 1024 - text.len()));
    let mut socket = server.socket().await;
    socket.send_raw(Message::text(text.clone())).await;
    socket.expect_message("Connection ready").await;

    let mut raw = Raw::open(server.url()).await;
    raw.write(&frame(0x01, b"")).await;
    for byte in text.as_bytes().chunks(100) {
        raw.write(&frame(0x00, byte)).await;
        raw.write(&frame(0x89, b"hi")).await;
        raw.write(&frame(0x00, b"")).await;
        assert_eq!(raw.read().await, (0x8a, b"hi".to_vec()), "a ping between fragments is answered");
    }
    raw.write(&frame(0x80, b"")).await;
    let (first, reply) = raw.read().await;
    assert_eq!(first, 0x81);
    assert!(reply.starts_with(b"{\"message\":\"Connection ready\""));
}

#[tokio::test]
async fn who_breaks_the_protocol_and_stays_loses_the_seat() {
    let server = Server::start(&[("LIMITS__FACTOR", "1"), ("SOCKET__PER_SOURCE", "1")]).await;
    let ann = server.person("ann").await;
    let ready = json!({"action": "ready", "authToken": ann.token}).to_string();
    for early in [r#"{"action":"readyLogin"}"#, r#"{"action":"fly"}"#, &ready, ""] {
        let mut raw = Raw::open(server.url()).await;
        if !early.is_empty() {
            raw.write(&frame(0x81, early.as_bytes())).await;
            assert_eq!(raw.read().await.0, 0x81);
        }
        raw.write(&frame(0x82, b"")).await;
        assert_eq!(raw.close_code().await, 1003);
        // It neither answers the close frame nor hangs up.
        let mut waited = 0;
        while Socket::try_open(server.url(), &[]).await.is_err() {
            server.clock.advance(Duration::from_secs(1));
            waited += 1;
            assert!(waited < 20, "the seat is held for ever after {early:?}");
        }
    }
}

#[tokio::test]
async fn a_phone_that_broke_the_protocol_answers_no_more() {
    let server = Server::start(&[]).await;
    let (ann, mut phone) = server.person_with_phone("ann").await;
    let (mut browser, uuid) = ann.asking_browser(&server).await;
    let answer = phone.answer_frame(&uuid, true).to_string();
    let mut raw = Raw::open(server.url()).await;
    let after = frame(0x81, answer.as_bytes());
    raw.write(&[frame(0x82, b""), after.clone()].concat()).await;
    assert_eq!(raw.close_code().await, 1003);
    let mut raw = Raw::open(server.url()).await;
    raw.write(&[frame(0x88, &1000_u16.to_be_bytes()), after].concat()).await;
    assert_eq!(raw.close_code().await, 1000);
    browser.expect_nothing_more().await;
    phone.answer(&uuid, true).await;
    browser.expect_code().await;
}

#[tokio::test]
async fn close_frames_are_answered_with_what_they_deserve() {
    let server = Server::start(&[]).await;
    for (payload, code) in [
        (&1001_u16.to_be_bytes()[..], 1001),
        (b"\x03\xe8\xff\xfe", 1007),
        (b"\x03", 1002),
        (&1005_u16.to_be_bytes(), 1002),
    ] {
        check_closed(&server, &format!("{payload:?}"), &frame(0x88, payload), code).await;
    }
}
