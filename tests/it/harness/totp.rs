//! An authenticator app (RFC 6238), made of nothing that the server uses for its own.

use aws_lc_rs::hmac;
use serde_json::json;

use super::{Person, Server};

/// An app that holds one secret.
#[derive(Clone, Debug)]
pub(crate) struct App {
    /// As it was typed in, or read off a QR code.
    pub(crate) base32: String,
    pub(crate) secret: Vec<u8>,
}

impl App {
    pub(crate) fn new(base32: &str) -> Self {
        Self { base32: base32.to_owned(), secret: decode(base32) }
    }

    /// What the app shows now.
    pub(crate) fn code(&self, server: &Server) -> String {
        self.code_at(server, 0)
    }

    /// What the app shows so many steps of 30 seconds after the server's now.
    pub(crate) fn code_at(&self, server: &Server, steps: i64) -> String {
        self.of_step(server.clock.now().seconds() / 30 + steps)
    }

    /// Of no step near to now.
    pub(crate) fn wrong_code(&self, server: &Server) -> String {
        let near: Vec<String> = (-3..=3).map(|steps| self.code_at(server, steps)).collect();
        (0..10).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
    }

    /// What the app shows at a step since 1970.
    pub(crate) fn of_step(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.secret);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let at = usize::from(tag.as_ref()[19] & 15);
        let four: [u8; 4] = tag.as_ref()[at..at + 4].try_into().unwrap();
        format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
    }
}

impl Person {
    /// Begins to set an app up in a session that has just proven something.
    pub(crate) async fn begin_app(&self, server: &Server, token: &str) -> App {
        let path = "/2fa/method/third_party/generate";
        let begun = server.http.send("POST", path, Some(token), None).await.expect(200).json();
        App::new(begun["secret"].as_str().unwrap())
    }

    /// Sets an app up and proves it. The step of the proof is used up, so the clock moves on by one.
    pub(crate) async fn bind_app(&self, server: &Server, token: &str) -> App {
        let app = self.begin_app(server, token).await;
        let proof = json!({"token": app.code(server)});
        let on = server.http.post_as(token, "/2fa/method/third_party", &proof).await.expect(200);
        assert_eq!(on.json(), json!(true));
        server.clock.advance(std::time::Duration::from_secs(30));
        app
    }
}

/// RFC 4648 §6.
fn decode(base32: &str) -> Vec<u8> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for c in base32.bytes() {
        let place = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == c).unwrap();
        held = (held << 5 | u32::try_from(place).unwrap()) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).unwrap());
        }
    }
    bytes
}

#[test]
fn the_app_computes_what_rfc_6238_says() {
    let app = App::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert_eq!(app.secret, b"12345678901234567890");
    assert_eq!([app.of_step(1), app.of_step(37_037_036)], ["287082", "081804"]);
}
