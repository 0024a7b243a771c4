//! Requests and answers of the two-step API: fields by names in any case, plain texts, problem documents (RFC 9457).

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::auth::Error;
use crate::auth::bearer::FRESH;
use crate::domain::time::seconds_up;
use crate::http::Http;
use crate::http::error::Refusal;
use crate::http::extract::Json as Body;
use crate::net::json::Once;

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub(super) enum Refused {
    /// A text, exactly as documented.
    Text(StatusCode, &'static str),
    /// A bare status as a problem document.
    Problem { status: StatusCode, challenge: Option<&'static str>, wait: Option<u64>, is_stale: bool },
    /// A token of another client.
    WrongClient,
    /// Fields that are missing or of the wrong type.
    Fields(BTreeMap<String, Vec<String>>),
}

/// A refusal in one of the texts of docs/protocol-http.md, "Two-step API".
pub(super) fn text(status: StatusCode, text: &'static str) -> Refused {
    Refused::Text(status, text)
}

impl Refused {
    pub(super) const UNAUTHORIZED: Self = Self::problem(StatusCode::UNAUTHORIZED);
    pub(super) const BAD_REQUEST: Self = Self::problem(StatusCode::BAD_REQUEST);
    /// Without a token there is no error to name (RFC 6750 §3.1).
    pub(super) const NO_TOKEN: Self = Self::challenged("Bearer");

    const fn problem(status: StatusCode) -> Self {
        Self::Problem { status, challenge: None, wait: None, is_stale: false }
    }

    const fn challenged(challenge: &'static str) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        Self::Problem { status, challenge: Some(challenge), wait: None, is_stale: false }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let wait = error.retry_after().map(|wait| seconds_up(wait).max(1));
        let status = match &error {
            Error::Disabled => {
                return text(StatusCode::FORBIDDEN, "Not authorized, this account is disable");
            }
            Error::WrongClient => return Self::WrongClient,
            Error::BadCredentials => return text(StatusCode::UNAUTHORIZED, "Invalid credentials"),
            Error::NotAuthenticated => return Self::challenged("Bearer error=\"invalid_token\""),
            Error::StaleProof => StatusCode::UNAUTHORIZED,
            Error::Locked(_) => StatusCode::LOCKED,
            Error::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal(text) => {
                tracing::error!(error = text, "request");
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Error::Expired
            | Error::NotAsked
            | Error::AlreadyAsked
            | Error::AlreadyAnswered
            | Error::WrongAccount
            | Error::UnknownDevice
            | Error::SecondFactorNeeded(_)
            | Error::InvalidTicket
            | Error::InvalidCode
            | Error::CodeExpired
            | Error::TooManyTries
            | Error::InvalidTotp
            | Error::InvalidBackupCode
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
            | Error::NotFound => StatusCode::BAD_REQUEST,
        };
        Self::Problem { status, challenge: None, wait, is_stale: error == Error::StaleProof }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Auth(error) | Refusal::WrongSecond(error) => error.into(),
            Refusal::TooLarge => Self::problem(StatusCode::PAYLOAD_TOO_LARGE),
            Refusal::TooSlow => Self::problem(StatusCode::REQUEST_TIMEOUT),
            Refusal::WrongType => Self::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Refusal::NoToken => Self::NO_TOKEN,
            Refusal::NotFound => Self::problem(StatusCode::NOT_FOUND),
            Refusal::BadJson | Refusal::BadField => {
                let why = vec!["The input is not a valid JSON object.".to_owned()];
                Self::Fields(BTreeMap::from([("$".to_owned(), why)]))
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Text(status, text) => {
                let mut response = (status, text).into_response();
                if status == StatusCode::UNAUTHORIZED {
                    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                response
            }
            Self::Problem { status, challenge, wait, is_stale } => {
                let title = status.canonical_reason().unwrap_or_default();
                let mut response = document(status, json!({"title": title, "status": status.as_u16()}));
                let headers = response.headers_mut();
                if let Some(wait) = wait {
                    headers.insert(RETRY_AFTER, HeaderValue::from(wait));
                }
                let stale =
                    format!("Bearer error=\"{}\", max_age=\"{}\"", Error::StaleProof.code(), FRESH.as_secs());
                let stale = HeaderValue::from_str(&stale).ok().filter(|_| is_stale);
                let challenge = HeaderValue::from_static(challenge.unwrap_or("Bearer"));
                if status == StatusCode::UNAUTHORIZED {
                    headers.insert(WWW_AUTHENTICATE, stale.unwrap_or(challenge));
                }
                response
            }
            Self::WrongClient => {
                let body = json!({"title": "Forbidden", "status": 403, "error": Error::WrongClient.code()});
                document(StatusCode::FORBIDDEN, body)
            }
            Self::Fields(errors) => {
                let title = "One or more validation errors occurred.";
                document(StatusCode::BAD_REQUEST, json!({"title": title, "status": 400, "errors": errors}))
            }
        }
    }
}

fn document(status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, PROBLEM);
    response
}

/// The fields of a body, by their names in lower case. No `Debug`: there are passwords in it.
pub(super) struct Fields {
    values: BTreeMap<String, Value>,
    errors: BTreeMap<String, Vec<String>>,
}

impl FromRequest<Http> for Fields {
    type Rejection = Refused;

    async fn from_request(request: Request, http: &Http) -> Result<Self, Refused> {
        let Body(Once(value)) = Body::<Once>::from_request(request, http).await?;
        if let Value::Object(fields) = value { Self::of(fields) } else { Err(Refusal::BadField.into()) }
    }
}

impl Fields {
    fn of(fields: Map<String, Value>) -> Result<Self, Refused> {
        let mut values = BTreeMap::new();
        for (name, value) in fields {
            if values.insert(name.to_lowercase(), value).is_some() {
                return Err(Refusal::BadField.into());
            }
        }
        Ok(Self { values, errors: BTreeMap::new() })
    }

    /// A text that must be there and not be empty.
    pub(super) fn text(&mut self, name: &str) -> String {
        match self.values.remove(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => text,
            None | Some(Value::Null | Value::String(_)) => {
                self.complain(name, |name| format!("The {name} field is required."))
            }
            Some(_) => self.complain(name, |name| format!("The {name} field must be a text.")),
        }
    }

    /// A text that may be missing.
    pub(super) fn optional(&mut self, name: &str) -> Option<String> {
        match self.values.remove(name) {
            Some(Value::String(text)) => Some(text),
            None | Some(Value::Null) => None,
            Some(_) => Some(self.complain(name, |name| format!("The {name} field must be a text."))),
        }
    }

    /// Whether everything was as it must be.
    pub(super) fn finish(self) -> Result<(), Refused> {
        if self.errors.is_empty() { Ok(()) } else { Err(Refused::Fields(self.errors)) }
    }

    /// Notes what is wrong with a field, named with a capital as the documented answers do.
    fn complain(&mut self, name: &str, why: impl FnOnce(&str) -> String) -> String {
        let mut capital = name.to_owned();
        if let Some(first) = capital.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let why = why(&capital);
        self.errors.insert(capital, vec![why]);
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value) -> Result<Fields, Refused> {
        let Value::Object(map) = value else { panic!("an object") };
        Fields::of(map)
    }

    #[test]
    fn names_are_read_in_any_case_and_never_twice() {
        let mut read = fields(json!({"UserName": "ann", "PROVIDER": "Email"})).unwrap();
        assert_eq!([read.text("username"), read.text("provider")], ["ann", "Email"]);
        assert!(read.finish().is_ok());
        assert!(fields(json!({"Token": "1", "token": "2"})).is_err());
    }

    #[test]
    fn what_is_missing_is_named_as_documented() {
        let mut read = fields(json!({"email": "", "token": 5})).unwrap();
        for name in ["email", "provider", "token"] {
            read.text(name);
        }
        let Err(Refused::Fields(errors)) = read.finish() else { panic!("nothing was wrong") };
        assert_eq!(errors["Provider"], ["The Provider field is required."]);
        assert_eq!(errors["Email"], ["The Email field is required."]);
        assert_eq!(errors["Token"], ["The Token field must be a text."]);
    }
}
