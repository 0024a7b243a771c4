//! Answers and refusals in the client's words: users, sessions, `{"message","code"}`, and the cookies that go along.

use std::borrow::Cow;

use axum::Json;
use axum::http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{SET_AUTH_TOKEN, X_RETRY_AFTER};
use crate::auth::Error;
use crate::auth::bearer::FRESH;
use crate::domain::account::{Account, WeakPassword};
use crate::domain::secret::SessionToken;
use crate::domain::time::{Timestamp, seconds_up};
use crate::http::error::Refusal;

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    /// Seconds to wait.
    wait: Option<u64>,
    is_stale: bool,
    cookies: Vec<HeaderValue>,
}

impl Refused {
    pub(super) const MISSING_ORIGIN: Self =
        Self::constant(StatusCode::FORBIDDEN, "MISSING_OR_NULL_ORIGIN", "Missing or null Origin");
    pub(super) const INVALID_ORIGIN: Self =
        Self::constant(StatusCode::FORBIDDEN, "INVALID_ORIGIN", "Invalid origin");
    pub(super) const CROSS_SITE_NAVIGATION: Self = Self::constant(
        StatusCode::FORBIDDEN,
        "CROSS_SITE_NAVIGATION_LOGIN_BLOCKED",
        "Cross-site navigation login blocked. This request appears to be a CSRF attack.",
    );
    pub(super) const INVALID_CALLBACK: Self =
        Self::constant(StatusCode::FORBIDDEN, "INVALID_CALLBACK_URL", "Invalid callbackURL");
    pub(super) const BAD_JSON: Self =
        Self::constant(StatusCode::BAD_REQUEST, "BAD_REQUEST", "Invalid JSON in request body");
    pub(super) const UNAUTHORIZED: Self =
        Self::constant(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "Unauthorized");
    pub(super) const INVALID_EMAIL: Self =
        Self::constant(StatusCode::BAD_REQUEST, "INVALID_EMAIL", "Invalid email");
    pub(super) const WRONG_CREDENTIALS: Self =
        Self::constant(StatusCode::UNAUTHORIZED, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password");
    pub(super) const USER_EXISTS: Self = Self::constant(
        StatusCode::UNPROCESSABLE_ENTITY,
        "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL",
        "User already exists. Use another email.",
    );
    pub(super) const NOT_ENABLED: Self =
        Self::constant(StatusCode::BAD_REQUEST, "TWO_FACTOR_NOT_ENABLED", "Two factor isn't enabled");
    pub(super) const NO_OTP: Self =
        Self::constant(StatusCode::BAD_REQUEST, "OTP_NOT_CONFIGURED", "otp isn't configured");

    const fn constant(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        let message = Cow::Borrowed(message);
        Self { status, code, message, wait: None, is_stale: false, cookies: Vec::new() }
    }

    /// Fields of a body that are missing or of the wrong type, each in the client's words.
    pub(super) fn validation(issues: &[String]) -> Self {
        let message = Cow::Owned(issues.join("; "));
        Self { message, ..Self::constant(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "") }
    }

    /// A body of a type that the route does not read.
    pub(super) fn wrong_type(allowed: &str) -> Self {
        let message = Cow::Owned(format!("Content-Type is not allowed. Allowed types: {allowed}"));
        Self { message, ..Self::constant(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", "") }
    }

    /// The same refusal, with cookies.
    pub(super) fn with(mut self, cookies: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.cookies.extend(cookies);
        self
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        if let Error::Internal(text) = &error {
            tracing::error!(error = text, "request");
        }
        let (status, code, message) = outside(&error);
        let wait = error.retry_after().map(|wait| seconds_up(wait).max(1));
        Self { wait, is_stale: error == Error::StaleProof, ..Self::constant(status, code, message) }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Auth(error) | Refusal::WrongSecond(error) => error.into(),
            Refusal::TooLarge => {
                Self::constant(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", "Body too large")
            }
            Refusal::TooSlow => {
                Self::constant(StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "Body too slow")
            }
            Refusal::WrongType => Self::wrong_type("application/json"),
            Refusal::BadJson | Refusal::BadField => Self::BAD_JSON,
            Refusal::NoToken => Self::UNAUTHORIZED,
            Refusal::NotFound => Self::constant(StatusCode::NOT_FOUND, "NOT_FOUND", "Not found"),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = Json(json!({"message": self.message, "code": self.code}));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        add_cookies(headers, self.cookies);
        if let Some(wait) = self.wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait));
            headers.insert(X_RETRY_AFTER, HeaderValue::from(wait));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let stale =
                format!("Bearer error=\"{}\", max_age=\"{}\"", Error::StaleProof.code(), FRESH.as_secs());
            let stale = HeaderValue::from_str(&stale).ok().filter(|_| self.is_stale);
            headers.insert(WWW_AUTHENTICATE, stale.unwrap_or(HeaderValue::from_static("Bearer")));
        }
        response
    }
}

/// Status, code and text: docs/protocol-http.md, "better-auth API".
#[expect(clippy::too_many_lines, reason = "a table: an arm for each refusal")]
fn outside(error: &Error) -> (StatusCode, &'static str, &'static str) {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    const NOT: StatusCode = StatusCode::UNAUTHORIZED;
    const INTERNAL: (StatusCode, &str, &str) =
        (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "Internal Server Error");
    match error {
        Error::WrongClient => {
            (StatusCode::FORBIDDEN, "WRONG_CLIENT", "This token was made for another client")
        }
        Error::BadCredentials => (BAD, "INVALID_PASSWORD", "Invalid password"),
        Error::Disabled | Error::NotAuthenticated => (NOT, "UNAUTHORIZED", "Unauthorized"),
        Error::StaleProof => (NOT, "SESSION_NOT_FRESH", "Session is not fresh"),
        Error::Locked(_) => (
            StatusCode::TOO_MANY_REQUESTS,
            "ACCOUNT_TEMPORARILY_LOCKED",
            "Too many failed verification attempts. Your account is temporarily locked. Please try again later.",
        ),
        Error::TooManyRequests(_) => {
            (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "Too many requests. Please try again later.")
        }
        Error::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", "Busy, try again"),
        Error::InvalidCode | Error::InvalidTotp | Error::InvalidTicket => {
            (NOT, "INVALID_CODE", "Invalid code")
        }
        Error::CodeExpired | Error::NotAnEmailMethod | Error::NoMethod => {
            (BAD, "OTP_HAS_EXPIRED", "OTP has expired")
        }
        Error::TooManyTries => {
            (BAD, "TOO_MANY_ATTEMPTS_REQUEST_NEW_CODE", "Too many attempts. Please request a new code.")
        }
        Error::InvalidBackupCode => (NOT, "INVALID_BACKUP_CODE", "Invalid backup code"),
        Error::NoBackupCodes => (BAD, "BACKUP_CODES_NOT_ENABLED", "Backup codes aren't enabled"),
        Error::TotpEnabled => (BAD, "TOTP_ALREADY_ENABLED", "TOTP is already enabled"),
        Error::TotpNotEnabled => (BAD, "TOTP_NOT_ENABLED", "TOTP not enabled"),
        Error::InvalidChallenge => (NOT, "INVALID_TWO_FACTOR_COOKIE", "Invalid two factor cookie"),
        Error::RegistrationClosed => {
            (BAD, "EMAIL_PASSWORD_SIGN_UP_DISABLED", "Email and password sign up is not enabled")
        }
        Error::RegistrationRefused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            Refused::USER_EXISTS.code,
            "User already exists. Use another email.",
        ),
        Error::Weak(WeakPassword::TooShort) => (BAD, "PASSWORD_TOO_SHORT", "Password too short"),
        Error::Weak(WeakPassword::TooLong) => (BAD, "PASSWORD_TOO_LONG", "Password too long"),
        Error::Weak(WeakPassword::Guessable) => (
            BAD,
            "PASSWORD_COMPROMISED",
            "The password you entered has been compromised. Please choose a different password.",
        ),
        Error::NotAnAddress => (BAD, "INVALID_EMAIL", "Invalid email"),
        Error::Expired
        | Error::NotAsked
        | Error::AlreadyAsked
        | Error::AlreadyAnswered
        | Error::WrongAccount
        | Error::UnknownDevice
        | Error::SecondFactorNeeded(_)
        | Error::EmailEnabled
        | Error::NotFound
        | Error::Internal(_) => INTERNAL,
        Error::WrongWords | Error::NoMailLogin | Error::Taken => INTERNAL,
    }
}

