//! What owners are told: what happened, when, from where, and what to do if it was not them.

use crate::domain::factor::Method;
use crate::domain::language::Language;
use crate::domain::time::Timestamp;

/// An occasion to write. Texts in it are fit to be shown.
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, PartialEq, Eq, Debug)]
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

    pub(super) fn write(self, _language: Language, now: Timestamp) -> Written {
        let (subject, what, source, advice) = match self {
            Self::RegistrationTried { source } => (
                "Somebody tried to register with your address",
                "Somebody tried to make an account with this address. You have one already, so nothing was changed."
                    .to_owned(),
                source,
                "If it was you, just log in. If it was not, you need not do anything.",
            ),
            Self::PhoneAdded { device, source } => (
                "A phone may approve your logins",
                format!("From now on the device \"{}\" may approve logins to your account.", quoted(device)),
                source,
                "If it was not you, log in, revoke that device and change your password.",
            ),
            Self::PhoneRemoved { device, source } => (
                "A phone may not approve your logins any more",
                format!("The device \"{}\" may not approve logins to your account any more.", quoted(device)),
                source,
                "If it was not you, log in, trust it again and change your password.",
            ),
            Self::CodesReplaced { source } => (
                "You have new backup codes",
                "Ten new backup codes were made for your account; the old ones are worth nothing.".to_owned(),
                source,
                "If it was not you, log in, make new ones and change your password.",
            ),
            Self::FactorRemoved { method, source } => (
                "A second factor was turned off",
                format!("The method {method} no longer protects your account."),
                source,
                "If it was not you, log in, turn it on again and change your password.",
            ),
            Self::PasswordChanged { source } => (
                "Your password was changed",
                "The password of your account was changed, and other sessions have ended.".to_owned(),
                source,
                "If it was not you, ask the operator of this service for help at once.",
            ),
            Self::LoginCode { code, minutes, source } => (
                "Your login code",
                format!("Your code to log in with:\n\n{code}\n\nIt is good for {minutes} minutes, once."),
                source,
                "If it was not you, somebody may know your password: change it. Never tell this code to anybody.",
            ),
            Self::EnableCode { code, minutes, source } => (
                "Confirm your address",
                format!("Your code to turn mailed codes on with:\n\n{code}\n\nIt is good for {minutes} minutes, once."),
                source,
                "If it was not you, change your password. Never tell this code to anybody.",
            ),
            Self::FactorAdded { method, source } => (
                "A second factor was turned on",
                format!("The method {method} protects your account from now on."),
                source,
                "If it was not you, log in, turn it off and change your password.",
            ),
            Self::TwoFactorOff { source } => (
                "Two-factor login was turned off",
                "No second factor protects your account any more: the password alone opens it.".to_owned(),
                source,
                "If it was not you, log in, turn it on again and change your password.",
            ),
            Self::CodesLow { left, source } => (
                "Your backup codes are running low",
                format!("A backup code was used to log in; you have {left} left."),
                source,
                "If it was not you, log in, make new ones and change your password.",
            ),
            Self::DeviceTrusted { device, source } => (
                "A device is trusted now",
                format!("The device \"{}\" is not asked for a second factor for a while.", quoted(device)),
                source,
                "If it was not you, log in, revoke that trust and change your password.",
            ),
            Self::Locked { source } => (
                "Too many wrong codes",
                "After too many wrong codes, codes are not accepted for your account for a while. A phone that may \
                 approve your logins still works."
                    .to_owned(),
                source,
                "If it was not you, somebody knows your password: change it.",
            ),
        };
        let text = format!("{what}\n\nWhen: {}\nFrom: {source}\n\n{advice}\n", readable(now));
        Written { subject: subject.to_owned(), text, html: String::new() }
    }
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

    #[test]
    fn no_letter_can_be_taken_for_one_with_a_code() {
        let letters = [
            Letter::RegistrationTried { source: "2001:db8::1" },
            Letter::PhoneAdded { device: "Code 482913 or 00000000", source: "192.0.2.1" },
            Letter::PhoneRemoved { device: "482913", source: "192.0.2.1" },
            Letter::CodesReplaced { source: "192.0.2.1" },
            Letter::FactorRemoved { method: Method::Mobile, source: "192.0.2.1" },
            Letter::PasswordChanged { source: "192.0.2.1" },
            Letter::Locked { source: "192.0.2.1" },
        ];
        for letter in letters {
            let text = letter.write(Language::En, Timestamp(1_795_339_800_000)).text;
            let longest = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            assert!(longest < Some(6), "{text}");
        }
    }
}
