//! The seal keys that are held: one seals, all open, and a running server finds out that its file was rewritten.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use zeroize::Zeroizing;

use super::seal::{Fingerprint, Unsealable};
use super::seal_file;
use super::seal_keys::SealKeys;

/// What the private half of a signing key is sealed for.
pub(crate) const SIGNING_KEY: &str = "signing key";
/// What the secret of an authenticator app is sealed for.
pub(crate) const TOTP: &str = "totp";
/// What a mail that waits is sealed for.
pub(crate) const MAIL: &str = "mail";

/// A handle to the seal keys; clones share them.
#[derive(Clone)]
pub(crate) struct Seals(Arc<Shared>);

struct Shared {
    /// Where they are read again; `None` when the settings hold them.
    file: Option<PathBuf>,
    held: RwLock<Held>,
}

#[derive(Clone)]
struct Held {
    keys: SealKeys,
    /// Which of them seals: the one that the store names.
    sealing: usize,
}

/// Something that was just sealed, and under what: [`crate::store::seals::check`] wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) sealed: Vec<u8>,
    pub(crate) under: Fingerprint,
}

impl Seals {
    /// Keys that stand in the settings.
    pub(crate) fn given(keys: SealKeys) -> Self {
        Self::new(None, keys)
    }

    /// Keys of a file, which is made when there is none.
    pub(crate) fn from_file(file: &Path) -> std::io::Result<Self> {
        Ok(Self::new(Some(file.to_owned()), seal_file::read_or_make(file)?))
    }

    fn new(file: Option<PathBuf>, keys: SealKeys) -> Self {
        Self(Arc::new(Shared { file, held: RwLock::new(Held { keys, sealing: 0 }) }))
    }

    /// The file that the keys were read from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// All keys, as they are held now.
    pub(crate) fn keys(&self) -> SealKeys {
        self.0.held.read().keys.clone()
    }

    /// Seals `plain` for `purpose`; another purpose does not open it.
    pub(crate) fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        self.seal_fresh(purpose, plain).sealed
    }

    /// Which key seals now. Whoever calls this and then [`Seals::seal`], in this order, may store what was sealed if
    /// the store still names this key.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let held = self.0.held.read();
        held.keys.0[held.sealing].fingerprint()
    }

    /// Seals, and tells under what.
    pub(crate) fn seal_fresh(&self, purpose: &str, plain: &[u8]) -> Fresh {
        let held = self.0.held.read();
        let key = &held.keys.0[held.sealing];
        Fresh { sealed: key.seal(purpose, plain), under: key.fingerprint() }
    }

    /// Opens what was sealed for the same purpose under any of the keys. When none fits, the file is looked at again.
    pub(crate) fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        self.open_and_tell(purpose, sealed).map(|(plain, _)| plain)
    }

    /// The same, and which key it was.
    pub(crate) fn open_and_tell(
        &self,
        purpose: &str,
        sealed: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, Fingerprint), Unsealable> {
        let look = || {
            let keys = self.keys();
            keys.0.iter().find_map(|key| Some((key.open(purpose, sealed).ok()?, key.fingerprint())))
        };
        let found = look().or_else(|| self.refresh().then(look).flatten());
        found.ok_or(Unsealable)
    }

    /// Seals from now on with the key that the store names; whether it is held.
    pub(crate) fn seal_with(&self, named: Fingerprint) -> bool {
        let choose = || {
            let mut held = self.0.held.write();
            let found = held.keys.0.iter().position(|key| key.fingerprint() == named);
            found.map(|at| held.sealing = at).is_some()
        };
        choose() || (self.refresh() && choose())
    }

    /// Reads the file again, if there is one.
    ///
    /// # Errors
    /// It can't be read, or holds no keys; those there were stay.
    pub(crate) fn reread(&self) -> std::io::Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let keys = seal_file::read(file)?;
        let mut held = self.0.held.write();
        let sealing = held.keys.0[held.sealing].fingerprint();
        held.sealing = keys.0.iter().position(|key| key.fingerprint() == sealing).unwrap_or(0);
        held.keys = keys;
        Ok(())
    }

    /// The same for a running server, which goes on with what it has; whether there was a file to read.
    pub(crate) fn refresh(&self) -> bool {
        let read = self.reread();
        if let Err(e) = &read {
            tracing::warn!(error = %e, "keys.seal_file can't be read again");
        }
        read.is_ok() && self.0.file.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_keys_stand_in_one_text_and_all_of_them_open() {
        let [new, old] = ["a1".repeat(32), "b2".repeat(32)];
        for text in [format!("{new},{old}"), format!(" {new}\n{old}\n"), format!("{new} , {old} {new}")] {
            let keys = SealKeys::parse(&text).unwrap();
            assert_eq!(keys.0.len(), 2, "{text}");
            let seals = Seals::given(keys);
            let before = Seals::given(SealKeys::parse(&old).unwrap()).seal_fresh("x", b"secret");
            assert_eq!(seals.open("x", &before.sealed).unwrap().as_slice(), b"secret");
            assert!(seals.open("y", &before.sealed).is_err());
            let alone = Seals::given(seals.keys().first_alone());
            assert!(alone.open("x", &before.sealed).is_err());
            // The store says which of them seals.
            assert_ne!(seals.fingerprint(), before.under);
            assert!(seals.seal_with(before.under) && !alone.seal_with(before.under));
            assert_eq!(seals.fingerprint(), before.under);
        }
        for wrong in ["", " , ", "short", &format!("{new},short")] {
            assert!(SealKeys::parse(wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{:?}", SealKeys::parse(&new)).contains("a1"));
    }

    #[test]
    fn a_rewritten_file_is_noticed_when_something_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("seal.key");
        let server = Seals::from_file(&file).unwrap();
        let old = server.seal_fresh("x", b"old");
        let both = server.keys().with_a_new_one_first();
        seal_file::replace(&file, &both).unwrap();
        let new = Seals::given(both.first_alone()).seal_fresh("x", b"new");
        assert_eq!(server.open("x", &new.sealed).unwrap().as_slice(), b"new");
        assert_eq!(server.fingerprint(), old.under, "it seals as before until the store says otherwise");
        assert!(server.seal_with(new.under));
        assert_eq!(server.open("x", &old.sealed).unwrap().as_slice(), b"old");
        // A file that was damaged takes no key away from a server that runs.
        std::fs::write(&file, "damaged").unwrap();
        assert!(server.reread().is_err());
        assert_eq!(server.open("x", &new.sealed).unwrap().as_slice(), b"new");
    }
}
