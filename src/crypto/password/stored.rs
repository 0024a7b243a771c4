//! Reads the hashes that this server and others store: PHC strings, bcrypt's, passlib's, Django's, better-auth's.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Error;
use super::cost::{Cost, Digest, number};

/// The longest text that may be a hash.
const MAX_TEXT: usize = 1024;
/// The shortest result that is more than a checksum, and the longest that anybody uses, in bytes.
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=128;
const MAX_SALT: usize = 256;

/// Padding or not, and whatever stands in the last character's unused bits: old systems were careless there.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, LENIENT);

/// bcrypt's salt is 16 bytes in 22 characters; of its 24 bytes of output it keeps 23.
const BCRYPT_SALT_CHARS: usize = 22;
pub(super) const BCRYPT_SALT: usize = 16;
pub(super) const BCRYPT_OUTPUT: usize = 23;

/// A stored hash, taken apart.
pub(super) struct Stored {
    pub(super) cost: Cost,
    pub(super) salt: Vec<u8>,
    pub(super) output: Vec<u8>,
}

impl Stored {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT {
            return Err(Error("it is too long"));
        }
        // Django puts the name of its hasher before what the libraries write.
        let text = text.strip_prefix("argon2").filter(|rest| rest.starts_with("$argon2")).unwrap_or(text);
        let text = text.strip_prefix("bcrypt$").unwrap_or(text);
        let stored = if text.starts_with("$2") {
            bcrypt(text)
        } else if text.starts_with('$') {
            phc(text)
        } else if let Some(rest) = text.strip_prefix("pbkdf2_sha256$") {
            django(rest)
        } else {
            better_auth(text)
        }?;
        let shortest_salt = if matches!(stored.cost, Cost::Argon2 { .. }) { 8 } else { 1 };
        if !(shortest_salt..=MAX_SALT).contains(&stored.salt.len()) {
            return Err(Error("its salt is too short or too long"));
        }
        if !OUTPUT.contains(&stored.output.len()) {
            return Err(Error("its result is too short or too long"));
        }
        Ok(stored)
    }
}

/// A PHC string of these parts.
pub(super) fn to_phc(cost: &Cost, salt: &[u8], output: &[u8]) -> String {
    format!("{cost}${}${}", BASE64.encode(salt), BASE64.encode(output))
}

fn phc(text: &str) -> Result<Stored, Error> {
    let mut parts = text.rsplitn(3, '$');
    let (Some(output), Some(salt), Some(prefix)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::UNKNOWN);
    };
    let (salt, output) = (decode(salt)?, decode(output)?);
    Ok(Stored { cost: Cost::parse(prefix, Some(output.len()))?, salt, output })
}

/// Base64, or passlib's with `.` for `+`.
fn decode(text: &str) -> Result<Vec<u8>, Error> {
    BASE64.decode(text.replace('.', "+")).map_err(|_| Error("its salt or result is not base64"))
}

fn bcrypt(text: &str) -> Result<Stored, Error> {
    let (prefix, rest) = text.rsplit_once('$').ok_or(Error::UNKNOWN)?;
    let cost = Cost::parse(prefix, None)?;
    let damaged = Error("it is not a whole bcrypt hash");
    let (salt, output) = rest.split_at_checked(BCRYPT_SALT_CHARS).ok_or(damaged)?;
    let decode = |part: &str, length: usize| {
        BCRYPT.decode(part).ok().filter(|bytes| bytes.len() == length).ok_or(damaged)
    };
    Ok(Stored { cost, salt: decode(salt, BCRYPT_SALT)?, output: decode(output, BCRYPT_OUTPUT)? })
}

/// `ROUNDS$SALT$HASH`: the salt is text, the result base64 with padding.
fn django(rest: &str) -> Result<Stored, Error> {
    let mut parts = rest.split('$');
    let (Some(rounds), Some(salt), Some(output), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Error("it is not a whole Django hash"));
    };
    let output = decode(output)?;
    let rounds = number(rounds).filter(|rounds| *rounds >= 1).ok_or(Error("its parameters can't be read"))?;
    let cost = Cost::Pbkdf2 { digest: Digest::Sha256, rounds, length: output.len() };
    Ok(Stored { cost, salt: salt.as_bytes().to_vec(), output })
}

/// `saltHex:keyHex`. The salt goes into scrypt as the text it is written in, not as the bytes that text stands for.
fn better_auth(text: &str) -> Result<Stored, Error> {
    let (salt, output) = text.split_once(':').ok_or(Error::UNKNOWN)?;
    let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hex(salt) || !is_hex(output) || output.len() != 128 {
        return Err(Error::UNKNOWN);
    }
    let byte = |at: usize| u8::from_str_radix(output.get(at..at + 2)?, 16).ok();
    let output = (0..output.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().ok_or(Error::UNKNOWN)?;
    let cost = Cost::Scrypt { log_n: 14, r: 16, p: 1, nfkc: true };
    Ok(Stored { cost, salt: salt.as_bytes().to_vec(), output })
}
