//! Signing keys: P-256 pairs for ES256, and their public half as a JWK (RFC 7517).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::seal::{base64url, digest};

/// A signing key could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("signing key: {0}")]
pub(crate) struct Error(&'static str);

/// A fresh key pair, on its way into the store.
pub(crate) struct FreshKey {
    /// Its name: the RFC 7638 thumbprint.
    pub(crate) kid: String,
    /// PKCS #8, to be sealed.
    pub(crate) private: Zeroizing<Vec<u8>>,
    /// The uncompressed point, 65 bytes.
    pub(crate) public: Vec<u8>,
}

impl FreshKey {
    /// Makes a P-256 pair.
    pub(crate) fn generate() -> Result<Self, Error> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| Error("can't be made"))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref())
            .map_err(|_| Error("can't be read back"))?;
        let public = pair.public_key().as_ref().to_vec();
        let kid = thumbprint(&public)?;
        Ok(Self { kid, private: Zeroizing::new(document.as_ref().to_vec()), public })
    }
}

/// For signing, from PKCS #8.
pub(crate) fn encoding(private: &[u8]) -> EncodingKey {
    EncodingKey::from_ec_der(private)
}

/// For verifying, from the uncompressed point.
pub(crate) fn decoding(public: &[u8]) -> Result<DecodingKey, Error> {
    let (x, y) = coordinates(public)?;
    DecodingKey::from_ec_components(&x, &y).map_err(|_| Error("not a P-256 point"))
}

/// The public half as it is published.
pub(crate) fn jwk(kid: &str, public: &[u8]) -> Result<Value, Error> {
    let (x, y) = coordinates(public)?;
    Ok(json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "use": "sig", "alg": "ES256"}))
}

/// RFC 7638 §3: SHA-256 over the required members in lexicographic order.
fn thumbprint(public: &[u8]) -> Result<String, Error> {
    let (x, y) = coordinates(public)?;
    Ok(base64url(&digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes())))
}

fn coordinates(public: &[u8]) -> Result<(String, String), Error> {
    match public {
        [4, xy @ ..] if xy.len() == 64 => Ok((base64url(&xy[..32]), base64url(&xy[32..]))),
        _ => Err(Error("not an uncompressed P-256 point")),
    }
}
