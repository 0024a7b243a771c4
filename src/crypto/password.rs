//! Password hashes: argon2id (RFC 9106) for what is stored here, and what other systems stored, to be verified once more.

mod cost;
mod function;
mod stored;
#[cfg(test)]
mod vectors;

use argon2::{Block, Params};
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;

use super::random;
use crate::domain::account::{PasswordHash, normalised};
use crate::domain::secret::Password;
use cost::Cost;
use stored::{BCRYPT_OUTPUT, BCRYPT_SALT, Stored, to_phc};

/// Why a hash can't be computed, read or taken over. Says nothing of the hash itself.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("password hash: {0}")]
pub(crate) struct Error(&'static str);

impl Error {
    const UNKNOWN: Self = Self("it is of no known form");

    /// The reason alone.
    pub(crate) fn reason(self) -> &'static str {
        self.0
    }
}

/// What verifying a password found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Another password.
    Wrong,
    /// The password, hashed as this server hashes today.
    Right,
    /// The password, hashed otherwise: worth hashing again.
    RightButOutdated,
}

/// The bytes of a fresh salt, and of what argon2id makes.
const SALT: usize = 16;
const OUTPUT: usize = 32;
/// Memory that is kept for the next hash, in KiB. A hash that needs more gets it for itself alone.
const KEPT_KIB: usize = 64 * 1024;

/// Hashes at one cost and verifies at any; owns the memory that argon2 fills (19 MiB by default).
pub(crate) struct Hasher {
    params: Params,
    memory: Vec<Block>,
}

impl Hasher {
    pub(crate) fn new(params: Params) -> Self {
        Self { params, memory: Vec::new() }
    }

    /// The hash of `password` under a fresh salt.
    pub(crate) fn hash(&mut self, password: &Password) -> Result<PasswordHash, Error> {
        let (cost, salt) = (Cost::of(&self.params), random::bytes::<SALT>());
        let mut output = [0; OUTPUT];
        self.compute(&cost, &salt, normalised(password).expose().as_bytes(), &mut output)?;
        Ok(PasswordHash(to_phc(&cost, &salt, &output)))
    }

    /// Whether `password` is the one behind `hash`, by the function and at the cost that the hash names.
    ///
    /// The time depends on that cost and on the password, never on where the hash comes from.
    pub(crate) fn verify(&mut self, hash: &PasswordHash, password: &Password) -> Result<Verdict, Error> {
        let stored = Stored::parse(&hash.0)?;
        let forms = forms(password, &stored.cost);
        for (place, form) in forms.iter().enumerate() {
            let mut output = vec![0; stored.output.len()];
            self.compute(&stored.cost, &stored.salt, form.expose().as_bytes(), &mut output)?;
            // bcrypt takes NUL for the end: what comes after would not count.
            let is_cut = matches!(stored.cost, Cost::Bcrypt { .. }) && form.expose().contains('\0');
            if bool::from(output.ct_eq(&stored.output)) && !is_cut {
                let is_ours = place == 0 && self.is_current(&stored);
                return Ok(if is_ours { Verdict::Right } else { Verdict::RightButOutdated });
            }
        }
        Ok(Verdict::Wrong)
    }

    fn is_current(&self, stored: &Stored) -> bool {
        let is_long = stored.salt.len() >= SALT && stored.output.len() == OUTPUT;
        is_long && stored.cost == Cost::of(&self.params)
    }
}

/// The password as the hash may have been made of it, likeliest first.
///
/// Here it is composed (NFC) before it is hashed; other systems took the bytes that the keyboard sent. An imported
/// argon2id hash of today's cost can't be told from one made here, so every hash is tried by one rule: composed, then as
/// typed where that differs. A wrong password of plain letters costs one hash and one with decomposed letters costs two,
/// whoever asks and whether or not there is an account.
fn forms(password: &Password, cost: &Cost) -> Vec<Password> {
    if matches!(cost, Cost::Scrypt { nfkc: true, .. }) {
        return vec![Password::new(password.expose().nfkc().collect())];
    }
    let composed = normalised(password);
    if composed == *password { vec![composed] } else { vec![composed, password.clone()] }
}

