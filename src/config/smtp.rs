//! The mail server of `mail.smtp_url`: where it is, how the way there is protected, who logs in.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, Error as _};

use crate::domain::secret::Password;

/// A mail server that takes mail from us. Its `Debug` shows neither user nor password.
#[derive(Clone)]
pub struct Relay {
    /// A name, or an address without brackets.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// How the way there is protected.
    pub protection: Protection,
    /// User and password, if it wants a login.
    pub login: Option<(String, Password)>,
}

/// How the way to a mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// TLS from the first byte (RFC 8314 §3.3).
    Tls,
    /// STARTTLS (RFC 3207); without it nothing is said.
    StartTls,
    /// None: on this machine only.
    Nothing,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} ({:?})", self.host, self.port, self.protection)
    }
}

pub(super) fn relay<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Relay>, D::Error> {
    let wrong = "must be a text such as \"smtps://user:password@mail.example.org:465\"";
    // The reader's own errors would show the text.
    let url = String::deserialize(d).map_err(|_| D::Error::custom(wrong))?;
    let url = zeroize::Zeroizing::new(url);
    if url.trim().is_empty() {
        return Ok(None);
    }
    Relay::parse(url.trim()).map(Some).map_err(D::Error::custom)
}

impl Relay {
    /// # Errors
    /// What is wrong with it, in words without any part of it.
    fn parse(url: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "must be smtp://USER:PASSWORD@HOST:PORT or smtps://…; percent-encode what is special in it";
        let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let protection = match (scheme.to_ascii_lowercase().as_str(), query) {
            ("smtps", "") => Protection::Tls,
            ("smtp", "") => Protection::StartTls,
            ("smtp", "tls=none") => Protection::Nothing,
            ("smtp" | "smtps", _) => {
                return Err("takes no other parameter than tls=none after smtp://");
            }
            _ => return Err(FORM),
        };
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(parse_login(login).ok_or(FORM)?), place),
            None => (None, rest),
        };
        let (host, port) = parse_place(place).ok_or(FORM)?;
        let default_port = match protection {
            Protection::Tls => 465,
            Protection::StartTls => 587,
            Protection::Nothing => 25,
        };
        if protection == Protection::Nothing && !is_loopback(&host) {
            return Err("tls=none is allowed to a loopback address only");
        }
        Ok(Self { host, port: port.unwrap_or(default_port), protection, login })
    }
}

fn parse_login(text: &str) -> Option<(String, Password)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let (user, password) = text.split_once(':')?;
    let is_plain = |c: char| !"/?#@[] ".contains(c) && !c.is_control();
    if user.is_empty() || password.is_empty() || !text.chars().all(is_plain) {
        return None;
    }
    Some((decode(user)?, Password::new(decode(password)?)))
}

/// Host and port of `mail.example.org:587`, `192.0.2.1` or `[::1]:25`.
fn parse_place(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    if host.is_empty() || !(is_name || text.starts_with('[')) {
        return None;
    }
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    Some((host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_is_read_from_its_url() {
        let read = |url: &str| {
            let relay = Relay::parse(url).unwrap();
            let login = relay.login.map(|(user, password)| format!("{user} {}", password.expose()));
            (relay.host, relay.port, relay.protection, login.unwrap_or_default())
        };
        let of =
            |host: &str, port, protection, login: &str| (host.to_owned(), port, protection, login.to_owned());
        use Protection::{Nothing, StartTls, Tls};
        assert_eq!(read("smtp://u:p@mail.example.org:587"), of("mail.example.org", 587, StartTls, "u p"));
        assert_eq!(read("smtp://mail.example.org/"), of("mail.example.org", 587, StartTls, ""));
        assert_eq!(
            read("SMTPS://me%40example.org:a%2F%3a%20b:c@[2001:db8::1]"),
            of("2001:db8::1", 465, Tls, "me@example.org a/: b:c")
        );
        assert_eq!(read("smtp://127.0.0.1?tls=none"), of("127.0.0.1", 25, Nothing, ""));
        assert_eq!(read("smtp://[::1]:2525?tls=none"), of("::1", 2525, Nothing, ""));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_url() {
        for (url, why) in [
            ("mail.example.org", "must be smtp://"),
            ("http://hunter2@host", "must be smtp://"),
            ("smtp://hunter2@host", "must be smtp://"),
            ("smtp://:hunter2@host", "must be smtp://"),
            ("smtp://u:hunter2/@host", "must be smtp://"),
            ("smtp://u:hunter2@", "must be smtp://"),
            ("smtp://u:hunter2@host:port", "must be smtp://"),
            ("smtp://u:hunter2@host:0", "must be smtp://"),
            ("smtp://u:hunter2@ho st", "must be smtp://"),
            ("smtp://u:hunter2@host/path", "must be smtp://"),
            ("smtp://u:hunter2%ff@host", "must be smtp://"),
            ("smtp://u:hunter2@host?tls=opportunistic", "no other parameter"),
            ("smtps://127.0.0.1?tls=none", "no other parameter"),
            ("smtp://u:hunter2@192.0.2.1?tls=none", "loopback"),
            ("smtp://localhost.example.org?tls=none", "loopback"),
        ] {
            let error = Relay::parse(url).unwrap_err();
            assert!(error.contains(why) && !error.contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn its_debug_shows_no_login() {
        let relay = Relay::parse("smtps://hunter1:hunter2@mail.example.org").unwrap();
        assert_eq!(format!("{relay:?}"), "mail.example.org:465 (Tls)");
    }
}