/// An answer of 200 with cookies.
pub(super) fn ok(body: &Value, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let mut response = Json(body).into_response();
    add_cookies(response.headers_mut(), cookies);
    response
}

/// An answer that sets a session: clients without cookies find its token in a header.
pub(super) fn with_session(
    body: &Value,
    cookies: impl IntoIterator<Item = HeaderValue>,
    token: &SessionToken,
) -> Response {
    let mut response = ok(body, cookies);
    if let Ok(token) = HeaderValue::from_str(token.expose()) {
        let headers = response.headers_mut();
        headers.insert(SET_AUTH_TOKEN, token);
        headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("set-auth-token"));
    }
    response
}

fn add_cookies(headers: &mut HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) {
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
}

pub(super) fn user(account: &Account, two_factor: bool) -> Value {
    let mut user = json!({
        "id": account.uuid,
        "name": account.name,
        "email": account.email.as_given(),
        "emailVerified": account.verified,
        "createdAt": time(account.created_at),
        "updatedAt": time(account.updated_at),
        "twoFactorEnabled": two_factor,
    });
    if !account.image.is_empty() {
        user["image"] = Value::from(account.image.clone());
    }
    user
}

/// ISO 8601 with milliseconds, UTC.
pub(in crate::http) fn time(at: Timestamp) -> String {
    let at = std::time::SystemTime::UNIX_EPOCH + at.since(Timestamp(0));
    humantime::format_rfc3339_millis(at).to_string()
}
