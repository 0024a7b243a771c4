//! Password hashes: argon2id (RFC 9106) as PHC strings, computed in a memory block that is used again.

use argon2::password_hash::{Output, PasswordHash as Phc, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;

use super::random;
use crate::domain::account::{PasswordHash, normalised};
use crate::domain::secret::Password;

/// A hash that can't be computed or read.
#[derive(Debug, thiserror::Error)]
#[error("password hash: {0}")]
pub(crate) struct Error(&'static str);

/// What verifying a password found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Another password.
    Wrong,
    /// The password, hashed as this server hashes today.
    Right,
    /// The password, hashed at another cost: worth hashing again.
    RightButOutdated,
}

/// Hashes and verifies at one cost; owns the memory that argon2 fills (19 MiB by default).
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
        let salt = SaltString::encode_b64(&random::bytes::<16>()).map_err(|_| Error("salt"))?;
        let params = self.params.clone();
        let output = self.compute(&params, Version::V0x13, password, salt.as_salt(), 32)?;
        let phc = Phc {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: (&params).try_into().map_err(|_| Error("parameters"))?,
            salt: Some(salt.as_salt()),
            hash: Some(output),
        };
        Ok(PasswordHash(phc.to_string()))
    }

    /// Whether `password` is the one behind `hash`, at the cost that the hash names.
    pub(crate) fn verify(&mut self, hash: &PasswordHash, password: &Password) -> Result<Verdict, Error> {
        let phc = Phc::new(&hash.0).map_err(|_| Error("not a PHC string"))?;
        let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else { return Err(Error("incomplete")) };
        if phc.algorithm != Algorithm::Argon2id.ident() {
            return Err(Error("not argon2id"));
        }
        let params = Params::try_from(&phc).map_err(|_| Error("parameters"))?;
        let version =
            phc.version.map_or(Ok(Version::V0x13), Version::try_from).map_err(|_| Error("version"))?;
        let output = self.compute(&params, version, password, salt, expected.len())?;
        let same: bool = output.as_bytes().ct_eq(expected.as_bytes()).into();
        Ok(match (same, self.is_current(&params)) {
            (false, _) => Verdict::Wrong,
            (true, true) => Verdict::Right,
            (true, false) => Verdict::RightButOutdated,
        })
    }

    fn is_current(&self, params: &Params) -> bool {
        let cost = |p: &Params| (p.m_cost(), p.t_cost(), p.p_cost());
        cost(params) == cost(&self.params)
    }

    fn compute(
        &mut self,
        params: &Params,
        version: Version,
        password: &Password,
        salt: Salt<'_>,
        len: usize,
    ) -> Result<Output, Error> {
        let mut raw = [0; 64];
        let salt = salt.decode_b64(&mut raw).map_err(|_| Error("salt"))?;
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::default());
        }
        let password = normalised(password);
        let argon2 = Argon2::new(Algorithm::Argon2id, version, params.clone());
        Output::init_with(len, |out| {
            argon2
                .hash_password_into_with_memory(
                    password.expose().as_bytes(),
                    salt,
                    out,
                    &mut self.memory[..blocks],
                )
                .map_err(Into::into)
        })
        .map_err(|_| Error("argon2"))
    }
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
    }

    #[test]
    fn the_common_ones_are_known() {
        assert!(is_common("password1"));
        assert!(!is_common("correct horse battery"));
    }
}
