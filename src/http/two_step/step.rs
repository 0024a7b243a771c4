//! The step value, by which the second call of a login names the first: a cookie, or a header for clients that keep none.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::AppendHeaders;
use cookie::{Cookie, SameSite};

use crate::domain::secret::StepToken;
use crate::http::Http;

/// The header, in both directions.
pub(in crate::http) const STEP: HeaderName = HeaderName::from_static("x-readylogin-step");
const NAME: &str = "readylogin_step";

/// What the first call answers with.
pub(super) fn given(http: &Http, step: &StepToken) -> AppendHeaders<[(HeaderName, HeaderValue); 2]> {
    let lasts = cookie::time::Duration::try_from(http.auth.config.two_factor.cookie_ttl);
    let set = cookie(http, step.expose(), lasts.unwrap_or(cookie::time::Duration::MAX));
    // Letters, digits, '-' and '_'.
    let mut value = HeaderValue::from_str(step.expose()).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    AppendHeaders([(SET_COOKIE, set), (STEP, value)])
}

/// The value that a request carries. A header is there on purpose, so it comes before a cookie; of several cookies none
/// is believed: which one is meant can't be known.
pub(super) fn read(headers: &HeaderMap) -> Option<StepToken> {
    if let Some(value) = headers.get(STEP).and_then(|value| value.to_str().ok()) {
        return Some(StepToken::new(value.trim().to_owned()));
    }
    let values = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let cookies = values.flat_map(Cookie::split_parse).filter_map(Result::ok);
    let mut found = cookies.filter(|cookie| cookie.name() == NAME && !cookie.value().is_empty());
    let first = found.next()?;
    found.next().is_none().then(|| StepToken::new(first.value().to_owned()))
}

/// Takes the cookie back from a client that has one: its login is done.
pub(super) fn taken_back(http: &Http, headers: &HeaderMap) -> AppendHeaders<Vec<(HeaderName, HeaderValue)>> {
    let is_there = read(headers).is_some();
    let set = is_there.then(|| (SET_COOKIE, cookie(http, "", cookie::time::Duration::ZERO)));
    AppendHeaders(set.into_iter().collect())
}

fn cookie(http: &Http, value: &str, lasts: cookie::time::Duration) -> HeaderValue {
    let mut cookie = Cookie::new(NAME, value);
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Lax);
    cookie.set_max_age(lasts);
    if http.public_url.starts_with("https://") {
        cookie.set_secure(true);
    }
    HeaderValue::from_str(&cookie.to_string()).unwrap_or(HeaderValue::from_static(""))
}
