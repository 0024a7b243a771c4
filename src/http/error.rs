//! The only place where an error becomes a response: the inside is logged, the outside is chosen here.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::auth::Error;
use crate::auth::bearer::FRESH;
use crate::domain::account::WeakPassword;
use crate::domain::time::seconds_up;

/// A refusal on its way to a client.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// A use case said no.
    Auth(Error),
    /// The body is not JSON.
    BadJson,
    /// A field is missing, twice there, or of the wrong type.
    BadField,
    /// The body is larger than `server.max_body`.
    TooLarge,
    /// The body is not declared as JSON, or is compressed.
    WrongType,
    /// The body did not arrive in time.
    TooSlow,
    /// A token is needed and none was sent.
    NoToken,
    /// There is no such kind of account, device or method.
    NotFound,
    /// A wrong code or password beside an email passphrase, which may be tried again
    /// (docs/protocol-http.md, "Second factors beside a passphrase").
    WrongSecond(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Auth(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Auth(error) => auth(&error),
            Self::BadJson => plain(StatusCode::BAD_REQUEST, "Invalid JSON input", "bad_json"),
            Self::BadField => plain(StatusCode::BAD_REQUEST, "Invalid or missing field", "bad_field"),
            Self::TooLarge => plain(StatusCode::PAYLOAD_TOO_LARGE, "Body too large", "too_large"),
            Self::WrongType => {
                plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send application/json", "unsupported_media_type")
            }
            Self::TooSlow => plain(StatusCode::REQUEST_TIMEOUT, "Body too slow", "timeout"),
            Self::NoToken => {
                // Without a token there is no error to name (RFC 6750 §3.1).
                let status = StatusCode::UNAUTHORIZED;
                let body = plain(status, "Not authenticated", Error::NotAuthenticated.code());
                ([(WWW_AUTHENTICATE, "Bearer")], body).into_response()
            }
            Self::NotFound => plain(StatusCode::NOT_FOUND, "not found", "not_found"),
            Self::WrongSecond(error) => plain(StatusCode::FORBIDDEN, outside(&error).1, error.code()),
        }
    }
}

fn auth(error: &Error) -> Response {
    if let Error::Internal(text) = error {
        tracing::error!(error = text, "request");
    }
    let (status, message) = outside(error);
    let mut response = plain(status, message, error.code());
    let headers = response.headers_mut();
    if let Some(wait) = error.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds_up(wait).max(1)));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, challenge(error));
    }
    response
}

/// Status and text: docs/protocol.md, "Error codes".
fn outside(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::BadCredentials => (StatusCode::UNAUTHORIZED, "Email and password mismatch"),
        Error::Disabled => (StatusCode::FORBIDDEN, "Not authorized, this account is disable"),
        Error::Locked(_) => (StatusCode::LOCKED, "Too many wrong codes"),
        Error::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Error::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "Busy, try again"),
        Error::NotAuthenticated => (StatusCode::UNAUTHORIZED, "Not authenticated"),
        Error::StaleProof => (StatusCode::UNAUTHORIZED, "Prove your password again"),
        Error::WrongClient => (StatusCode::FORBIDDEN, "this token was made for another client"),
        Error::UnknownDevice => (StatusCode::NOT_FOUND, "Device not found"),
        Error::InvalidTicket => (StatusCode::BAD_REQUEST, "invalid 2FA token"),
        Error::InvalidCode | Error::CodeExpired | Error::TooManyTries => {
            (StatusCode::BAD_REQUEST, "invalid 2FA token")
        }
        Error::InvalidTotp | Error::TotpNotEnabled => (StatusCode::BAD_REQUEST, "token 2fa is invalid"),
        Error::NoBackupCodes => (StatusCode::BAD_REQUEST, "invalid backup code"),
        Error::TotpEnabled | Error::EmailEnabled => (StatusCode::BAD_REQUEST, "this method is on already"),
        Error::InvalidChallenge => (StatusCode::UNAUTHORIZED, "no login is under way"),
        Error::NotAnAddress => (StatusCode::BAD_REQUEST, "Invalid email"),
        Error::InvalidBackupCode => (StatusCode::BAD_REQUEST, "invalid backup code"),
        Error::NoMethod => (StatusCode::BAD_REQUEST, "no 2FA method associated with"),
        Error::NotAnEmailMethod => (StatusCode::BAD_REQUEST, "email is not a valid 2FA method"),
        Error::WrongWords => (StatusCode::FORBIDDEN, "wrong words"),
        Error::NoMailLogin => (StatusCode::GONE, "this login by mail is over"),
        Error::Taken => (StatusCode::CONFLICT, "there is such an account already"),
        Error::RegistrationClosed => (StatusCode::FORBIDDEN, "registration is closed"),
        Error::RegistrationRefused => (StatusCode::BAD_REQUEST, "registration not possible"),
        Error::Weak(why) => (StatusCode::BAD_REQUEST, weak(*why)),
        Error::NotFound => (StatusCode::NOT_FOUND, "not found"),
        Error::SecondFactorNeeded(_) => (StatusCode::UNAUTHORIZED, "A second factor is needed"),
        Error::Expired
        | Error::NotAsked
        | Error::AlreadyAsked
        | Error::AlreadyAnswered
        | Error::WrongAccount => (StatusCode::CONFLICT, "not possible now"),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
    }
}

fn weak(why: WeakPassword) -> &'static str {
    match why {
        WeakPassword::TooShort => "the new password is too short: at least 8 characters",
        WeakPassword::TooLong => "the new password is too long: at most 256 characters",
        WeakPassword::Guessable => "the new password is too easy to guess",
    }
}

/// RFC 6750 §3 and, for a proof that is too old, RFC 9470 §3.
fn challenge(error: &Error) -> HeaderValue {
    if *error == Error::NotAuthenticated {
        return HeaderValue::from_static("Bearer error=\"invalid_token\"");
    }
    let stale = format!("Bearer error=\"{}\", max_age=\"{}\"", Error::StaleProof.code(), FRESH.as_secs());
    let stale = HeaderValue::from_str(&stale).ok().filter(|_| *error == Error::StaleProof);
    stale.unwrap_or(HeaderValue::from_static("Bearer"))
}

fn plain(status: StatusCode, message: &str, code: &str) -> Response {
    (status, Json(json!({"message": message, "error": code}))).into_response()
}
