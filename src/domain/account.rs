//! Accounts: kinds, addresses and what makes a password acceptable.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::ids::AccountId;
use super::language::Language;
use super::secret::Password;
use super::time::Timestamp;

/// The fewest characters of a password (NIST SP 800-63B-4 §3.1.1.2).
pub const PASSWORD_MIN_CHARS: usize = 8;
/// The most characters of a password; every one of them counts.
pub const PASSWORD_MAX_CHARS: usize = 256;

/// What sort of account: the letter in a path and the name in a token (`p` and `patient`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kind {
    /// The path segment, `p`.
    pub id: String,
    /// The name in tokens and pages, `patient`.
    pub name: String,
}

impl Kind {
    /// Reads `p`, `d`, `a` (whose names are known) or `id:name`; both parts lower-case ASCII letters,
    /// digits, `-` and `_`.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, name) = match text.split_once(':') {
            Some(pair) => pair,
            None => (text, known_name(text)),
        };
        let fits = |s: &str| {
            (1..=32).contains(&s.len())
                && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        };
        (fits(id) && fits(name)).then(|| Self { id: id.to_owned(), name: name.to_owned() })
    }
}

fn known_name(id: &str) -> &str {
    match id {
        "p" => "patient",
        "d" => "doctor",
        "a" => "admin",
        other => other,
    }
}

/// A mail address: stored as given, compared case-insensitively.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email {
    given: String,
    key: String,
}

impl Email {
    /// Reads an address of the form `local@domain`: at most 254 bytes (RFC 5321 §4.5.3.1.3), no white
    /// space, no control or invisible characters, no display name, no quoted local part.
    pub fn parse(text: &str) -> Option<Self> {
        let given = text.trim();
        let (local, domain) = given.rsplit_once('@')?;
        let plain = |c: char| !c.is_whitespace() && !"\"(),:;<>@[\\]".contains(c);
        let sound = given.len() <= 254
            && (1..=64).contains(&local.len())
            && local.chars().all(plain)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && super::text::shown(local) == local
            && is_domain(domain);
        sound.then(|| Self { given: given.to_owned(), key: given.nfc().collect::<String>().to_lowercase() })
    }

    /// The address as its owner wrote it.
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// The form that is compared and indexed.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

fn is_domain(domain: &str) -> bool {
    domain.len() <= 253
        && domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        })
}

/// An account as the use cases need it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its public name: `sub` of its tokens.
    pub uuid: uuid::Uuid,
    /// The kind's id, `p`.
    pub kind: String,
    /// Its address.
    pub email: Email,
    /// The owner's name, may be empty.
    pub name: String,
    /// Whether the address is proven: a code mailed to it was redeemed, or an operator said so.
    pub verified: bool,
    /// Whether an operator made or imported the account. Others were registered, by anybody who knew the address.
    pub vouched: bool,
    /// When an operator stopped it.
    pub disabled_at: Option<Timestamp>,
    /// The password's hash as a PHC string.
    pub password_hash: PasswordHash,
    /// Grows with each change of the password, and stays when the same one is hashed anew.
    pub password_version: i64,
    /// Until when second factors are blocked for it.
    pub blocked_until: Option<Timestamp>,
    /// When that block began.
    pub blocked_at: Option<Timestamp>,
    /// The language of its mail, once somebody said.
    pub language: Option<Language>,
    /// The address of a picture, may be empty.
    pub image: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Its telephone number in E.164, by which it is found as well.
    pub phone: Option<String>,
    /// When the address was proven to be the owner's.
    pub verified_at: Option<Timestamp>,
    /// The logins that were completed.
    pub sign_ins: SignIns,
    /// Wrong passwords since the latest of them.
    pub failed_attempts: i64,
    /// When its owner last asked to be remembered on a device.
    pub remembered_at: Option<Timestamp>,
    /// Whether mail is no second factor at the next login, since the password was recovered by mail.
    pub mail_barred: bool,
}

/// The logins of an account: how many, and the latest two.
#[derive(Clone, Default, Debug)]
pub struct SignIns {
    /// How many there were.
    pub count: i64,
    /// The latest.
    pub latest: Option<SignIn>,
    /// The one before it.
    pub before: Option<SignIn>,
}

