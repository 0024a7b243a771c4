//! Reads mail as its reader sees it: out of the server's folder of `.eml` files, or as an SMTP server was handed it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;

use super::{PATIENCE, Server};

/// A mail, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    /// The text/plain part, with `\n` as line end.
    pub(crate) text: String,
    /// The text/html part, or nothing.
    pub(crate) html: String,
    /// As it was sent.
    pub(crate) raw: String,
}

/// The mails in the server's folder so far, oldest first.
pub(crate) fn mails(server: &Server) -> Vec<Mail> {
    let folder = server.settings().iter().find(|(name, _)| name == "READYLOGIN_MAIL__FOLDER");
    mails_in(Path::new(&folder.expect("a mail folder").1))
}

/// The mails in a folder so far, oldest first.
pub(crate) fn mails_in(folder: &Path) -> Vec<Mail> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "eml")).collect();
    // TIME-ID.eml: by number, since 9 comes before 10.
    files.sort_by_key(|file| -> Vec<u64> {
        let name = file.file_stem().unwrap().to_str().unwrap();
        name.split('-').map(|number| number.parse().unwrap()).collect()
    });
    files.iter().map(|file| Mail::parse(&std::fs::read_to_string(file).unwrap())).collect()
}

/// The `nth` mail to this address, counted from 1, once it is there.
pub(crate) async fn await_mail(server: &Server, to: &str, nth: usize) -> Mail {
    let find = || mails(server).into_iter().filter(|mail| mail.to == to).nth(nth - 1);
    eventually(&format!("mail {nth} to {to}"), find).await
}

/// Asks again and again until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what} does not come"))
}

impl Mail {
    /// Reads a message (RFC 5322) of one text part, or of alternatives (RFC 2046 section 5.1.4).
    pub(crate) fn parse(raw: &str) -> Self {
        let (head, body) = split(raw);
        let kind = field(&head, "Content-Type").unwrap_or_default();
        let mut parts = vec![(head.clone(), body.to_owned())];
        if let Some((_, rest)) = kind.split_once("boundary=\"") {
            assert!(kind.starts_with("multipart/alternative"), "{kind}");
            let boundary = format!("--{}", rest.split('"').next().unwrap());
            let body = format!("\r\n{body}");
            let inner: Vec<&str> = body.split(&format!("\r\n{boundary}")).collect();
            assert_eq!(inner.last().unwrap().trim(), "--", "the last boundary: {raw}");
            let inside = &inner[1..inner.len() - 1];
            parts = inside
                .iter()
                .map(|part| {
                    let (head, body) = split(part.trim_start_matches("\r\n"));
                    (head, body.to_owned())
                })
                .collect();
        }
        let find = |kind: &str| {
            let is = |head: &[String]| field(head, "Content-Type").is_some_and(|k| k.starts_with(kind));
            parts.iter().find(|(head, _)| is(head)).map(|(head, body)| decoded(head, body))
        };
        Self {
            to: field(&head, "To").expect("a recipient"),
            subject: words(&field(&head, "Subject").expect("a subject")),
            text: find("text/plain").unwrap_or_else(|| panic!("no text/plain in {raw}")),
            html: find("text/html").unwrap_or_default(),
            raw: raw.to_owned(),
        }
    }

    /// A header field, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        field(&split(&self.raw).0, name)
    }
}

/// Header fields, unfolded, and the body.
fn split(message: &str) -> (Vec<String>, &str) {
    let (head, body) = message.split_once("\r\n\r\n").expect("a head and a body");
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    (head.split("\r\n").map(str::to_owned).collect(), body)
}

fn field(head: &[String], name: &str) -> Option<String> {
    let of = |line: &String| {
        let (known, value) = line.split_once(':').unwrap_or_else(|| panic!("no header field: {line:?}"));
        known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    let mut found = head.iter().filter_map(of);
    let value = found.next();
    assert!(found.next().is_none(), "{name} is there twice");
    value
}

fn decoded(head: &[String], body: &str) -> String {
    let bytes = match field(head, "Content-Transfer-Encoding").unwrap_or_default().as_str() {
        "quoted-printable" => quoted_printable(&body.replace("=\r\n", "")),
        "base64" => base64(&body.replace("\r\n", "")),
        "" | "7bit" => body.as_bytes().to_vec(),
        other => panic!("the encoding {other}"),
    };
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

/// RFC 2045 section 6.7, soft line breaks taken out.
fn quoted_printable(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('=') {
        out.extend(before.as_bytes());
        out.push(u8::from_str_radix(&after[..2], 16).unwrap_or_else(|_| panic!("={}", &after[..2])));
        rest = &after[2..];
    }
    out.extend(rest.as_bytes());
    out
}

fn base64(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// A field's text with its encoded words (RFC 2047) in clear.
fn words(field: &str) -> String {
    let (mut out, mut rest) = (String::new(), field);
    let mut was_encoded = false;
    while let Some((before, after)) = rest.split_once("=?") {
        // Space between two encoded words is none (RFC 2047 section 6.2).
        if !(was_encoded && before.trim().is_empty()) {
            out.push_str(before);
        }
        let (word, after) = after.split_once("?=").expect("the end of an encoded word");
        let [charset, how, text] = word.splitn(3, '?').collect::<Vec<_>>().try_into().expect("three parts");
        assert!(charset.eq_ignore_ascii_case("utf-8"), "{charset}");
        let bytes = match how {
            "b" | "B" => base64(text),
            _ => quoted_printable(&text.replace('_', " ")),
        };
        out.push_str(&String::from_utf8(bytes).unwrap());
        (rest, was_encoded) = (after, true);
    }
    out + rest
}
