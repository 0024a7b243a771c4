//! Letters in English.

use super::words::{BoundLabels, Labels, Words};
use crate::domain::factor::Method;
use crate::mail::letter::Letter;

pub(super) const LABELS: Labels = Labels {
    when: "When:",
    from: "From:",
    bound: BoundLabels {
        phones: "Phones that may approve:",
        devices: "Logged in:",
        trusted: "Not asked for a second factor:",
        factors: "Second factors:",
    },
};

pub(super) fn method(method: Method) -> &'static str {
    match method {
        Method::Email => "codes by mail",
        Method::Mobile => "approval by phone",
        Method::Authenticator => "authenticator app",
        Method::BackupCode => "backup codes",
    }
}

pub(super) fn repeated(times: i64) -> String {
    match times {
        1 => "Since our last letter about this, it has happened once more.".to_owned(),
        more => format!("Since our last letter about this, it has happened {more} more times."),
    }
}

pub(super) fn late(times: i64) -> String {
    match times {
        1 => "This letter comes late, since too much mail was waiting. It has happened once.".to_owned(),
        more => format!(
            "This letter comes late, since too much mail was waiting. It has happened {more} times by now."
        ),
    }
}

fn validity(minutes: u64) -> String {
    match minutes {
        1 => "It is good for one minute, once.".to_owned(),
        more => format!("It is good for {more} minutes, once."),
    }
}

fn words_validity(minutes: u64) -> String {
    match minutes {
        1 => "They are good for one minute, once.".to_owned(),
        more => format!("They are good for {more} minutes, once."),
    }
}

#[expect(clippy::too_many_lines, reason = "a table: an arm for each letter")]
pub(super) fn words(letter: Letter<'_>, device: &str) -> Words {
    match letter {
        Letter::RegistrationTried { .. } => Words::new(
            "Somebody tried to register with your address",
            "Somebody tried to make an account with this address. You have one already, so nothing was changed.",
            "If it was you, just log in. If it was not, you need not do anything.",
        ),
        Letter::PhoneAdded { .. } => Words::new(
            "A phone may approve your logins",
            format!("From now on the device \"{device}\" may approve logins to your account."),
            "If it was not you, log in, revoke that device and change your password.",
        ),
        Letter::PhoneRemoved { .. } => Words::new(
            "A phone may not approve your logins any more",
            format!("The device \"{device}\" may not approve logins to your account any more."),
            "If it was not you, log in, trust it again and change your password.",
        ),
        Letter::CodesReplaced { .. } => Words::new(
            "You have new backup codes",
            "Ten new backup codes were made for your account; the old ones are worth nothing.",
            "If it was not you, log in, make new ones and change your password.",
        ),
        Letter::FactorRemoved { method: off, .. } => Words::new(
            "A second factor was turned off",
            format!("This second factor no longer protects your account: {}.", method(off)),
            "If it was not you, log in, turn it on again and change your password.",
        ),
        Letter::PasswordChanged { .. } => Words::new(
            "Your password was changed",
            "The password of your account was changed, and other sessions have ended.",
            "If it was not you, ask the operator of this service for help at once.",
        ),
        Letter::RefreshReused { .. } => Words::new(
            "A session was ended for your safety",
            format!(
                "Somebody showed a token of the device \"{device}\" that had been replaced already. It may have been \
                 copied, so that device is logged out."
            ),
            "If the device did not just come back from a copy of its data, change your password.",
        ),
        Letter::Locked { .. } => Words::new(
            "Too many wrong codes",
            "After too many wrong codes, codes are not accepted for your account for a while. A phone that may \
             approve your logins still works.",
            "If it was not you, somebody knows your password: change it.",
        ),
        Letter::FingerprintsGuessed { .. } => Words::new(
            "Somebody guesses at your trusted devices",
            "Somebody who knows your password logged in again and again from devices that you do not trust. For a while every device is asked for a second factor.",
            "If it was not you, change your password.",
        ),
        Letter::LoginCode { minutes, .. } => Words::with_code(
            "Your login code",
            "Your code to log in with:",
            validity(minutes),
            "If it was not you, somebody may know your password: change it. Never tell this code to anybody.",
        ),
        Letter::EnableCode { minutes, .. } => Words::with_code(
            "Confirm your address",
            "Your code to turn mailed codes on with:",
            validity(minutes),
            "If it was not you, change your password. Never tell this code to anybody.",
        ),
        Letter::FactorAdded { method: on, .. } => Words::new(
            "A second factor was turned on",
            format!("From now on this second factor protects your account: {}.", method(on)),
            "If it was not you, log in, turn it off and change your password.",
        ),
        Letter::TwoFactorOff { .. } => Words::new(
            "Two-factor login was turned off",
            "No second factor protects your account any more: the password alone opens it.",
            "If it was not you, log in, turn it on again and change your password.",
        ),
        Letter::CodesLow { left, .. } => Words::new(
            "Your backup codes are running low",
            match left {
                0 => "A backup code was used to log in; it was the last one.".to_owned(),
                1 => "A backup code was used to log in; you have one left.".to_owned(),
                more => format!("A backup code was used to log in; you have {more} left."),
            },
            "If it was you, make new ones in time. If it was not, log in, make new ones and change your password.",
        ),
        Letter::DeviceTrusted { .. } => Words::new(
            "A device is trusted now",
            format!("The device \"{device}\" is not asked for a second factor for a while."),
            "If it was not you, log in, revoke that trust and change your password.",
        ),
        Letter::Words { minutes, .. } => Words::with_code(
            "Your words to log in with",
            "Your three words to log in with:",
            words_validity(minutes),
            "If it was not you, you need not do anything: without these words nobody gets any further. Never tell \
             them to anybody.",
        ),
        Letter::PasswordRecovered { .. } => Words::new(
            "Your password was recovered",
            "A new password was set for your account by means of this address, and all sessions have ended. Until \
             your next login codes by mail are not accepted as a second factor.",
            "If it was not you, somebody reads your mail: change its password, then ask the operator of this \
             service for help at once.",
        ),
        Letter::AddressProven { .. } => Words::new(
            "Your address is confirmed",
            "Your address was confirmed for the first time. What is bound to your account is \
             listed here.",
            "If something of it is not yours, log in, remove it and change your password.",
        ),
        Letter::Reclaimed { .. } => Words::new(
            "What was bound to your account has ended",
            "Your address was confirmed for the first time, and without the password. Somebody \
             else could have registered it, so every session, device, second factor and backup \
             code of before has ended, and so has the password of before.",
            "If you did not choose a new password yet, do so by mail. If it was not you, \
             somebody reads your mail: change its password.",
        ),
    }
}