/// A completed login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignIn {
    /// When it was.
    pub at: Timestamp,
    /// The address that the server saw.
    pub ip: String,
}

impl Account {
    /// Whether the address may be taken for its owner's: it was proven, or an operator answers for the account. Only
    /// such an address gets notices, and only such an account outlives a proof of its address without the password.
    pub fn has_trusted_address(&self) -> bool {
        self.verified || self.vouched
    }

    /// How long second factors stay blocked, counted from `now`.
    pub fn block_left(&self, now: Timestamp) -> Option<std::time::Duration> {
        self.blocked_until.filter(|until| *until > now).map(|until| until.since(now))
    }
}

/// A PHC string; its `Debug` tells nothing.
#[derive(Clone)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(•••)")
    }
}

/// Why a new password is not good enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WeakPassword {
    /// Fewer than [`PASSWORD_MIN_CHARS`] characters.
    TooShort,
    /// More than [`PASSWORD_MAX_CHARS`] characters.
    TooLong,
    /// One of the commonest, or made of the address.
    Guessable,
}

/// Checks a new password against NIST SP 800-63B-4 §3.1.1.2: length, the commonest ones, the address.
/// `common` holds lower-case passwords. No rules of composition.
pub fn check_new_password(
    password: &Password,
    email: &Email,
    common: impl Fn(&str) -> bool,
) -> Result<(), WeakPassword> {
    let normal = normalised(password);
    let chars = normal.expose().chars().count();
    if chars < PASSWORD_MIN_CHARS {
        return Err(WeakPassword::TooShort);
    }
    if chars > PASSWORD_MAX_CHARS {
        return Err(WeakPassword::TooLong);
    }
    let lower = zeroize::Zeroizing::new(normal.expose().to_lowercase());
    let local = email.key().split('@').next().unwrap_or_default();
    let holds_address = lower.contains(email.key()) || (local.chars().count() >= 4 && lower.contains(local));
    if common(&lower) || holds_address {
        return Err(WeakPassword::Guessable);
    }
    Ok(())
}

/// The password in Unicode's composed form, so that it matches however a keyboard composes it.
pub fn normalised(password: &Password) -> Password {
    Password::new(password.expose().nfc().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Email {
        Email::parse(text).unwrap()
    }

    #[test]
    fn addresses_are_compared_without_case_and_stored_as_given() {
        assert_eq!(email(" Ann.Example@Site.ORG ").as_given(), "Ann.Example@Site.ORG");
        assert_eq!(email("Ann.Example@Site.ORG").key(), "ann.example@site.org");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b.c",
            "a b@c.d",
            "a@b..c",
            ".a@b.c",
            "a.@b.c",
            "a..b@c.d",
            "<a@b.c>",
            "A <a@b.c>",
            "\"a b\"@c.d",
            "a@b.c\r\nBcc: x@y.z",
            "a\u{202e}@b.c",
            "a@-b.c",
            "a@b_c.d",
            "a@b.c.",
        ] {
            assert!(Email::parse(bad).is_none(), "{bad:?}");
        }
        assert!(Email::parse(&format!("{}@b.c", "x".repeat(65))).is_none());
    }

    #[test]
    fn a_password_is_judged_by_length_the_common_list_and_the_address() {
        let check = |p: &str| {
            check_new_password(&Password::new(p.into()), &email("maria@site.org"), |c| c == "password1")
        };
        assert_eq!(check("seven77"), Err(WeakPassword::TooShort));
        assert_eq!(check("PassWord1"), Err(WeakPassword::Guessable));
        assert_eq!(check("xxMARIAxx1"), Err(WeakPassword::Guessable));
        assert_eq!(check(&"é".repeat(PASSWORD_MAX_CHARS + 1)), Err(WeakPassword::TooLong));
        assert_eq!(check("une phrase"), Ok(()));
        assert_eq!(check(&"é".repeat(PASSWORD_MAX_CHARS)), Ok(()));
    }

    #[test]
    fn kinds_have_an_id_and_a_name() {
        assert_eq!(Kind::parse("d").map(|k| k.name).as_deref(), Some("doctor"));
        assert_eq!(Kind::parse("n:nurse").map(|k| k.name).as_deref(), Some("nurse"));
        assert_eq!(Kind::parse("N"), None);
        assert_eq!(Kind::parse("a/b"), None);
    }
}
