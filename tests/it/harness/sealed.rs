//! What is sealed in a store, and the seal keys that open it, as a test sees them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sqlx::Connection as _;

use super::store::{StoreKind, store_kind, url_of};

/// A signing key as it stands in the store: kid, algorithm, public half, sealed half, whether it is retired.
pub(crate) type KeyRow = (String, String, Vec<u8>, Option<Vec<u8>>, i64);

/// Reads rows from either database.
macro_rules! rows {
    ($settings:expr, $sql:expr) => {
        match store_kind() {
            StoreKind::Sqlite => {
                let mut connection = sqlx::SqliteConnection::connect(url_of($settings)).await.unwrap();
                sqlx::query_as($sql).fetch_all(&mut connection).await.unwrap()
            }
            StoreKind::Postgres => {
                let mut connection = sqlx::PgConnection::connect(url_of($settings)).await.unwrap();
                sqlx::query_as($sql).fetch_all(&mut connection).await.unwrap()
            }
        }
    };
}

/// All signing keys in the order in which they sign.
pub(crate) async fn key_rows(settings: &[(String, String)]) -> Vec<KeyRow> {
    const ALL: &str = "SELECT kid, algorithm, public, sealed, retired FROM signing_keys ORDER BY signs_from";
    rows!(settings, ALL)
}

/// Everything that is sealed: what for, and the bytes.
pub(crate) async fn sealed_rows(settings: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    const ALL: &str = "SELECT name, sealed FROM server_secrets WHERE name <> 'seal' \
         UNION ALL SELECT 'signing key', sealed FROM signing_keys WHERE sealed IS NOT NULL \
         UNION ALL SELECT 'totp', sealed FROM totp_secrets";
    rows!(settings, ALL)
}

/// The file of `keys.seal_file`.
pub(crate) struct SealFile(pub(crate) PathBuf);

impl SealFile {
    pub(crate) fn of(settings: &[(String, String)]) -> Self {
        let found = settings.iter().find(|(name, _)| name == "READYLOGIN_KEYS__SEAL_FILE");
        Self(PathBuf::from(&found.expect("a seal file").1))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The keys in it, a line for each.
    pub(crate) fn keys(&self) -> Vec<String> {
        std::fs::read_to_string(&self.0).unwrap().lines().map(str::to_owned).collect()
    }

    pub(crate) fn write(&self, keys: &[&str]) {
        std::fs::write(&self.0, keys.join("\n")).unwrap();
    }
}

/// Opens what was sealed under a key.
pub(crate) fn unseal(key: &str, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, msg) = sealed.split_at(24);
    cipher(key).decrypt(XNonce::from_slice(nonce), Payload { msg, aad: purpose.as_bytes() }).ok()
}

/// Seals as the server does.
pub(crate) fn seal(key: &str, purpose: &str, plain: &[u8]) -> Vec<u8> {
    let nonce = *uuid::Uuid::new_v4().as_bytes();
    let nonce = [&nonce[..], &nonce[..8]].concat();
    let payload = Payload { msg: plain, aad: purpose.as_bytes() };
    [nonce.clone(), cipher(key).encrypt(XNonce::from_slice(&nonce), payload).unwrap()].concat()
}

fn cipher(key: &str) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new_from_slice(&STANDARD.decode(key).unwrap()).unwrap()
}
