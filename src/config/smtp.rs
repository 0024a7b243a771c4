//! The mail server's address as it stands in `mail.smtp_url`.

use serde::de::{Deserialize, Deserializer, Error as _};
use url::Url;

use crate::domain::secret::Password;

/// How the connection to a mail server is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encryption {
    /// Not at all; to this machine only.
    None,
    /// By STARTTLS (RFC 3207), without which nothing is sent.
    StartTls,
    /// From the first byte (RFC 8314).
    Implicit,
}

/// Where mail is handed in, and as whom. Its `Debug` shows no password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SmtpUrl {
    /// A name or an address.
    pub host: String,
    /// 587 or 465 when none is named.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Who logs in, if somebody does.
    pub login: Option<SmtpLogin>,
}

/// A user of a mail server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SmtpLogin {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Password,
}

/// Reads the setting; an empty text means none.
pub(super) fn optional<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SmtpUrl>, D::Error> {
    let text = zeroize::Zeroizing::new(String::deserialize(d)?);
    if text.is_empty() {
        return Ok(None);
    }
    // The text holds a password, so no error repeats any of it.
    SmtpUrl::parse(&text).map(Some).map_err(D::Error::custom)
}

impl SmtpUrl {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be smtp://USER:PASSWORD@HOST:587 (STARTTLS), smtps://USER:PASSWORD@HOST:465 (TLS), or \
                            smtp://127.0.0.1:25?tls=none for a mail server on this machine";
        let url = Url::parse(text).map_err(|_| FORM)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?.to_owned();
        let (encryption, port) = match (url.scheme(), url.query()) {
            ("smtps", None) => (Encryption::Implicit, 465),
            ("smtp", None) => (Encryption::StartTls, 587),
            ("smtp", Some("tls=none")) => (Encryption::None, 25),
            _ => return Err(FORM),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(FORM);
        }
        let bare = host.trim_matches(['[', ']']);
        let is_here =
            bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if encryption == Encryption::None && !is_here {
            return Err(
                "tls=none is for a mail server on a loopback address: codes and passwords would be readable",
            );
        }
        let decode = |part: &str| {
            percent_encoding::percent_decode_str(part).decode_utf8().map(String::from).map_err(|_| FORM)
        };
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) if !user.is_empty() => {
                Some(SmtpLogin { user: decode(user)?, password: Password::new(decode(password)?) })
            }
            _ => return Err(FORM),
        };
        Ok(Self { host: bare.to_owned(), port: url.port().unwrap_or(port), encryption, login })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_says_how_it_is_encrypted_and_nothing_is_sent_in_the_clear_over_a_network() {
        let parse = |text: &str| SmtpUrl::parse(text);
        let relay = parse("smtp://ann%40example.org:p%3Ass%2F@mail.example.org").unwrap();
        assert_eq!((relay.port, relay.encryption), (587, Encryption::StartTls));
        let login = relay.login.clone().unwrap();
        assert_eq!((login.user.as_str(), login.password.expose()), ("ann@example.org", "p:ss/"));
        assert!(!format!("{relay:?}").contains("p:ss/"));
        assert_eq!(parse("smtps://mail.example.org:4465").unwrap().port, 4465);
        for here in ["smtp://127.0.0.1:2525?tls=none", "smtp://[::1]?tls=none", "smtp://localhost?tls=none"] {
            assert_eq!(parse(here).unwrap().encryption, Encryption::None, "{here}");
        }
        for wrong in [
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtp://mail.example.org?tls=none",
            "smtp://mail.example.org?tls=opportunistic",
            "smtps://mail.example.org?tls=none",
            "smtp://user@mail.example.org",
            "smtp://mail.example.org/path",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
