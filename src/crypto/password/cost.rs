//! Which function a password went through and at what cost, as the part of a PHC string before the salt.

use std::fmt;

use argon2::{Algorithm, Params, Version};

use super::Error;

/// The most memory that a hash may need, in KiB.
const MAX_MEMORY_KIB: u64 = 1024 * 1024;
/// The most that argon2 may go through in all its passes, in KiB: some ten seconds of one thread.
const MAX_PASSED_KIB: u64 = 8 * MAX_MEMORY_KIB;
const MAX_PASSES: u32 = 64;
const MAX_BCRYPT: u32 = 16;
const MAX_ROUNDS: u32 = 10_000_000;

/// A function and its cost. All hashes of one cost take the same time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cost {
    /// RFC 9106.
    Argon2 { algorithm: Algorithm, version: Version, memory_kib: u32, passes: u32, lanes: u32 },
    /// The logarithm of the number of rounds.
    Bcrypt { cost: u32 },
    /// RFC 7914. `nfkc`: over the password in Unicode's compatibility form, as better-auth does.
    Scrypt { log_n: u8, r: u32, p: u32, nfkc: bool },
    /// RFC 8018 §5.2 with HMAC. The length decides how often the rounds are run, so it is part of the cost.
    Pbkdf2 { digest: Digest, rounds: u32, length: usize },
}

/// The hash function under PBKDF2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Digest {
    Sha256,
    Sha512,
}

impl Digest {
    /// How many bytes it yields.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl Cost {
    /// Argon2id as this server computes it.
    pub(super) fn of(params: &Params) -> Self {
        Self::Argon2 {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            memory_kib: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
        }
    }

    /// Reads what stands before the salt: `$argon2id$v=19$m=64,t=1,p=1`, `$2b$12`, `$scrypt$ln=14,r=16,p=1`,
    /// `$pbkdf2-sha256$i=29000,l=32`. A PBKDF2 that names no length has `length`.
    pub(super) fn parse(prefix: &str, length: Option<usize>) -> Result<Self, Error> {
        let mut parts = prefix.strip_prefix('$').unwrap_or_default().split('$');
        let cost = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(name @ ("argon2i" | "argon2d" | "argon2id")), Some(first), second, None) => {
                // A string without a version is of the time before there was one, as in the reference code.
                let (version, params) = second.map_or(("v=16", first), |params| (first, params));
                argon2(name, version, params)
            }
            (Some("2a" | "2b" | "2y"), Some(cost), None, None) => {
                let cost = (cost.len() == 2).then(|| number(cost)).flatten();
                cost.filter(|cost| (4..=31).contains(cost)).map(|cost| Self::Bcrypt { cost })
            }
            (Some("scrypt"), Some(params), None, None) => scrypt(params, false),
            (Some("scrypt-nfkc"), Some(params), None, None) => scrypt(params, true),
            (Some("pbkdf2-sha256"), Some(params), None, None) => pbkdf2(Digest::Sha256, params, length),
            (Some("pbkdf2-sha512"), Some(params), None, None) => pbkdf2(Digest::Sha512, params, length),
            (Some("argon2i" | "argon2d" | "argon2id" | "2a" | "2b" | "2y"), ..)
            | (Some("scrypt" | "pbkdf2-sha256" | "pbkdf2-sha512"), ..) => None,
            _ => return Err(Error::UNKNOWN),
        };
        cost.ok_or(Error("its parameters can't be read"))
    }

    /// Refuses what would keep a hashing thread or the memory from everybody else.
    pub(super) fn check(&self) -> Result<(), Error> {
        let too_costly = match *self {
            Self::Argon2 { memory_kib, passes, .. } => {
                let passed = u64::from(memory_kib) * u64::from(passes);
                let is_too_much = u64::from(memory_kib) > MAX_MEMORY_KIB || passed > MAX_PASSED_KIB;
                (is_too_much || passes > MAX_PASSES)
                    .then_some("argon2 beyond 1 GiB of memory, 64 passes, or 8 GiB in all passes together")
            }
            Self::Bcrypt { cost } => (cost > MAX_BCRYPT).then_some("bcrypt beyond a cost of 16"),
            Self::Scrypt { log_n, r, p, .. } => {
                // Lanes one after the other take the time of one with all their memory.
                let blocks = u64::from(r).saturating_mul(p.into()).saturating_mul(1 << log_n.min(32));
                (blocks.saturating_mul(128) > MAX_MEMORY_KIB * 1024)
                    .then_some("scrypt beyond 1 GiB of memory, all lanes together")
            }
            Self::Pbkdf2 { digest, rounds, length } => (rounds > MAX_ROUNDS || length > digest.length() * 2)
                .then_some("pbkdf2 beyond 10,000,000 rounds, or longer than two of its hashes"),
        };
        too_costly.map_or(Ok(()), |what| Err(Error(what)))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Argon2 { algorithm, version, memory_kib, passes, lanes } => {
                write!(f, "${algorithm}$v={}$m={memory_kib},t={passes},p={lanes}", u32::from(version))
            }
            Self::Bcrypt { cost } => write!(f, "$2b${cost:02}"),
            Self::Scrypt { log_n, r, p, nfkc } => {
                write!(f, "$scrypt{}$ln={log_n},r={r},p={p}", if nfkc { "-nfkc" } else { "" })
            }
            Self::Pbkdf2 { digest, rounds, length } => {
                let digest = match digest {
                    Digest::Sha256 => "sha256",
                    Digest::Sha512 => "sha512",
                };
                write!(f, "$pbkdf2-{digest}$i={rounds},l={length}")
            }
        }
    }
}

