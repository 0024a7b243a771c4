//! All JSON of the socket, both ways (docs/protocol.md, "The socket"). Nothing of the input is echoed in an error.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::{AskView, Error};
use crate::bus::{Reason, Resolved};
use crate::domain::ids::PairingId;
use crate::domain::secret::{AccessToken, Password, ResumeSecret, Ticket};
use crate::domain::time::{Timestamp, seconds_up};

/// A message of a client.
#[derive(Debug)]
pub(super) enum Incoming {
    ReadyLogin { os: String, browser: String, location: String },
    Resume { pairing: PairingId, secret: ResumeSecret },
    Ready { token: AccessToken },
    Ask { pairing: PairingId, kind: String, email: String, password: Option<Password> },
    Answer { token: AccessToken, pairing: PairingId, approved: bool },
}

/// Why a message can't be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Malformed {
    /// Not JSON, or fields that are missing, twice there, or of the wrong type.
    Message,
    /// An action that there is not.
    Action,
}

/// Every field that some action knows. Unknown ones are ignored, known ones that stand twice are refused; what a field
/// holds is judged by the action that reads it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields {
    action: Value,
    os: Value,
    browser: Value,
    location: Value,
    uuid: Value,
    resume: Value,
    auth_token: Value,
    #[serde(rename = "type")]
    kind: Value,
    email: Value,
    password: Value,
    response: Value,
}

/// Reads a text frame.
pub(super) fn parse(text: &str) -> Result<Incoming, Malformed> {
    let fields: Fields = crate::net::json::parse(text.as_bytes()).map_err(|_| Malformed::Message)?;
    // A shipped phone client sends a trailing space.
    Ok(match required(fields.action)?.trim() {
        "readyLogin" => Incoming::ReadyLogin {
            os: optional(fields.os)?.unwrap_or_default(),
            browser: optional(fields.browser)?.unwrap_or_default(),
            location: optional(fields.location)?.unwrap_or_default(),
        },
        "resumeLogin" => Incoming::Resume {
            pairing: pairing(fields.uuid)?,
            secret: ResumeSecret::new(required(fields.resume)?),
        },
        "ready" => Incoming::Ready { token: AccessToken::new(required(fields.auth_token)?) },
        "askMobileConnection" => Incoming::Ask {
            pairing: pairing(fields.uuid)?,
            kind: required(fields.kind)?,
            email: required(fields.email)?,
            password: optional(fields.password)?.map(Password::new),
        },
        "responseMobileConnection" => Incoming::Answer {
            token: AccessToken::new(required(fields.auth_token)?),
            pairing: pairing(fields.uuid)?,
            approved: fields.response.as_bool().ok_or(Malformed::Message)?,
        },
        _ => return Err(Malformed::Action),
    })
}

fn required(value: Value) -> Result<String, Malformed> {
    optional(value)?.ok_or(Malformed::Message)
}

fn optional(value: Value) -> Result<Option<String>, Malformed> {
    match value {
        Value::String(text) => Ok(Some(text)),
        Value::Null => Ok(None),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(Malformed::Message),
    }
}

fn pairing(value: Value) -> Result<PairingId, Malformed> {
    required(value)?.trim().parse().map_err(|_| Malformed::Message)
}

/// To a browser: it waits under this uuid, and this lets it come back.
pub(super) fn browser_ready(
    pairing: PairingId,
    resume: &ResumeSecret,
    expires_in: Duration,
    is_asked: bool,
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Frame<'a> {
        message: &'a str,
        uuid: String,
        resume: &'a str,
        expires_in: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        asked: bool,
    }
    json(&Frame {
        message: "Connection ready",
        uuid: pairing.to_string(),
        resume: resume.expose(),
        expires_in: seconds_up(expires_in),
        asked: is_asked,
    })
}

/// To a phone: it is online, and this is a fresh token.
pub(super) fn phone_ready(token: &AccessToken, is_approving: bool) -> String {
    phone(Some(token), is_approving)
}

/// To a phone that is online: from now on it may not approve.
pub(super) fn phone_stopped() -> String {
    phone(None, false)
}

fn phone(token: Option<&AccessToken>, is_approving: bool) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        approving: Option<bool>,
    }
    let token = token.map(AccessToken::expose);
    json(&Frame { message: "Connection ready", token, approving: (!is_approving).then_some(false) })
}

/// The answer to an ask (with the seconds that phones have) and to a response (without).
pub(super) fn message_sent(expires_in: Option<Duration>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Frame {
        message: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in: Option<u64>,
    }
    json(&Frame { message: "Message sent", expires_in: expires_in.map(seconds_up) })
}

/// To a phone: somebody asks. `location` is what the browser claims, `ip` what the server saw.
pub(super) fn ask(view: &AskView, now: Timestamp) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Frame<'a> {
        action: &'a str,
        uuid: String,
        os: &'a str,
        browser: &'a str,
        location: &'a str,
        ip: &'a str,
        seen_at: String,
        expires_in: u64,
    }
    let at = std::time::SystemTime::UNIX_EPOCH + view.asked_at.since(Timestamp(0));
    json(&Frame {
        action: "ask_mobile_connection",
        uuid: view.pairing.to_string(),
        os: &view.browser.os,
        browser: &view.browser.browser,
        location: &view.browser.location,
        ip: &view.browser.ip,
        seen_at: humantime::format_rfc3339_millis(at).to_string(),
        expires_in: seconds_up(view.expires_at.since(now)),
    })
}

