//! How a command that failed ends: the exit code, and the words that say what to do.

use std::io::Write as _;
use std::process::ExitCode;

use crate::auth;
use crate::config;
use crate::domain::account::{PASSWORD_MAX_CHARS, PASSWORD_MIN_CHARS, WeakPassword};

/// The exit code of a command that was used wrongly, or that met a setting it can't use.
pub(super) const WRONG_USAGE: u8 = 2;

/// The command was used wrongly; the text says how to use it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// Whoever read standard output stopped reading, as `head` does: there is nobody left to work for.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(super) struct ReaderGone;

/// Tells what went wrong.
pub(super) fn report(error: anyhow::Error) -> ExitCode {
    if error.is::<ReaderGone>() {
        return ExitCode::SUCCESS;
    }
    let error = error.downcast::<auth::Error>().map_or_else(|other| other, words);
    // Standard error may be a file on a full disk.
    let _ = writeln!(std::io::stderr(), "readylogin: {error:#}");
    let is_usage = error.is::<Usage>() || error.is::<config::Error>();
    if is_usage { WRONG_USAGE.into() } else { ExitCode::FAILURE }
}

/// A refusal of the use cases in words for an operator.
pub(super) fn words(error: auth::Error) -> anyhow::Error {
    use auth::Error;
    let text = match error {
        Error::NotFound => "there is no such account: `readylogin account list` shows them",
        Error::RegistrationRefused => {
            "this address has an account of this kind already: choose another address, or remove that account first"
        }
        Error::Weak(weak) => return weak_password(weak),
        Error::Busy(_) => "the store is busy or away, and the log above says why: try again",
        Error::Internal(text) => return anyhow::Error::msg(text),
        // What clients of a running server are refused for; no command asks for any of it.
        Error::BadCredentials
        | Error::Disabled
        | Error::Locked(_)
        | Error::TooManyRequests(_)
        | Error::Expired
        | Error::NotAsked
        | Error::AlreadyAsked
        | Error::AlreadyAnswered
        | Error::WrongAccount
        | Error::NotAuthenticated
        | Error::UnknownDevice
        | Error::WrongClient
        | Error::StaleProof
        | Error::SecondFactorNeeded(_)
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
        | Error::RegistrationClosed => error.code(),
    };
    anyhow::Error::msg(text)
}

fn weak_password(weak: WeakPassword) -> anyhow::Error {
    match weak {
        WeakPassword::TooShort => {
            anyhow::anyhow!("the password is too short: give at least {PASSWORD_MIN_CHARS} characters")
        }
        WeakPassword::TooLong => {
            anyhow::anyhow!("the password is too long: give at most {PASSWORD_MAX_CHARS} characters")
        }
        WeakPassword::Guessable => {
            anyhow::anyhow!(
                "the password is easy to guess: it is among the commonest, or holds the address; choose another"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: anyhow::Error) -> String {
        format!("{:?}", report(error))
    }

    #[test]
    fn wrong_usage_ends_with_2_also_under_a_context_and_a_gone_reader_with_0() {
        let usage = anyhow::Error::new(Usage("no".to_owned())).context("outer");
        assert_eq!(code(usage), format!("{:?}", ExitCode::from(2)));
        assert_eq!(code(anyhow::anyhow!("broken")), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(code(ReaderGone.into()), format!("{:?}", ExitCode::SUCCESS));
    }
}
