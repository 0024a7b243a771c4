//! Secrets at rest: a seal key, which is not in the database, and what it seals.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::random;

const NONCE: usize = 24;

/// 256 bits that open what is sealed in the store (XChaCha20-Poly1305).
#[derive(Clone)]
pub struct SealKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(•••)")
    }
}

/// Names a [`SealKey`] without telling it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Out of the store.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Into the store.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What was sealed can't be opened: another key, another purpose, or changed bytes.
#[derive(Debug, thiserror::Error)]
#[error("sealed under another key, or damaged")]
pub(crate) struct Unsealable;

impl SealKey {
    /// Reads 32 bytes in hexadecimal (64 characters) or base64.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = Zeroizing::new(match text.len() {
            64 => (0..64)
                .step_by(2)
                .map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok())
                .collect::<Option<Vec<u8>>>()?,
            _ => STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()?,
        });
        <[u8; 32]>::try_from(bytes.as_slice()).ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// A new one.
    pub(super) fn generate() -> Self {
        Self(Zeroizing::new(random::bytes()))
    }

    /// As [`SealKey::parse`] reads it.
    pub(super) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.0.as_slice()))
    }

    /// What the store may know the key by: from it nobody gets back to the key.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint(hmac(self.0.as_slice(), &[b"fingerprint"]))
    }

    /// Seals `plain` for `purpose`; another purpose does not open it.
    pub(crate) fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let nonce = random::bytes::<NONCE>();
        let payload = Payload { msg: plain, aad: purpose.as_bytes() };
        #[expect(clippy::expect_used, reason = "encryption fails only beyond 256 GiB")]
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload).expect("short plaintext");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`SealKey::seal`] made for the same purpose.
    pub(crate) fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let (nonce, msg) = sealed.split_at_checked(NONCE).ok_or(Unsealable)?;
        let payload = Payload { msg, aad: purpose.as_bytes() };
        self.cipher().decrypt(XNonce::from_slice(nonce), payload).map(Zeroizing::new).map_err(|_| Unsealable)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(self.0.as_slice()))
    }
}

/// HMAC-SHA-256 over `parts`, each preceded by its length.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// SHA-256, for looking up secrets of 128 bits and more without keeping them.
pub(crate) fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Base64url without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_for_their_purpose_and_key_only() {
        let key = SealKey::parse(&"a1".repeat(32)).unwrap();
        let sealed = key.seal("root", b"secret");
        assert_eq!(key.open("root", &sealed).unwrap().as_slice(), b"secret");
        assert!(key.open("jwt", &sealed).is_err());
        assert!(SealKey::parse(&"a2".repeat(32)).unwrap().open("root", &sealed).is_err());
        assert!(key.open("root", &sealed[..10]).is_err());
        assert_ne!(sealed, key.seal("root", b"secret"), "a nonce was used twice");
    }
}
