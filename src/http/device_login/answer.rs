//! What the device-aware login answers: a status that the body repeats, and a message in the client's language.

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CONTENT_LANGUAGE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::texts::Text;
use crate::auth::Error;
use crate::auth::bearer::FRESH;
use crate::domain::factor::Method;
use crate::domain::language::Language;
use crate::domain::time::seconds_up;
use crate::http::error::Refusal;
use crate::http::extract::language;

/// The language where a client names none (docs/protocol-http.md, "Device login").
const DEFAULT: Language = Language::Fr;

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    status: StatusCode,
    text: Text,
    /// The field that is wrong.
    field: Option<&'static str>,
    code: &'static str,
    /// Seconds to wait.
    wait: Option<u64>,
    challenge: Challenge,
}

/// What a 401 demands.
#[derive(Clone, Copy, Debug)]
enum Challenge {
    Anything,
    InvalidToken,
    Fresh,
}

/// Something to be said once the language is known; see [`speak`].
#[derive(Clone, Debug)]
struct Unsaid {
    text: Text,
    field: Option<&'static str>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Refused { code: &'static str },
    CodeSent,
    SecondFactor { methods: Vec<&'static str> },
}

#[derive(Serialize)]
struct Message {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    two_factor_required: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    methods: Option<Vec<&'static str>>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// 202: the password was right, and one of these methods has to prove more.
pub(super) fn second_factor(methods: &[Method]) -> Response {
    let methods = methods.iter().map(|method| method.as_str()).collect();
    unsaid(StatusCode::ACCEPTED, Text::SecondFactor, None, Body::SecondFactor { methods })
}

/// 201: a code was mailed, or would have been.
pub(super) fn code_sent() -> Response {
    unsaid(StatusCode::CREATED, Text::CodeSent, None, Body::CodeSent)
}

fn unsaid(status: StatusCode, text: Text, field: Option<&'static str>, body: Body) -> Response {
    let mut response = status.into_response();
    response.extensions_mut().insert(Unsaid { text, field, body });
    response
}

/// Puts what was left unsaid into the language of `Accept-Language`.
pub(super) async fn speak(request: Request, next: Next) -> Response {
    let language = language(request.headers()).unwrap_or(DEFAULT);
    let mut response = next.run(request).await;
    let Some(Unsaid { text, field, body }) = response.extensions_mut().remove::<Unsaid>() else {
        return response;
    };
    let (two_factor_required, methods, error) = match body {
        Body::Refused { code } => (None, None, Some(code)),
        Body::CodeSent => (None, None, None),
        Body::SecondFactor { methods } => (Some(true), Some(methods), None),
    };
    let message = format!("{}{}", text.of(language), field.unwrap_or_default());
    let status = response.status().as_u16();
    let body = Json(Message { status, two_factor_required, methods, message, error });
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    (parts.status, parts.headers, body).into_response()
}

/// 405, on the routes of this surface.
pub(super) async fn wrong_method() -> Refused {
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, Text::WrongMethod, "method_not_allowed")
}

impl Refused {
    fn new(status: StatusCode, text: Text, code: &'static str) -> Self {
        Self { status, text, field: None, code, wait: None, challenge: Challenge::Anything }
    }

    /// A field that is missing, blank, of another type, or can't be what it is to be.
    pub(super) fn field(name: &'static str) -> Self {
        let refused = Self::new(StatusCode::UNPROCESSABLE_ENTITY, Text::BadField, "bad_field");
        Self { field: Some(name), ..refused }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        if let Error::Internal(text) = &error {
            tracing::error!(error = text, "request");
        }
        if error == Error::NotAnAddress {
            return Self::field("identifier");
        }
        let (status, text) = outside(&error);
        let challenge = if error == Error::NotAuthenticated {
            Challenge::InvalidToken
        } else if error == Error::StaleProof {
            Challenge::Fresh
        } else {
            Challenge::Anything
        };
        let wait = error.retry_after().map(|wait| seconds_up(wait).max(1));
        Self { wait, challenge, ..Self::new(status, text, error.code()) }
    }
}

