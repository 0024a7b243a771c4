//! A letter as a message of the Internet (RFC 5322): the same at every attempt, so that a repeated one is recognised.

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};

use super::NOBODY;
use super::failure::Failure;
use crate::crypto::seal::digest;
use crate::domain::time::Timestamp;
use crate::store::outbox::{Content, Waiting};

const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

pub(super) fn message(from: &Mailbox, mail: &Waiting) -> Result<Message, Failure> {
    let unsendable = |e: &dyn std::fmt::Display| Failure::lasting(format!("it is no mail: {e}"));
    // Perhaps another node has the key.
    let content = mail.content.as_ref().ok_or_else(|| Failure::passing("no seal key opens it"))?;
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
        .subject(&content.subject);
    let text = part(ContentType::TEXT_PLAIN, &content.text);
    let message = if content.html.is_empty() {
        builder.singlepart(text)
    } else {
        let html = part(ContentType::TEXT_HTML, &content.html);
        builder.multipart(
            MultiPart::alternative().boundary(boundary(mail, content)).singlepart(text).singlepart(html),
        )
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

/// The same at every attempt, and nothing that a text could hold on purpose: a digest of the texts. In letters; a digit
/// could become part of what looks like a code.
fn boundary(mail: &Waiting, content: &Content) -> String {
    let (id, at) = (mail.id.to_be_bytes(), mail.created_at.0.to_be_bytes());
    let all = [&id, &at, content.text.as_bytes(), content.html.as_bytes()].concat();
    let letter = |nibble: u8| char::from(b'a' + nibble);
    digest(&all).iter().take(16).flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect()
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
            content: Some(Content {
                subject: "Trop de codes erronés".to_owned(),
                text: "Voilà\n\n.048291\n".to_owned().into(),
                html: html.to_owned().into(),
            }),
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
    fn both_forms_are_the_same_at_every_attempt_between_boundaries_of_no_other_mail() {
        let mail = waiting("ann@example.org", "<p>048291</p>");
        let (first, again) =
            (formatted(&mail).unwrap(), formatted(&Waiting { attempts: 7, ..mail.clone() }).unwrap());
        assert_eq!(first, again);
        let other = formatted(&Waiting { id: 123_457, ..mail }).unwrap();
        let boundary =
            |text: &str| text.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert_ne!(boundary(&first), boundary(&other));
        assert!(boundary(&first).len() == 32 && boundary(&first).bytes().all(|b| b.is_ascii_lowercase()));
    }

    #[test]
    fn a_sealed_text_that_no_key_opens_waits_for_another_node() {
        let failure = formatted(&Waiting { content: None, ..waiting("ann@example.org", "") }).unwrap_err();
        assert!(!failure.is_lasting, "{failure:?}");
    }

    #[test]
    fn a_recipient_that_is_no_address_makes_no_mail() {
        for bad in ["ann@example.org\r\nBcc: eve@example.org", "ann@example.org, eve@example.org", "ann"] {
            let failure = formatted(&waiting(bad, "<p>")).unwrap_err();
            assert!(failure.is_lasting && !failure.reason.contains("example"), "{failure:?}");
        }
    }
}
