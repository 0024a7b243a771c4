//! What owners are told: what happened, when, from where, and what to do if it was not them.

use super::templates::{self, Template, Templates, fill};
use crate::domain::factor::Method;
use crate::domain::language::Language;
use crate::domain::time::Timestamp;

/// An occasion to write. Texts in it are fit to be shown. No `Debug`: there may be a code in it.
#[derive(Clone, Copy)]
pub(crate) enum Letter<'a> {
    /// Somebody tried to register with an address that has an account.
    RegistrationTried { source: &'a str },
    /// A phone may approve logins from now on.
    PhoneAdded { device: &'a str, source: &'a str },
    /// A phone may not approve logins any more.
    PhoneRemoved { device: &'a str, source: &'a str },
    /// There are ten new backup codes.
    CodesReplaced { source: &'a str },
    /// A second factor was turned off.
    FactorRemoved { method: Method, source: &'a str },
    /// The password was changed.
    PasswordChanged { source: &'a str },
    /// Too many wrong second factors.
    Locked { source: &'a str },
    /// A code to log in with, six digits; lives `minutes`.
    LoginCode { code: &'a str, minutes: u64, source: &'a str },
    /// A code that proves the address before mailed codes become a second factor.
    EnableCode { code: &'a str, minutes: u64, source: &'a str },
    /// A second factor was turned on.
    FactorAdded { method: Method, source: &'a str },
    /// All second factors are off: the password alone opens the account.
    TwoFactorOff { source: &'a str },
    /// A backup code was used, and few are left.
    CodesLow { left: u64, source: &'a str },
    /// A device is not asked for a second factor any more, for a while.
    DeviceTrusted { device: &'a str, source: &'a str },
}

/// A letter in words.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

impl Letter<'_> {
    /// Until when there is sense in sending it: a code is good for some minutes, news for ever.
    pub(super) fn good_until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::LoginCode { minutes, .. } | Self::EnableCode { minutes, .. } => {
                Some(now.plus(std::time::Duration::from_secs(minutes * 60)))
            }
            Self::RegistrationTried { .. }
            | Self::PhoneAdded { .. }
            | Self::PhoneRemoved { .. }
            | Self::CodesReplaced { .. }
            | Self::FactorRemoved { .. }
            | Self::PasswordChanged { .. }
            | Self::Locked { .. }
            | Self::FactorAdded { .. }
            | Self::TwoFactorOff { .. }
            | Self::CodesLow { .. }
            | Self::DeviceTrusted { .. } => None,
        }
    }

    pub(super) fn write(self, language: Language, now: Timestamp) -> Written {
        let words = templates::of(language);
        let template = self.template(words);
        let what = fill(template.what, |name| self.value(words, name));
        let (when, from) =
            (format!("{}: {}", words.when, readable(now)), format!("{}: {}", words.from, self.source()));
        let text = format!("{what}\n\n{when}\n{from}\n\n{}\n", template.advice);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n</head>\n<body style=\"{BODY}\">\n",
            language.tag(),
            escaped(template.subject)
        );
        for paragraph in what.split("\n\n") {
            let style = if self.code() == Some(paragraph) { CODE } else { TEXT };
            html.push_str(&format!("<p style=\"{style}\">{}</p>\n", escaped(paragraph)));
        }
        let facts = format!("{}<br>\n{}", escaped(&when), escaped(&from));
        html.push_str(&format!("<p style=\"{TEXT}\">{facts}</p>\n"));
        html.push_str(&format!("<p style=\"{TEXT}\">{}</p>\n</body>\n</html>\n", escaped(template.advice)));
        Written { subject: template.subject.to_owned(), text, html }
    }

    fn template(self, words: &Templates) -> Template {
        match self {
            Self::RegistrationTried { .. } => words.registration_tried,
            Self::PhoneAdded { .. } => words.phone_added,
            Self::PhoneRemoved { .. } => words.phone_removed,
            Self::CodesReplaced { .. } => words.codes_replaced,
            Self::FactorRemoved { .. } => words.factor_removed,
            Self::PasswordChanged { .. } => words.password_changed,
            Self::Locked { .. } => words.locked,
            Self::LoginCode { .. } => words.login_code,
            Self::EnableCode { .. } => words.enable_code,
            Self::FactorAdded { .. } => words.factor_added,
            Self::TwoFactorOff { .. } => words.two_factor_off,
            Self::CodesLow { .. } => words.codes_low,
            Self::DeviceTrusted { .. } => words.device_trusted,
        }
    }

    /// The address that it came from.
    fn source(&self) -> &str {
        match self {
            Self::RegistrationTried { source }
            | Self::PhoneAdded { source, .. }
            | Self::PhoneRemoved { source, .. }
            | Self::CodesReplaced { source }
            | Self::FactorRemoved { source, .. }
            | Self::PasswordChanged { source }
            | Self::Locked { source }
            | Self::LoginCode { source, .. }
            | Self::EnableCode { source, .. }
            | Self::FactorAdded { source, .. }
            | Self::TwoFactorOff { source }
            | Self::CodesLow { source, .. }
            | Self::DeviceTrusted { source, .. } => source,
        }
    }

    fn code(&self) -> Option<&str> {
        if let Self::LoginCode { code, .. } | Self::EnableCode { code, .. } = self {
            Some(code)
        } else {
            None
        }
    }

    /// What stands for `{name}` in this letter.
    fn value(&self, words: &Templates, name: &str) -> Option<String> {
        match (name, self) {
            ("code", _) => self.code().map(str::to_owned),
            ("minutes", Self::LoginCode { minutes, .. } | Self::EnableCode { minutes, .. }) => {
                Some(minutes.to_string())
            }
            ("left", Self::CodesLow { left, .. }) => Some(left.to_string()),
            ("method", Self::FactorAdded { method, .. } | Self::FactorRemoved { method, .. }) => {
                Some(words.methods.name(*method).to_owned())
            }
            (
                "device",
                Self::PhoneAdded { device, .. }
                | Self::PhoneRemoved { device, .. }
                | Self::DeviceTrusted { device, .. },
            ) => Some(quoted(device)),
            _ => None,
        }
    }
}

const BODY: &str = "margin:0 auto;padding:24px;max-width:36em;font-family:system-ui,sans-serif;font-size:16px;line-height:1.5";
const TEXT: &str = "margin:0 0 16px";
const CODE: &str = "margin:0 0 16px;font-family:monospace;font-size:32px;letter-spacing:4px";

/// Text between tags, or in an attribute's quotation marks.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A name that a client chose, without quotation marks and without a run of digits that could be taken for a code.
fn quoted(name: &str) -> String {
    let (mut out, mut run) = (String::with_capacity(name.len()), 0);
    for c in name.chars().filter(|c| *c != '"') {
        run = if c.is_numeric() { run + 1 } else { 0 };
        if run == 6 {
            out.push('…');
            run = 1;
        }
        out.push(c);
    }
    out
}

/// `2026-11-22 09:30 UTC`: no run of six digits, so that it can't be taken for a code.
fn readable(now: Timestamp) -> String {
    let at = std::time::SystemTime::UNIX_EPOCH + now.since(Timestamp(0));
    let text = humantime::format_rfc3339_seconds(at).to_string();
    format!("{} {} UTC", &text[..10], &text[11..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_says_what_when_from_where_and_what_to_do() {
        let letter = Letter::PhoneAdded { device: "Pixel", source: "192.0.2.1" };
        let written = letter.write(Language::En, Timestamp(1_795_339_800_000));
        assert_eq!(written.subject, "A phone may approve your logins");
        for part in ["\"Pixel\"", "When: 2026-11-22 09:30 UTC", "From: 192.0.2.1", "If it was not you"] {
            assert!(written.text.contains(part), "{part} is missing in {}", written.text);
        }
    }

    const NOW: Timestamp = Timestamp(1_795_339_800_000);
    const DEVICE: &str = "<b>&\" 482913 {code} 00000000";

    fn letters() -> Vec<Letter<'static>> {
        let (source, device) = ("2001:db8::1", DEVICE);
        let mut all = vec![
            Letter::RegistrationTried { source },
            Letter::PhoneAdded { device, source },
            Letter::PhoneRemoved { device, source },
            Letter::CodesReplaced { source },
            Letter::PasswordChanged { source },
            Letter::Locked { source },
            Letter::LoginCode { code: "048291", minutes: 10, source },
            Letter::EnableCode { code: "048291", minutes: 10, source },
            Letter::TwoFactorOff { source },
            Letter::CodesLow { left: 3, source },
            Letter::DeviceTrusted { device, source },
        ];
        for method in [Method::Email, Method::Mobile, Method::Authenticator, Method::BackupCode] {
            all.push(Letter::FactorAdded { method, source });
            all.push(Letter::FactorRemoved { method, source });
        }
        all
    }

    /// The runs of six digits and more.
    fn runs(text: &str) -> Vec<&str> {
        text.split(|c: char| !c.is_ascii_digit()).filter(|run| run.len() >= 6).collect()
    }

    #[test]
    fn a_code_is_alone_on_its_line_and_nothing_else_looks_like_one() {
        for language in Language::ALL {
            for letter in letters() {
                let Written { subject, text, html } = letter.write(language, NOW);
                let codes: Vec<&str> = letter.code().into_iter().collect();
                assert_eq!(runs(&text), codes, "{language:?} {text}");
                assert_eq!(runs(&html), codes, "{language:?} {html}");
                assert!(runs(&subject).is_empty(), "{subject}");
                assert!(codes.iter().all(|code| text.lines().any(|line| line == *code)), "{text}");
            }
        }
    }

    #[test]
    fn every_letter_is_whole_in_every_language() {
        for language in Language::ALL {
            for letter in letters() {
                let Written { subject, text, html } = letter.write(language, NOW);
                // The device's name is all that may hold braces, and it holds these.
                let rest = text.replace("{code}", "");
                assert!(!rest.contains(['{', '}']), "{language:?}: something is left out in {text}");
                assert!(
                    !subject.is_empty()
                        && text.contains("2001:db8::1")
                        && text.contains("2026-11-22 09:30 UTC")
                );
                assert!(
                    html.starts_with("<!doctype html>")
                        && html.contains(&format!("lang=\"{}\"", language.tag()))
                );
                assert!(!html.contains("<b>") && !html.contains("http"), "{html}");
                for line in text.lines().filter(|line| !line.is_empty()) {
                    assert!(html.contains(&escaped(line)), "{line:?} is missing in {html}");
                }
            }
        }
        let trusted = Letter::DeviceTrusted { device: DEVICE, source: "192.0.2.1" }.write(Language::De, NOW);
        assert!(trusted.html.contains("„&lt;b&gt;&amp; 4829"), "{}", trusted.html);
    }

    #[test]
    fn languages_differ() {
        for letter in letters() {
            let subjects: std::collections::HashSet<_> =
                Language::ALL.map(|language| letter.write(language, NOW).subject).into();
            assert_eq!(subjects.len(), Language::ALL.len(), "{subjects:?}");
        }
    }
}