/// Status and text: docs/protocol-http.md, "Device login".
fn outside(error: &Error) -> (StatusCode, Text) {
    match error {
        Error::BadCredentials => (StatusCode::UNAUTHORIZED, Text::WrongCredentials),
        Error::Disabled => (StatusCode::FORBIDDEN, Text::Disabled),
        Error::Locked(_) => (StatusCode::LOCKED, Text::Locked),
        Error::TooManyRequests(_) => (StatusCode::TOO_MANY_REQUESTS, Text::TooManyRequests),
        Error::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, Text::Busy),
        Error::NotAuthenticated | Error::InvalidChallenge => {
            (StatusCode::UNAUTHORIZED, Text::NotAuthenticated)
        }
        Error::StaleProof => (StatusCode::UNAUTHORIZED, Text::StaleProof),
        Error::SecondFactorNeeded(_) => (StatusCode::UNAUTHORIZED, Text::SecondFactor),
        Error::CodeExpired | Error::TooManyTries | Error::NoMailLogin => (StatusCode::GONE, Text::DeadCode),
        Error::InvalidTicket
        | Error::InvalidCode
        | Error::WrongWords
        | Error::InvalidTotp
        | Error::InvalidBackupCode
        | Error::NoBackupCodes
        | Error::TotpNotEnabled
        | Error::NoMethod
        | Error::NotAnEmailMethod => (StatusCode::UNAUTHORIZED, Text::WrongCode),
        Error::NotAnAddress | Error::Weak(_) => (StatusCode::UNPROCESSABLE_ENTITY, Text::BadField),
        Error::RegistrationClosed | Error::RegistrationRefused => (StatusCode::FORBIDDEN, Text::NotNow),
        Error::WrongClient => (StatusCode::FORBIDDEN, Text::WrongClient),
        Error::UnknownDevice | Error::NotFound => (StatusCode::NOT_FOUND, Text::NotFound),
        Error::Expired
        | Error::NotAsked
        | Error::AlreadyAsked
        | Error::AlreadyAnswered
        | Error::WrongAccount
        | Error::Taken
        | Error::TotpEnabled
        | Error::EmailEnabled => (StatusCode::CONFLICT, Text::NotNow),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, Text::Internal),
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Auth(error) | Refusal::WrongSecond(error) => error.into(),
            Refusal::BadJson | Refusal::BadField => {
                Self::new(StatusCode::BAD_REQUEST, Text::BadJson, "bad_json")
            }
            Refusal::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, Text::TooLarge, "too_large"),
            Refusal::WrongType => {
                Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Text::WrongType, "unsupported_media_type")
            }
            Refusal::TooSlow => Self::new(StatusCode::REQUEST_TIMEOUT, Text::TooSlow, "timeout"),
            Refusal::NoToken => {
                // Without a token there is no error to name (RFC 6750 §3.1).
                let code = Error::NotAuthenticated.code();
                Self::new(StatusCode::UNAUTHORIZED, Text::NotAuthenticated, code)
            }
            Refusal::NotFound => Self::new(StatusCode::NOT_FOUND, Text::NotFound, Error::NotFound.code()),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = unsaid(self.status, self.text, self.field, Body::Refused { code: self.code });
        let headers = response.headers_mut();
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, self.challenge.header());
        }
        response
    }
}

impl Challenge {
    /// RFC 6750 §3 and, for a proof that is too old, RFC 9470 §3.
    fn header(self) -> HeaderValue {
        let fresh = || {
            let text =
                format!("Bearer error=\"{}\", max_age=\"{}\"", Error::StaleProof.code(), FRESH.as_secs());
            HeaderValue::from_str(&text).ok()
        };
        match self {
            Self::Anything => None,
            Self::InvalidToken => Some(HeaderValue::from_static("Bearer error=\"invalid_token\"")),
            Self::Fresh => fresh(),
        }
        .unwrap_or(HeaderValue::from_static("Bearer"))
    }
}
