//! Signing keys of every algorithm: made, read back, and their public halves as JWKs (RFC 7517).

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::random;
use super::seal::{base64url, digest};
use crate::domain::signing::Algorithm;

/// What aws-lc-rs puts before the PKCS #1 key in PKCS #8 version 1 (RFC 5958 §2): two lengths of two bytes each, as
/// every RSA key of 2048 bits has, the version, and the algorithm.
const PKCS8_HEAD: usize = 26;

/// A signing key could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("signing key: {0}")]
pub(crate) struct Error(&'static str);

/// A fresh key, on its way into the store.
pub(crate) struct FreshKey {
    /// Its name: the RFC 7638 thumbprint of the public half; random where there is none.
    pub(crate) kid: String,
    /// To be sealed: PKCS #8, PKCS #1 for RSA, the bare secret for HMAC.
    pub(crate) private: Zeroizing<Vec<u8>>,
    /// The uncompressed point of P-256, the 32 bytes of Ed25519, PKCS #1 of RSA; empty for HMAC.
    pub(crate) public: Vec<u8>,
}

impl FreshKey {
    /// Makes a key. RSA takes a moment.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let (private, public) = match algorithm {
            Algorithm::Es256 => p256()?,
            Algorithm::EdDsa => ed25519()?,
            Algorithm::Rs256 => rsa_2048()?,
            Algorithm::Hs256 => (random::bytes::<32>().to_vec().into(), Vec::new()),
        };
        let kid = match required_members(algorithm, &public)? {
            Some(members) => base64url(&digest(members.to_string().as_bytes())),
            // A thumbprint of the secret would let others try secrets against it.
            None => base64url(&random::bytes::<16>()),
        };
        Ok(Self { kid, private, public })
    }
}

/// For signing.
pub(crate) fn encoding(algorithm: Algorithm, private: &[u8]) -> EncodingKey {
    match algorithm {
        Algorithm::Es256 => EncodingKey::from_ec_der(private),
        Algorithm::EdDsa => EncodingKey::from_ed_der(private),
        Algorithm::Rs256 => EncodingKey::from_rsa_der(private),
        Algorithm::Hs256 => EncodingKey::from_secret(private),
    }
}

/// For verifying: from the public half; for HMAC from the secret, without which there is no such key.
pub(crate) fn decoding(
    algorithm: Algorithm,
    public: &[u8],
    private: Option<&[u8]>,
) -> Result<Option<DecodingKey>, Error> {
    Ok(match algorithm {
        Algorithm::Es256 => {
            let (x, y) = coordinates(public)?;
            let key = DecodingKey::from_ec_components(&x, &y);
            Some(key.map_err(|_| Error("not a P-256 point"))?)
        }
        Algorithm::EdDsa => Some(DecodingKey::from_ed_der(ed25519_point(public)?)),
        Algorithm::Rs256 => {
            let rsa = rsa_components(public)?;
            Some(DecodingKey::from_rsa_raw_components(&rsa.n, &rsa.e))
        }
        Algorithm::Hs256 => private.map(DecodingKey::from_secret),
    })
}

/// The public half as it is published; `None` when there is none.
pub(crate) fn jwk(algorithm: Algorithm, kid: &str, public: &[u8]) -> Result<Option<Value>, Error> {
    Ok(required_members(algorithm, public)?.map(|mut jwk| {
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk["alg"] = algorithm.name().into();
        jwk
    }))
}

/// The secret of an HMAC key for those who have to verify its tokens (RFC 7518 §6.4).
pub(crate) fn secret_jwk(kid: &str, secret: &[u8]) -> Value {
    json!({"kty": "oct", "k": base64url(secret), "kid": kid, "use": "sig", "alg": Algorithm::Hs256.name()})
}

