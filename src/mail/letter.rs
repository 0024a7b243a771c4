//! What owners are told: what happened, when, from where, and what to do if it was not them.

use std::time::Duration;

use super::bound::Bound;
use crate::domain::factor::Method;
use crate::domain::text::without_links;
use crate::domain::time::Timestamp;

/// An occasion to write. Texts in it are fit to be shown.
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
    /// A refresh token was shown a second time: its session has ended.
    RefreshReused { device: &'a str, source: &'a str },
    /// Too many wrong second factors.
    Locked { source: &'a str },
    /// Too many unknown devices beside the right password: no device is trusted by its fingerprint for a while.
    FingerprintsGuessed { source: &'a str },
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
    /// Three words that prove the address; live `minutes`.
    Words { words: &'a str, minutes: u64, source: &'a str },
    /// A new password was set by whom mailed words have proven to own the address.
    PasswordRecovered { source: &'a str },
    /// The address was proven for the first time, beside the password.
    AddressProven { bound: &'a Bound, source: &'a str },
    /// The address was proven for the first time, without the password: what was bound to the account has ended.
    Reclaimed { source: &'a str },
}

/// Repeats are counted and not listed.
static NOTHING: Bound =
    Bound { phones: Vec::new(), devices: Vec::new(), trusted: Vec::new(), methods: Vec::new() };

impl<'a> Letter<'a> {
    /// When there is no sense any more in sending it: its code is over by then.
    pub(super) fn expires_at(self, now: Timestamp) -> Option<Timestamp> {
        if let Self::LoginCode { minutes, .. }
        | Self::EnableCode { minutes, .. }
        | Self::Words { minutes, .. } = self
        {
            Some(now.plus(Duration::from_secs(minutes.max(1).saturating_mul(60))))
        } else {
            None
        }
    }

    /// The name of this kind of letter in the store.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::RegistrationTried { .. } => "registration_tried",
            Self::PhoneAdded { .. } => "phone_added",
            Self::PhoneRemoved { .. } => "phone_removed",
            Self::CodesReplaced { .. } => "codes_replaced",
            Self::FactorRemoved { .. } => "factor_removed",
            Self::PasswordChanged { .. } => "password_changed",
            Self::RefreshReused { .. } => "refresh_reused",
            Self::Locked { .. } => "locked",
            Self::FingerprintsGuessed { .. } => "fingerprints_guessed",
            Self::LoginCode { .. } => "login_code",
            Self::EnableCode { .. } => "enable_code",
            Self::FactorAdded { .. } => "factor_added",
            Self::TwoFactorOff { .. } => "two_factor_off",
            Self::CodesLow { left: 0, .. } => "codes_low/0",
            Self::CodesLow { left: 1, .. } => "codes_low/1",
            Self::CodesLow { left: 2, .. } => "codes_low/2",
            Self::CodesLow { .. } => "codes_low",
            Self::DeviceTrusted { .. } => "device_trusted",
            Self::Words { .. } => "words",
            Self::PasswordRecovered { .. } => "password_recovered",
            Self::AddressProven { .. } => "address_proven",
            Self::Reclaimed { .. } => "reclaimed",
        }
    }

    /// A letter of a kind whose repeats are told together.
    pub(super) fn of_kind(kind: &str, source: &'a str) -> Option<Self> {
        let device = "";
        Some(match kind {
            "registration_tried" => Self::RegistrationTried { source },
            "phone_added" => Self::PhoneAdded { device, source },
            "phone_removed" => Self::PhoneRemoved { device, source },
            "codes_replaced" => Self::CodesReplaced { source },
            "factor_removed" => Self::FactorRemoved { method: Method::Email, source },
            "password_changed" => Self::PasswordChanged { source },
            "refresh_reused" => Self::RefreshReused { device, source },
            "locked" => Self::Locked { source },
            "fingerprints_guessed" => Self::FingerprintsGuessed { source },
            "factor_added" => Self::FactorAdded { method: Method::Email, source },
            "two_factor_off" => Self::TwoFactorOff { source },
            "codes_low/0" | "codes_low/1" | "codes_low/2" | "codes_low" => Self::CodesLow { left: 0, source },
            "device_trusted" => Self::DeviceTrusted { device, source },
            "password_recovered" => Self::PasswordRecovered { source },
            "address_proven" => Self::AddressProven { bound: &NOTHING, source },
            "reclaimed" => Self::Reclaimed { source },
            _ => return None,
        })
    }

    /// Whether it is never delayed: what was granted or taken away, and new passwords.
    pub(super) fn is_urgent(self) -> bool {
        match self {
            Self::PhoneAdded { .. }
            | Self::PhoneRemoved { .. }
            | Self::FactorAdded { .. }
            | Self::FactorRemoved { .. }
            | Self::TwoFactorOff { .. }
            | Self::DeviceTrusted { .. }
            | Self::PasswordChanged { .. }
            | Self::PasswordRecovered { .. }
            | Self::AddressProven { .. }
            | Self::Reclaimed { .. } => true,
            Self::RegistrationTried { .. }
            | Self::CodesReplaced { .. }
            | Self::RefreshReused { .. }
            | Self::Locked { .. }
            | Self::FingerprintsGuessed { .. }
            | Self::CodesLow { .. }
            | Self::LoginCode { .. }
            | Self::EnableCode { .. }
            | Self::Words { .. } => false,
        }
    }

    /// A code, or words that serve as one.
    pub(super) fn code(&self) -> Option<&str> {
        if let Self::LoginCode { code, .. }
        | Self::EnableCode { code, .. }
        | Self::Words { words: code, .. } = self
        {
            Some(code)
        } else {
            None
        }
    }

    pub(super) fn bound(&self) -> Option<&Bound> {
        if let Self::AddressProven { bound, .. } = self { Some(bound) } else { None }
    }

    pub(super) fn device(&self) -> &str {
        if let Self::PhoneAdded { device, .. }
        | Self::PhoneRemoved { device, .. }
        | Self::RefreshReused { device, .. }
        | Self::DeviceTrusted { device, .. } = self
        {
            device
        } else {
            ""
        }
    }

    pub(super) fn source(&self) -> &str {
        match self {
            Self::RegistrationTried { source }
            | Self::PhoneAdded { source, .. }
            | Self::PhoneRemoved { source, .. }
            | Self::CodesReplaced { source }
            | Self::FactorRemoved { source, .. }
            | Self::PasswordChanged { source }
            | Self::RefreshReused { source, .. }
            | Self::Locked { source }
            | Self::FingerprintsGuessed { source }
            | Self::LoginCode { source, .. }
            | Self::EnableCode { source, .. }
            | Self::FactorAdded { source, .. }
            | Self::TwoFactorOff { source }
            | Self::CodesLow { source, .. }
            | Self::DeviceTrusted { source, .. }
            | Self::Words { source, .. }
            | Self::PasswordRecovered { source }
            | Self::AddressProven { source, .. }
            | Self::Reclaimed { source } => source,
        }
    }
}

/// A name that a client chose: one line, without the quotation marks of any language, without anything that becomes a link,
/// and without a run of digits that could be taken for a code.
pub(super) fn quotable(name: &str) -> String {
    let (mut out, mut run) = (String::with_capacity(name.len()), 0);
    let bare = name.chars().filter(|c| !c.is_control() && !"\"„“”«»\u{2028}\u{2029}".contains(*c));
    // Names of an older release may hold links, and what was just left out may have kept one apart.
    for c in without_links(&bare.collect::<String>()).chars() {
        run = if c.is_numeric() { run + 1 } else { 0 };
        if run == 6 {
            out.push('…');
            run = 1;
        }
        out.push(c);
    }
    out
}
