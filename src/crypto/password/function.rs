//! Computes: one function for each that a password may have gone through.

use argon2::{Argon2, Block, Params};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::cost::{Cost, Digest};
use super::{BCRYPT_OUTPUT, BCRYPT_SALT, Error, Hasher, KEPT_KIB};

/// What bcrypt looks at, its closing NUL among it.
const BCRYPT_INPUT: usize = 72;

impl Hasher {
    /// Fills `output` with what the function makes of salt and password.
    pub(super) fn compute(
        &mut self,
        cost: &Cost,
        salt: &[u8],
        password: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        match *cost {
            Cost::Argon2 { algorithm, version, memory_kib, passes, lanes } => {
                let params = Params::new(memory_kib, passes, lanes, None).map_err(|_| Error("parameters"))?;
                self.argon2(&Argon2::new(algorithm, version, params), salt, password, output)
            }
            Cost::Bcrypt { cost } => bcrypt(cost, salt, password, output),
            Cost::Scrypt { log_n, r, p, .. } => {
                // The length that this wants is that of its own PHC strings, and is not used.
                let params = scrypt::Params::new(log_n, r, p, scrypt::Params::RECOMMENDED_LEN)
                    .map_err(|_| Error("parameters"))?;
                scrypt::scrypt(password, salt, &params, output).map_err(|_| Error("scrypt"))
            }
            Cost::Pbkdf2 { digest, rounds, .. } => {
                match digest {
                    Digest::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, rounds, output),
                    Digest::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, rounds, output),
                }
                Ok(())
            }
        }
    }

    fn argon2(
        &mut self,
        argon2: &Argon2<'_>,
        salt: &[u8],
        password: &[u8],
        output: &mut [u8],
    ) -> Result<(), Error> {
        let blocks = argon2.params().block_count();
        let mut own = Vec::new();
        let memory =
            if blocks > KEPT_KIB.max(self.params.block_count()) { &mut own } else { &mut self.memory };
        if memory.len() < blocks {
            memory.resize(blocks, Block::default());
        }
        let memory = &mut memory[..blocks];
        argon2.hash_password_into_with_memory(password, salt, output, memory).map_err(|_| Error("argon2"))
    }
}

/// bcrypt as everybody's: the password with a NUL behind it, cut at 72 bytes.
fn bcrypt(cost: u32, salt: &[u8], password: &[u8], output: &mut [u8]) -> Result<(), Error> {
    let salt = <[u8; BCRYPT_SALT]>::try_from(salt).map_err(|_| Error("salt"))?;
    if output.len() != BCRYPT_OUTPUT {
        return Err(Error("bcrypt"));
    }
    let mut input = Zeroizing::new([0; BCRYPT_INPUT]);
    let used = password.len().min(BCRYPT_INPUT);
    input[..used].copy_from_slice(&password[..used]);
    let whole = bcrypt::bcrypt(cost, salt, &input[..(used + 1).min(BCRYPT_INPUT)]);
    output.copy_from_slice(&whole[..BCRYPT_OUTPUT]);
    Ok(())
}
