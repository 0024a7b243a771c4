//! Why a use case says no: stable codes, no status codes, nothing that a stranger could learn from.

use std::time::Duration;

use crate::domain::account::WeakPassword;
use crate::domain::factor::Method;
use crate::domain::pairing::Refused;
use crate::store;

/// A refusal. `http/error.rs` and `ws/wire.rs` translate it; the text inside [`Error::Internal`] is for the log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", self.code())]
pub(crate) enum Error {
    BadCredentials,
    Disabled,
    Locked(Duration),
    TooManyRequests(Duration),
    Busy(Duration),
    Expired,
    NotAsked,
    AlreadyAsked,
    AlreadyAnswered,
    WrongAccount,
    NotAuthenticated,
    UnknownDevice,
    /// The token was made for another client than this service itself.
    WrongClient,
    /// A password or factor must have been proven in the last five minutes (RFC 9470).
    StaleProof,
    /// Two-factor login is on: these methods.
    SecondFactorNeeded(Vec<Method>),
    InvalidTicket,
    /// A mailed code that is wrong, or was used.
    InvalidCode,
    /// There is no live mailed code.
    CodeExpired,
    /// The try after the last that a code or a sign-in under way stands.
    TooManyTries,
    /// The code of an authenticator app that is wrong, or was used.
    InvalidTotp,
    InvalidBackupCode,
    /// There are no backup codes.
    NoBackupCodes,
    /// An authenticator app is on already, or none is being set up.
    TotpEnabled,
    TotpNotEnabled,
    /// Mailed codes are on already.
    EmailEnabled,
    /// No sign-in under way is known by this.
    InvalidChallenge,
    /// A text that is no mail address.
    NotAnAddress,
    /// No second factor is on.
    NoMethod,
    /// A mailed code for an account that has no mailed codes.
    NotAnEmailMethod,
    /// Mailed words that are wrong and may be tried again.
    WrongWords,
    /// No login by mail is known by this, or it is over.
    NoMailLogin,
    /// The address has such an account, and whoever asks has proven to own it.
    Taken,
    RegistrationClosed,
    RegistrationRefused,
    Weak(WeakPassword),
    NotFound,
    Internal(String),
}

impl Error {
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self::Internal(text.into())
    }

    /// The stable code that clients may act on.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::BadCredentials => "bad_credentials",
            Self::Disabled => "disabled",
            Self::Locked(_) => "locked",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::Busy(_) => "busy",
            Self::Expired => "expired",
            Self::NotAsked => "not_asked",
            Self::AlreadyAsked => "already_asked",
            Self::AlreadyAnswered => "already_answered",
            Self::WrongAccount => "wrong_account",
            Self::NotAuthenticated => "not_authenticated",
            Self::UnknownDevice => "unknown_device",
            Self::WrongClient => "wrong_client",
            Self::StaleProof => "insufficient_user_authentication",
            Self::SecondFactorNeeded(_) => "second_factor_needed",
            Self::InvalidTicket => "invalid_2fa_token",
            Self::InvalidCode => "invalid_code",
            Self::CodeExpired => "code_expired",
            Self::TooManyTries => "too_many_tries",
            Self::InvalidTotp => "invalid_totp",
            Self::InvalidBackupCode => "invalid_backup_code",
            Self::NoBackupCodes => "no_backup_codes",
            Self::TotpEnabled => "totp_enabled",
            Self::TotpNotEnabled => "totp_not_enabled",
            Self::EmailEnabled => "email_enabled",
            Self::InvalidChallenge => "invalid_challenge",
            Self::NotAnAddress => "not_an_address",
            Self::NoMethod => "no_2fa_method",
            Self::NotAnEmailMethod => "not_an_email_method",
            Self::WrongWords => "wrong_words",
            Self::NoMailLogin => "no_mail_login",
            Self::Taken => "taken",
            Self::RegistrationClosed => "registration_closed",
            Self::RegistrationRefused => "registration_refused",
            Self::Weak(_) => "weak_password",
            Self::NotFound => "not_found",
            Self::Internal(_) => "internal",
        }
    }

    /// How long to wait before trying again.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Self::Locked(wait) | Self::TooManyRequests(wait) | Self::Busy(wait) = self {
            Some(*wait)
        } else {
            None
        }
    }
}

impl From<store::Error> for Error {
    /// A store that is away is a reason to come back, never a reason to let somebody in.
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Full => Self::Busy(super::Auth::BUSY),
            store::Error::Failed(text) => {
                tracing::error!(error = text, "store");
                Self::Busy(super::Auth::BUSY)
            }
            store::Error::Duplicate => Self::internal("a row is there twice"),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotAsked => Self::NotAsked,
            Refused::AlreadyAsked => Self::AlreadyAsked,
            Refused::AlreadyAnswered => Self::AlreadyAnswered,
            Refused::WrongAccount => Self::WrongAccount,
            Refused::Expired => Self::Expired,
            Refused::NotYet => Self::internal("expired too early"),
        }
    }
}
