//! What the targets of `fuzz/` and the property tests here run: the parsers of strangers' bytes, and what must hold of each.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::domain::account::Email;
use crate::domain::mailbox::Mailbox;
use crate::domain::phone::{Country, Identifier};
use crate::net::json::Once;
use crate::net::{Peer, client_address, json};
use crate::ws;

/// The networks of the proxies that [`forwarded`] believes.
const PROXIES: [&str; 2] = ["10.0.0.0/8", "::1/128"];

/// A text frame of the socket: read or refused, and a yes only with JSON `true` in it.
pub fn message(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if ws::is_yes(text) {
        let value: Option<Value> = serde_json::from_str(text).ok();
        assert_eq!(value.map(|value| value["response"] == Value::Bool(true)), Some(true));
    }
}

/// The bytes of a WebSocket, the first of which says where the rest is cut: however they arrive, the same texts are read.
pub fn frames(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else { return };
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(ws::texts_of(&[first, second]), ws::texts_of(&[bytes]));
}

/// The JSON of a body: read as any other parser reads it, or refused.
pub fn body(data: &[u8]) {
    if let Ok(Once(value)) = json::parse(data) {
        assert_eq!(serde_json::from_slice::<Value>(data).ok(), Some(value));
    }
}

/// What a person is named by. Mail goes to an address that is looked up as what was typed, and a number has one form.
pub fn address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(mailbox) = Email::parse(text).as_ref().and_then(Mailbox::of) {
        let typed = Email::parse(text).map(|email| email.key().to_owned());
        assert_eq!(typed.as_deref(), Some(mailbox.address.key()));
        assert!(!mailbox.address.as_given().contains(|c: char| c.is_control() || c.is_whitespace()));
    }
    for country in [None, Country::parse("CH")] {
        if let Identifier::Phone(phone) = Identifier::parse(text, country) {
            let again = Identifier::parse(phone.as_str(), country);
            assert_eq!(again, Identifier::Phone(phone));
        }
    }
}

/// What proxies say of a client's address: believed of a proxy that is trusted and of no other peer.
pub fn forwarded(data: &[u8]) {
    let trusted: Vec<ipnet::IpNet> = PROXIES.iter().filter_map(|net| net.parse().ok()).collect();
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((which, value)) = line.split_first() else { continue };
        let name = if which % 2 == 0 { "forwarded" } else { "x-forwarded-for" };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let seen = |peer: [u8; 4]| client_address(&headers, Peer((peer, 1).into()), &trusted);
    assert_eq!(seen([192, 0, 2, 1]), std::net::IpAddr::from([192, 0, 2, 1]));
    let claimed = seen([10, 0, 0, 1]);
    assert_eq!(claimed, claimed.to_canonical());
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Inputs that are whole, for changes that lead deep into the parsers.
    const WHOLE: &[&str] = &[
        r#"{"action":"responseMobileConnection","authToken":"t","uuid":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff","response":true}"#,
        r#"{"action":"askMobileConnection","uuid":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff","type":"p","email":"a@b.c","password":"x"}"#,
        r#"{"a":[1,2.5e3,{"b":null}],"c":"\u00e9\n","d":{}}"#,
        "Ann.O'Neill+x@bücher.example",
        "mi\u{212a}e@EXAMPLE.org",
        "+41 79 123 45 67",
        "1203.0.113.5, [2001:db8::1]:80\n0for=\"[2001:db8::1]\";proto=https, for=10.0.0.2",
        "\u{5}\u{1}\u{2}\u{1}\u{2}\u{3}\u{4}hello",
    ];

    fn run_all(data: &[u8]) {
        message(data);
        frames(data);
        body(data);
        address(data);
        forwarded(data);
    }

    /// A masked frame (RFC 6455 §5.2) of less than 126 bytes.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap() | 0x80;
        [&[first, length, 0, 0, 0, 0], payload].concat()
    }

    #[test]
    fn what_is_whole_is_read() {
        for data in WHOLE {
            run_all(data.as_bytes());
        }
        assert!(ws::is_yes(WHOLE[0]) && !ws::is_yes(WHOLE[1]));
        let bytes =
            [frame(0x01, b"he"), frame(0x89, b"ping"), frame(0x80, b"llo"), frame(0x81, b"you")].concat();
        assert_eq!(ws::texts_of(&[&bytes]), ["hello", "you"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in vec(any::<u8>(), 0..300)) {
            run_all(&data);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,100}") {
            run_all(text.as_bytes());
        }

        #[test]
        fn what_is_nearly_whole_is_read_or_refused(
            which in 0..WHOLE.len(), at in any::<prop::sample::Index>(), length in 0_usize..6, other in vec(any::<u8>(), 0..6),
        ) {
            let mut data = WHOLE[which].as_bytes().to_vec();
            let from = at.index(data.len());
            data.splice(from..(from + length).min(data.len()), other);
            run_all(&data);
        }

        #[test]
        fn any_names_and_domains_are_read_or_refused(local in "\\PC{1,20}", domain in "\\PC{1,20}") {
            address(format!("{local}@{domain}").as_bytes());
            address(format!("{local}@{domain}.example").as_bytes());
        }

        #[test]
        fn frames_cut_anywhere_are_read_alike(
            cut in any::<u8>(), parts in vec((any::<u8>(), vec(any::<u8>(), 0..20)), 1..5), kinds in vec(0_usize..6, 5),
        ) {
            // Whole frames of the usual kinds, and now and then any first byte.
            let first = |(n, (any, _)): (usize, &(u8, _))| [0x81, 0x01, 0x00, 0x80, 0x89, *any][kinds[n]];
            let bytes: Vec<_> = parts.iter().enumerate().map(|part| frame(first(part), &part.1.1)).collect();
            frames(&[vec![cut], bytes.concat()].concat());
        }
    }
}