/// What RFC 7638 §3.2 and RFC 8037 §2 hash for a thumbprint: written without spaces and in lexicographic order.
fn required_members(algorithm: Algorithm, public: &[u8]) -> Result<Option<Value>, Error> {
    Ok(match algorithm {
        Algorithm::Es256 => {
            let (x, y) = coordinates(public)?;
            Some(json!({"crv": "P-256", "kty": "EC", "x": x, "y": y}))
        }
        Algorithm::EdDsa => {
            Some(json!({"crv": "Ed25519", "kty": "OKP", "x": base64url(ed25519_point(public)?)}))
        }
        Algorithm::Rs256 => {
            let rsa = rsa_components(public)?;
            Some(json!({"e": base64url(&rsa.e), "kty": "RSA", "n": base64url(&rsa.n)}))
        }
        Algorithm::Hs256 => None,
    })
}

type Halves = (Zeroizing<Vec<u8>>, Vec<u8>);

fn p256() -> Result<Halves, Error> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let document = document.map_err(|_| Error("can't be made"))?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref());
    let public = pair.map_err(|_| Error("can't be read back"))?.public_key().as_ref().to_vec();
    Ok((document.as_ref().to_vec().into(), public))
}

fn ed25519() -> Result<Halves, Error> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let document = document.map_err(|_| Error("can't be made"))?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref());
    let public = pair.map_err(|_| Error("can't be read back"))?.public_key().as_ref().to_vec();
    Ok((document.as_ref().to_vec().into(), public))
}

fn rsa_2048() -> Result<Halves, Error> {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| Error("can't be made"))?;
    let pkcs8 = pair.as_der().map_err(|_| Error("can't be written"))?;
    // jsonwebtoken signs with PKCS #1, and aws-lc-rs writes PKCS #8 around it.
    let pkcs1 = pkcs8.as_ref().get(PKCS8_HEAD..).ok_or(Error("can't be written"))?;
    let again = rsa::KeyPair::from_der(pkcs1).map_err(|_| Error("can't be read back"))?;
    let public = pair.public_key().as_ref().to_vec();
    if again.public_key().as_ref() != public {
        return Err(Error("can't be read back"));
    }
    Ok((pkcs1.to_vec().into(), public))
}

fn coordinates(public: &[u8]) -> Result<(String, String), Error> {
    match public {
        [4, xy @ ..] if xy.len() == 64 => Ok((base64url(&xy[..32]), base64url(&xy[32..]))),
        _ => Err(Error("not an uncompressed P-256 point")),
    }
}

fn ed25519_point(public: &[u8]) -> Result<&[u8], Error> {
    if public.len() == 32 { Ok(public) } else { Err(Error("not an Ed25519 point")) }
}

fn rsa_components(public: &[u8]) -> Result<rsa::PublicKeyComponents<Vec<u8>>, Error> {
    let key = rsa::PublicKey::from_der(public).map_err(|_| Error("not an RSA key"))?;
    Ok((&key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let thumbprint = |members: &Value| base64url(&digest(members.to_string().as_bytes()));
        // RFC 8037 appendix A.3.
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let ed = required_members(Algorithm::EdDsa, &x).unwrap().unwrap();
        assert_eq!(thumbprint(&ed), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // RFC 7638 §3.1.
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        assert_eq!(
            thumbprint(&json!({"e": "AQAB", "kty": "RSA", "n": n})),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn the_secret_of_an_hmac_key_is_nowhere_in_its_public_half() {
        let key = FreshKey::generate(Algorithm::Hs256).unwrap();
        assert_eq!(key.private.len(), 32);
        assert!(key.public.is_empty());
        assert_eq!(jwk(Algorithm::Hs256, &key.kid, &key.public).unwrap(), None);
        // Neither the secret nor any likely hash of it is the name.
        let secret = secret_jwk(&key.kid, &key.private);
        let members = json!({"k": secret["k"], "kty": "oct"});
        for derived in [
            base64url(&key.private),
            base64url(&digest(&key.private)),
            base64url(&digest(members.to_string().as_bytes())),
        ] {
            assert!(!derived.contains(&key.kid));
        }
    }
}
