//! Secrets at rest: the seal key that is not in the database, and the server's root key that it opens.

use std::fmt;
use std::io::Write as _;
use std::path::Path;

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

    /// Reads the key from `file`, or makes one there (mode 0600) when there is none.
    pub(crate) fn from_file(file: &Path) -> std::io::Result<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                Self::parse(&text)
                    .ok_or_else(|| std::io::Error::other("not 32 bytes in hexadecimal or base64"))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Self::make_file(file),
            Err(e) => Err(e),
        }
    }

    fn make_file(file: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        let key = Self(Zeroizing::new(random::bytes()));
        let text = Zeroizing::new(STANDARD.encode(key.0.as_slice()));
        // Whole before it has its name, and never over one that another process made meanwhile.
        let fresh = file.with_extension(format!("{}.new", random::alphanumeric(8)));
        let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        writeln!(out, "{}", text.as_str())?;
        out.sync_all()?;
        let linked = std::fs::hard_link(&fresh, file);
        std::fs::remove_file(&fresh)?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()?;
        match linked {
            Ok(()) => Ok(key),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Self::from_file(file),
            Err(e) => Err(e),
        }
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

/// The server's own secret, kept sealed in the store and the same on every node. What must be made twice
/// (a ticket told again on resume) or compared without being kept (backup codes) is derived from it.
#[derive(Clone)]
pub(crate) struct RootKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(•••)")
    }
}

impl RootKey {
    /// A new one.
    pub(crate) fn generate() -> Self {
        Self(Zeroizing::new(random::bytes()))
    }

    /// Out of the store.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(|key| Self(Zeroizing::new(key)))
    }

    /// Into the store, sealed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// HMAC-SHA-256 over `parts`, each preceded by its length, under a key of its own for `purpose`.
    pub(crate) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let key = Zeroizing::new(hmac(self.0.as_slice(), &[purpose.as_bytes()]));
        hmac(key.as_slice(), parts)
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
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

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/seal.key");
        let first = SealKey::from_file(&file).unwrap();
        let again = SealKey::from_file(&file).unwrap();
        assert_eq!(first.0.as_slice(), again.0.as_slice());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn parts_of_a_mac_can_not_be_shifted() {
        let root = RootKey::generate();
        assert_ne!(root.mac("x", &[b"ab", b"c"]), root.mac("x", &[b"a", b"bc"]));
        assert_ne!(root.mac("x", &[b"ab"]), root.mac("y", &[b"ab"]));
    }
}
