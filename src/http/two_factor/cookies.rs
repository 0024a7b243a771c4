//! The cookies of the better-auth API (docs/protocol-http.md, "Cookies"): their names, how they are set and expired.

use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use cookie::{Cookie, SameSite};

use crate::http::Http;

/// What a cookie is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name {
    /// The session's token.
    Session,
    /// Only ever taken back: upstream's copy of the session's data.
    SessionData,
    /// There while the session ends with the browser.
    DontRemember,
    /// A sign-in whose second factor is awaited.
    TwoFactor,
    /// A device that is not asked for a second factor.
    TrustDevice,
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session_token",
            Self::SessionData => "session_data",
            Self::DontRemember => "dont_remember",
            Self::TwoFactor => "two_factor",
            Self::TrustDevice => "trust_device",
        }
    }
}

/// How cookies look on this server.
#[derive(Clone, Debug)]
pub(super) struct Cookies {
    prefix: String,
    is_secure: bool,
}

impl Cookies {
    pub(super) fn of(http: &Http) -> Self {
        let prefix = http.auth.config.two_factor.cookie_prefix.clone();
        Self { prefix, is_secure: http.public_url.starts_with("https://") }
    }

    /// The value that the request carries; of several, none: which one is meant can't be told.
    pub(super) fn read(&self, headers: &HeaderMap, name: Name) -> Option<String> {
        let wanted = self.name(name);
        let mut found = headers
            .get_all(COOKIE)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .filter(|cookie| cookie.name() == wanted && !cookie.value().is_empty());
        let first = found.next()?;
        found.next().is_none().then(|| first.value().to_owned())
    }

    /// Sets a cookie, with an end or for as long as the browser runs.
    pub(super) fn set(&self, name: Name, value: &str, lasts: Option<Duration>) -> HeaderValue {
        let mut cookie = self.cookie(name, value.to_owned());
        if let Some(lasts) = lasts {
            cookie.set_max_age(cookie::time::Duration::try_from(lasts).ok());
        }
        header(&cookie)
    }

    /// Takes a cookie back.
    pub(super) fn expire(&self, name: Name) -> HeaderValue {
        let mut cookie = self.cookie(name, String::new());
        cookie.set_max_age(cookie::time::Duration::ZERO);
        header(&cookie)
    }

    fn cookie(&self, name: Name, value: String) -> Cookie<'static> {
        let mut cookie = Cookie::new(self.name(name), value);
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_same_site(SameSite::Lax);
        if self.is_secure {
            cookie.set_secure(true);
        }
        cookie
    }

    fn name(&self, name: Name) -> String {
        let secure = if self.is_secure { "__Secure-" } else { "" };
        format!("{secure}{}.{}", self.prefix, name.as_str())
    }
}

fn header(cookie: &Cookie<'_>) -> HeaderValue {
    // Names come from a checked setting and values from this server: letters, digits, '-', '_' and '.'.
    HeaderValue::from_str(&cookie.to_string()).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(is_secure: bool) -> Cookies {
        Cookies { prefix: "better-auth".to_owned(), is_secure }
    }

    #[test]
    fn a_cookie_is_no_script_s_and_no_other_site_s() {
        let set = cookies(true).set(Name::TwoFactor, "abc", Some(Duration::from_secs(600)));
        let set = set.to_str().unwrap();
        assert!(set.starts_with("__Secure-better-auth.two_factor=abc; "), "{set}");
        for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=600"] {
            assert!(set.contains(part), "{part} is missing in {set}");
        }
        let plain = cookies(false).set(Name::Session, "abc", None);
        assert!(!plain.to_str().unwrap().contains("Max-Age") && !plain.to_str().unwrap().contains("Secure"));
        assert!(cookies(false).expire(Name::Session).to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_not_believed() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; better-auth.session_token=one"));
        assert_eq!(cookies(false).read(&headers, Name::Session).as_deref(), Some("one"));
        headers.append(COOKIE, HeaderValue::from_static("better-auth.session_token=two"));
        assert_eq!(cookies(false).read(&headers, Name::Session), None);
    }
}
