//! A letter as a message of the Internet (RFC 5322): the same at every attempt, so that a repeated one is recognised.

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};

use super::NOBODY;
use super::courier::Failure;
use crate::domain::time::Timestamp;
use crate::store::outbox::Waiting;

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

pub(super) fn message(from: &Mailbox, mail: &Waiting) -> Result<Message, Failure> {
    let unsendable = |e: &dyn std::fmt::Display| Failure::lasting(format!("it is no mail: {e}"));
    // The address itself has no place in the log.
    let to = match mail.recipient.as_str() {
        NOBODY => from.email.clone(),
        somebody => somebody.parse().map_err(|_| unsendable(&"the recipient"))?,
    };
    let date = std::time::SystemTime::UNIX_EPOCH + mail.created_at.since(Timestamp(0));
    let builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .date(date)
        // No answer by a machine is wanted (RFC 3834 §5).
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
        .message_id(Some(message_id(from, mail)))
        .subject(&mail.subject);
    let text = part(ContentType::TEXT_PLAIN, &mail.text);
    let message = if mail.html.is_empty() {
        builder.singlepart(text)
    } else {
        let html = part(ContentType::TEXT_HTML, &mail.html);
        builder.multipart(MultiPart::alternative().boundary(boundary()).singlepart(text).singlepart(html))
    };
    message.map_err(|e| unsendable(&e))
}

/// Plain where that is possible, otherwise readable: never base64, so that a code stands alone on its line here too.
fn part(kind: ContentType, text: &str) -> SinglePart {
    let body = Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::SevenBit)
        .or_else(|_| Body::new_with_encoding(text.to_owned(), ContentTransferEncoding::QuotedPrintable));
    let builder = SinglePart::builder().header(kind);
    match body {
        Ok(body) => builder.body(body),
        Err(bytes) => builder.body(bytes),
    }
}

/// Random letters; a digit could become part of what looks like a code.
fn boundary() -> String {
    let random = MultiPart::alternative().build().boundary();
    random.chars().filter(char::is_ascii_alphabetic).collect()
}

fn message_id(from: &Mailbox, mail: &Waiting) -> String {
    let domain = Some(from.email.domain()).filter(|domain| domain.is_ascii()).unwrap_or("localhost");
    format!("<{}.{}@{domain}>", letters(mail.created_at.0), letters(mail.id))
}

/// A number in letters from a to p, for the same reason.
fn letters(number: i64) -> String {
    let hex = format!("{number:x}");
    hex.bytes().map(|b| char::from(if b.is_ascii_digit() { b - b'0' + b'a' } else { b + 10 })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(recipient: &str, html: &str) -> Waiting {
        Waiting {
            id: 123_456,
            recipient: recipient.to_owned(),
            subject: "Trop de codes erronés".to_owned(),
            text: "Voilà\n\n.048291\n".to_owned(),
            html: html.to_owned(),
            created_at: Timestamp(1_795_339_800_000),
            attempts: 0,
            expires_at: None,
        }
    }

    fn formatted(mail: &Waiting) -> Result<String, Failure> {
        let from = "Desk <desk@example.org>".parse().unwrap();
        message(&from, mail).map(|message| String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn a_mail_is_ascii_and_the_same_at_every_attempt() {
        let mail = waiting("ann@example.org", "");
        let text = formatted(&mail).unwrap();
        assert!(text.is_ascii(), "{text}");
        assert_eq!(text, formatted(&mail).unwrap());
        assert!(text.contains("Message-ID: <bkcacjhenma.bocea@example.org>\r\n"), "{text}");
        assert!(text.contains("Date: Sun, 22 Nov 2026 09:30:00 +0000\r\n"), "{text}");
        assert!(text.contains("Voil=C3=A0\r\n\r\n.048291\r\n"), "{text}");
        let long = |run: &&str| run.len() >= 6;
        assert_eq!(text.split(|c: char| !c.is_ascii_digit()).filter(long).collect::<Vec<_>>(), ["048291"]);
        assert_ne!(letters(17), letters(16));
    }

    #[test]
    fn a_recipient_that_is_no_address_makes_no_mail() {
        for bad in ["ann@example.org\r\nBcc: eve@example.org", "ann@example.org, eve@example.org", "ann"] {
            let failure = formatted(&waiting(bad, "<p>")).unwrap_err();
            assert!(failure.is_lasting && !failure.reason.contains("example"), "{failure:?}");
        }
    }
}