fn argon2(name: &str, version: &str, params: &str) -> Option<Cost> {
    let algorithm = Algorithm::new(name).ok()?;
    let version = Version::try_from(number(version.strip_prefix("v=")?)?).ok()?;
    let [memory_kib, passes, lanes] = named(params, ["m", "t", "p"])?.map(Option::unwrap_or_default);
    Params::new(memory_kib, passes, lanes, None).ok()?;
    Some(Cost::Argon2 { algorithm, version, memory_kib, passes, lanes })
}

fn scrypt(params: &str, nfkc: bool) -> Option<Cost> {
    let [log_n, r, p] = named(params, ["ln", "r", "p"])?.map(Option::unwrap_or_default);
    let log_n = u8::try_from(log_n).ok().filter(|log_n| *log_n >= 1)?;
    scrypt::Params::new(log_n, r, p, scrypt::Params::RECOMMENDED_LEN).ok()?;
    Some(Cost::Scrypt { log_n, r, p, nfkc })
}

fn pbkdf2(digest: Digest, params: &str, found: Option<usize>) -> Option<Cost> {
    // passlib writes the rounds alone.
    let [rounds, length] =
        if params.contains('=') { named(params, ["i", "l"])? } else { [number(params), None] };
    let length = length.map(usize::try_from).transpose().ok()?.or(found)?;
    let is_whole = found.is_none_or(|found| found == length);
    let rounds = rounds.filter(|rounds| *rounds >= 1)?;
    is_whole.then_some(Cost::Pbkdf2 { digest, rounds, length })
}

/// The values of `name=value,…`: names that are known, each at most once.
fn named<const N: usize>(text: &str, names: [&str; N]) -> Option<[Option<u32>; N]> {
    let mut values = [None; N];
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=')?;
        let place = names.iter().position(|known| *known == name)?;
        if values[place].replace(number(value)?).is_some() {
            return None;
        }
    }
    Some(values)
}

/// A plain decimal number: no sign, no space.
pub(super) fn number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_reads_back_what_it_writes() {
        for text in [
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2i$v=16$m=64,t=3,p=2",
            "$2b$12",
            "$scrypt$ln=14,r=8,p=1",
            "$scrypt-nfkc$ln=14,r=16,p=1",
            "$pbkdf2-sha256$i=29000,l=32",
            "$pbkdf2-sha512$i=1,l=64",
        ] {
            assert_eq!(Cost::parse(text, None).unwrap().to_string(), text);
        }
    }

    #[test]
    fn parameters_are_read_strictly() {
        for wrong in [
            "$argon2id$v=19$m=64,t=1",
            "$argon2id$v=19$m=64,t=1,p=1,m=64",
            "$argon2id$v=19$m=64,t=1,p=1,data=AAAA",
            "$argon2id$v=18$m=64,t=1,p=1",
            "$argon2id$v=19$m=7,t=1,p=1",
            "$argon2id$v=19$m=+64,t=1,p=1",
            "$2b$3",
            "$2b$99",
            "$2b$+9",
            "$2b$03",
            "$scrypt$ln=0,r=8,p=1",
            "$scrypt$ln=99,r=8,p=1",
            "$scrypt$ln=14,r=8",
            "$scrypt$ln=14,r=0,p=1",
            "$pbkdf2-sha256$i=0,l=32",
            "$pbkdf2-sha256$l=32",
            "$pbkdf2-sha256$",
            "$pbkdf2-md5$i=1,l=32",
            "$1$x",
            "",
        ] {
            assert!(Cost::parse(wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_would_keep_others_from_their_login_is_refused() {
        let check = |text: &str| Cost::parse(text, None).unwrap().check();
        for fits in [
            "$argon2id$v=19$m=1048576,t=3,p=4",
            "$argon2id$v=19$m=65536,t=64,p=1",
            "$2b$16",
            "$scrypt$ln=20,r=8,p=1",
            "$pbkdf2-sha256$i=10000000,l=32",
        ] {
            assert!(check(fits).is_ok(), "{fits}");
        }
        for too_much in [
            "$argon2id$v=19$m=1048577,t=1,p=1",
            "$argon2id$v=19$m=64,t=65,p=1",
            "$argon2id$v=19$m=1048576,t=64,p=1",
            "$argon2d$v=19$m=4294967295,t=4294967295,p=1",
            "$2b$17",
            "$scrypt$ln=20,r=8,p=2",
            "$scrypt$ln=40,r=8,p=1",
            "$pbkdf2-sha512$i=10000001,l=64",
            "$pbkdf2-sha256$i=1000,l=65",
        ] {
            assert!(check(too_much).is_err(), "{too_much}");
        }
    }
}