/// To a phone: an ask that it shows is over.
pub(super) fn resolved(over: &Resolved) -> String {
    #[derive(Serialize)]
    struct Frame {
        action: &'static str,
        uuid: String,
        response: bool,
        reason: &'static str,
    }
    let reason = match over.reason {
        Reason::Answered => "answered",
        Reason::Expired => "expired",
        Reason::Replaced => "replaced",
        Reason::Gone => "gone",
    };
    json(&Frame {
        action: "resolved_mobile_connection",
        uuid: over.pairing.to_string(),
        response: over.approved,
        reason,
    })
}

/// To a browser: the phone's answer; the code is empty when it refused.
pub(super) fn answer(ticket: Option<&Ticket>) -> String {
    #[derive(Serialize)]
    struct Frame<'a> {
        action: &'a str,
        code: &'a str,
        response: bool,
    }
    let code = ticket.map(Ticket::expose).unwrap_or_default();
    json(&Frame { action: "response_mobile_connection", code, response: ticket.is_some() })
}

/// A refusal, in the words that upstream's clients know.
pub(super) fn error(error: &Error) -> String {
    let message = match error {
        Error::BadCredentials => "username and password mismatch",
        Error::Expired => "The connection has expired",
        Error::Disabled => "Not authorized, this account is disable",
        Error::NotAuthenticated | Error::StaleProof => "Not authenticated",
        Error::UnknownDevice => "Device not found in the token",
        Error::NotAsked => "No login was asked for",
        Error::AlreadyAsked => "A login is already being asked for",
        Error::AlreadyAnswered => "Already answered",
        Error::WrongAccount => "Another account was asked",
        Error::Locked(_) => "Too many wrong codes",
        Error::TooManyRequests(_) => "Too many requests",
        Error::Busy(_) => "Busy, try again",
        // What no action of the socket leads to is nobody's business out there.
        Error::SecondFactorNeeded(_)
        | Error::WrongClient
        | Error::InvalidTicket
        | Error::InvalidBackupCode
        | Error::InvalidCode
        | Error::CodeExpired
        | Error::TooManyTries
        | Error::InvalidTotp
        | Error::NoBackupCodes
        | Error::TotpEnabled
        | Error::TotpNotEnabled
        | Error::EmailEnabled
        | Error::InvalidChallenge
        | Error::NotAnAddress
        | Error::NoMethod
        | Error::NotAnEmailMethod
        | Error::WrongWords
        | Error::NoMailLogin
        | Error::Taken
        | Error::RegistrationClosed
        | Error::RegistrationRefused
        | Error::Weak(_)
        | Error::NotFound
        | Error::Internal(_) => return refusal("Internal error", "internal", None),
    };
    refusal(message, error.code(), error.retry_after())
}

/// A message that can't be understood.
pub(super) fn malformed(what: Malformed) -> String {
    match what {
        Malformed::Message => refusal("Bad message", "bad_message", None),
        Malformed::Action => refusal("Forbidden", "unknown_action", None),
    }
}

fn refusal(message: &str, code: &str, retry_after: Option<Duration>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Frame<'a> {
        message: &'a str,
        error: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    }
    json(&Frame { message, error: code, retry_after: retry_after.map(seconds_up) })
}

fn json(frame: &impl Serialize) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "6F9619FF-8B86-4D01-B42D-00CF4FC964FF";

    #[test]
    fn actions_are_trimmed_and_uuids_read_in_any_case() {
        let text = format!(
            r#"{{"action":" responseMobileConnection ","authToken":"t","uuid":"{UUID}","response":true,"x":1}}"#
        );
        assert!(matches!(parse(&text), Ok(Incoming::Answer { approved: true, .. })));
    }

    #[test]
    fn only_json_true_approves() {
        for response in ["\"true\"", "1", "null", "[true]", "{}", "true,\"response\":true"] {
            let text = format!(
                r#"{{"action":"responseMobileConnection","authToken":"t","uuid":"{UUID}","response":{response}}}"#
            );
            assert_eq!(parse(&text).err(), Some(Malformed::Message), "{response}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*", action in "[a-zA-Z]{0,30}", value in "\\PC*") {
            let _ = parse(&text);
            let quoted = serde_json::to_string(&value).unwrap();
            for field in ["os", "uuid", "resume", "authToken", "type", "email", "password", "response"] {
                let _ = parse(&format!(r#"{{"action":"{action}","{field}":{quoted}}}"#));
                let _ = parse(&format!(r#"{{"action":"askMobileConnection","{field}":{value}}}"#));
            }
        }
    }

    #[test]
    fn what_is_no_message_is_told_apart_from_what_is_no_action() {
        let deep =
            format!(r#"{{"action":"ready","authToken":"t","x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        for bad in [
            "",
            "nonsense",
            "[]",
            "{}",
            "null",
            r#"{"action":1}"#,
            r#"{"action":"ready"}"#,
            "{\"action\":\"a\0\"}",
            &deep,
        ] {
            assert_eq!(parse(bad).err(), Some(Malformed::Message), "{bad}");
        }
        assert_eq!(parse(r#"{"action":"fly"}"#).err(), Some(Malformed::Action));
    }
}
