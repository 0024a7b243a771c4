//! What a server's mail folder holds, read as a mail program would, and the codes in it.

use std::path::Path;

use base64::Engine as _;
use serde_json::{Value, json};

use super::{PATIENCE, Person, Server, text_pairs};

/// A delivered letter.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) subject: String,
    /// Its plain part, decoded.
    pub(crate) text: String,
}

impl Letter {
    /// Its only run of six digits, which stands alone on its line.
    pub(crate) fn code(&self) -> Option<String> {
        let runs: Vec<&str> =
            self.text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() == 6).collect();
        assert!(runs.len() <= 1, "{self:?}");
        let code = runs.first()?;
        assert!(self.text.lines().any(|line| line.trim_end() == *code), "{self:?}");
        Some((*code).to_owned())
    }
}

/// Every letter to an address, oldest first, once nothing waits for delivery any more.
pub(crate) async fn letters_to(server: &Server, address: &str) -> Vec<Letter> {
    let delivered = async {
        while !text_pairs(server, "SELECT recipient, subject FROM outbox").await.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, delivered).await.expect("the letters are delivered in time");
    let folder = server.settings().iter().find(|(name, _)| name == "READYLOGIN_MAIL__FOLDER");
    let mut found = read_folder(Path::new(&folder.expect("a mail folder").1));
    found.retain(|(_, part)| {
        part.header("to").is_some_and(|to| to.to_lowercase().contains(&address.to_lowercase()))
    });
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.iter().map(|(_, part)| part.letter()).collect()
}

/// The code in the newest letter to an address that has one.
pub(crate) async fn mailed_code(server: &Server, address: &str) -> String {
    let letters = letters_to(server, address).await;
    letters
        .iter()
        .rev()
        .find_map(Letter::code)
        .unwrap_or_else(|| panic!("no code for {address}: {letters:?}"))
}

/// Another code of the same form.
pub(crate) fn wrong(code: &str) -> String {
    let number: u32 = code.parse().unwrap();
    format!("{:06}", (number + 1) % 1_000_000)
}

impl Person {
    /// Turns mailed codes on in a session that has just proven something; returns the answer.
    pub(crate) async fn turn_mail_on(&self, server: &Server, token: &str) -> Value {
        let body = json!({"method_2fa": "EMAIL"});
        server.http.post_as(token, "/2fa/method/email", &body).await.expect(200).json()
    }

    /// Asks for a login code and reads it.
    pub(crate) async fn login_code(&self, server: &Server) -> String {
        let asked = server.http.post("/auth/sending_email", &json!({"email": self.email})).await;
        assert_eq!(asked.expect(200).json(), json!({"email": "send"}));
        mailed_code(server, &self.email).await
    }
}

/// The files by the numbers in their names: the time first, then the order.
fn read_folder(folder: &Path) -> Vec<(Vec<u64>, Part)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let letters = entries.filter(|path| path.extension().is_some_and(|ending| ending == "eml"));
    let numbers = |path: &Path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|run| run.parse().ok()).collect()
    };
    letters.map(|path| (numbers(&path), Part::read(&std::fs::read_to_string(&path).unwrap()))).collect()
}

/// Headers and body of a message, or of a part of one (RFC 5322, RFC 2045).
struct Part {
    headers: Vec<(String, String)>,
    body: String,
}

impl Part {
    fn read(text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
        let headers = unfolded.lines().filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        Self { headers, body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn letter(&self) -> Letter {
        let subject = self.header("subject").unwrap_or_default().to_owned();
        Letter { subject, text: self.plain().expect("a plain part") }
    }

    /// The text of the first plain part.
    fn plain(&self) -> Option<String> {
        let kind = self.header("content-type").unwrap_or("text/plain");
        if let Some((_, rest)) = kind.split_once("boundary=") {
            let boundary = format!("--{}", rest.split(';').next().unwrap().trim().trim_matches('"'));
            let parts = self.body.split(&boundary).skip(1).map(str::trim_start);
            return parts.map(Self::read).find_map(|part| part.plain());
        }
        kind.to_lowercase().starts_with("text/plain").then(|| self.decoded())
    }

    fn decoded(&self) -> String {
        match self.header("content-transfer-encoding").unwrap_or("7bit").to_lowercase().as_str() {
            "quoted-printable" => quoted_printable(&self.body),
            "base64" => {
                let packed: String = self.body.split_whitespace().collect();
                String::from_utf8(base64::engine::general_purpose::STANDARD.decode(packed).unwrap()).unwrap()
            }
            _ => self.body.clone(),
        }
    }
}

fn quoted_printable(text: &str) -> String {
    let joined = text.replace("=\n", "");
    let (mut bytes, mut rest) = (Vec::new(), joined.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'=') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_letter_in_two_forms_is_read_by_its_plain_one() {
    let raw = "To: a@example.org\r\nSubject: Code\r\nContent-Type: multipart/alternative;\r\n boundary=\"x=y\"\r\n\r\n\
        --x=y\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Voil=C3=A0, your =\r\ncode:\r\n\r\n012345\r\n--x=y\r\nContent-Type: text/html\r\n\r\n<b>999999</b>\r\n--x=y--\r\n";
    let letter = Part::read(raw).letter();
    assert!(letter.text.contains("Voilà, your code:"), "{letter:?}");
    assert_eq!(letter.code().as_deref(), Some("012345"));
}