/// What decides how long a hash takes to verify: its function and parameters. Nothing for what can't be read.
pub(crate) fn class(hash: &PasswordHash) -> Option<String> {
    Stored::parse(&hash.0).ok().map(|stored| stored.cost.to_string())
}

/// The class of what is hashed at this cost.
pub(crate) fn class_of(params: &Params) -> String {
    Cost::of(params).to_string()
}

/// A hash of this class and of no password.
pub(crate) fn dummy(class: &str) -> Option<PasswordHash> {
    let cost = Cost::parse(class, None).ok()?;
    let salt = random::bytes::<SALT>();
    let mut output = random::bytes::<{ OUTPUT * 4 }>().to_vec();
    let text = match cost {
        // Any characters of its alphabet are a salt and a result.
        Cost::Bcrypt { .. } => format!("{cost}${}", random::alphanumeric(53)),
        Cost::Pbkdf2 { length, .. } => {
            output.truncate(length);
            to_phc(&cost, &salt, &output)
        }
        Cost::Argon2 { .. } | Cost::Scrypt { .. } => to_phc(&cost, &salt, &output[..OUTPUT]),
    };
    Stored::parse(&text).is_ok().then_some(PasswordHash(text))
}

/// Whether a hash that another system made can be verified here, and at what cost to everybody else.
pub(crate) fn check_foreign(hash: &PasswordHash) -> Result<(), Error> {
    Stored::parse(&hash.0)?.cost.check()
}

/// Whether a lower-case password is one of the 3,000 commonest of at least eight characters.
pub(crate) fn is_common(password: &str) -> bool {
    use std::collections::HashSet;
    use std::sync::LazyLock;
    static COMMON: LazyLock<HashSet<&str>> =
        LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());
    COMMON.contains(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(memory_kib: u32) -> Hasher {
        Hasher::new(Params::new(memory_kib, 1, 1, None).unwrap())
    }

    fn password(text: &str) -> Password {
        Password::new(text.into())
    }

    #[test]
    fn a_hash_verifies_its_password_and_no_other() {
        let mut hasher = hasher(64);
        let hash = hasher.hash(&password("correct horse")).unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
        assert_eq!(hasher.verify(&hash, &password("correct horse")).unwrap(), Verdict::Right);
        assert_eq!(hasher.verify(&hash, &password("correct horsf")).unwrap(), Verdict::Wrong);
        assert_ne!(hash.0, hasher.hash(&password("correct horse")).unwrap().0, "a salt was used twice");
    }

    #[test]
    fn every_character_counts() {
        let mut hasher = hasher(64);
        let long = "x".repeat(200);
        let hash = hasher.hash(&password(&long)).unwrap();
        assert_eq!(hasher.verify(&hash, &password(&long[1..])).unwrap(), Verdict::Wrong);
        let nul = hasher.hash(&password("before\0after")).unwrap();
        assert_eq!(hasher.verify(&nul, &password("before\0other")).unwrap(), Verdict::Wrong);
    }

    #[test]
    fn composed_and_decomposed_letters_are_one() {
        let mut hasher = hasher(64);
        let hash = hasher.hash(&password("caf\u{e9} cr\u{e8}me")).unwrap();
        assert_eq!(hasher.verify(&hash, &password("cafe\u{301} cre\u{300}me")).unwrap(), Verdict::Right);
    }

    #[test]
    fn another_cost_is_verified_and_reported() {
        let hash = hasher(64).hash(&password("correct horse")).unwrap();
        assert_eq!(hasher(128).verify(&hash, &password("correct horse")).unwrap(), Verdict::RightButOutdated);
        assert!(hasher(64).verify(&PasswordHash("$2b$12$nonsense".into()), &password("x")).is_err());
        assert_eq!(class(&hash).as_deref(), Some("$argon2id$v=19$m=64,t=1,p=1"));
    }

    #[test]
    fn the_common_ones_are_known() {
        assert!(is_common("password1"));
        assert!(!is_common("correct horse battery"));
    }
}
