//! Access tokens on the wire (docs/tokens.md, "The access token"): RFC 9068 claims, signed and read with keys that come from
//! the store alone.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::claims::Grant;
use crate::domain::ids::{AccountId, DeviceId, SessionId};
use crate::domain::secret::AccessToken;
use crate::domain::signing::Algorithm;
use crate::domain::time::Timestamp;

/// How much two clocks may differ, in seconds.
const LEEWAY: i64 = 5;
/// No token of this server comes near this length.
const MAX_TOKEN: usize = 4096;

/// A token that is not one of ours, or not for this use. It never says which.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Invalid {
    #[error("not a token of this server")]
    Forged,
    #[error("out of its time")]
    OutOfTime,
}

/// Who signs and for whom.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) issuer: String,
    pub(crate) audience: String,
}

/// What a verified token says of its bearer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bearer {
    pub(crate) account: AccountId,
    /// The account's public name, as the token has it.
    pub(crate) subject: uuid::Uuid,
    pub(crate) device: Option<DeviceId>,
    pub(crate) session: SessionId,
    /// Whether `exp` has passed. Only an approving phone's socket may look past it.
    pub(crate) expired: bool,
}

/// Signs a grant.
pub(crate) fn sign(
    names: &Names,
    kid: &str,
    algorithm: Algorithm,
    key: &EncodingKey,
    grant: &Grant,
) -> Result<AccessToken, jsonwebtoken::errors::Error> {
    let mut header = Header::new(registered(algorithm));
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(kid.to_owned());
    let mut claims = json!({
        "iss": names.issuer,
        "aud": names.audience,
        "sub": grant.account_uuid,
        "client_id": grant.client_id,
        "iat": grant.issued_at.seconds(),
        "nbf": grant.issued_at.seconds(),
        // Rounded up: a token never lives shorter than was promised.
        "exp": grant.expires_at.plus(Duration::from_millis(999)).seconds(),
        "jti": grant.token_id,
        "sid": grant.session.0,
        "auth_time": grant.auth_time.seconds(),
        "amr": grant.amr,
        "acr": grant.acr,
        "account_id": grant.account.0,
        "device_id": grant.device.0,
        "session_uuid": grant.session.0,
        "id": grant.account_uuid,
        "name_device": grant.device_name,
        "email_verified": grant.email_verified,
    });
    if let Value::Object(fields) = &mut claims {
        // Never over a registered claim, whatever an operator calls a kind.
        fields.entry(&grant.kind_name).or_insert_with(|| Value::from(grant.email.clone()));
    }
    jsonwebtoken::encode(&header, &claims, key).map(AccessToken::new)
}

/// What a token's header claims. Only the `kid` is believed, and only to look a key up.
pub(crate) struct Head {
    pub(crate) kid: String,
    alg: String,
}

/// Reads a token's header, which must have the one form that this server writes: `alg`, `typ`, `kid`, each once
/// and nothing else, so that `crit`, `b64`, `jwk`, `jku`, `x5u` and their like are refused (RFC 8725 §3).
pub(crate) fn head(token: &str) -> Result<Head, Invalid> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        alg: String,
        typ: String,
        kid: String,
    }
    let head = token.split('.').next().filter(|_| token.len() <= MAX_TOKEN).ok_or(Invalid::Forged)?;
    let json = URL_SAFE_NO_PAD.decode(head).map_err(|_| Invalid::Forged)?;
    let Strict { alg, typ, kid } = serde_json::from_slice(&json).map_err(|_| Invalid::Forged)?;
    if typ.eq_ignore_ascii_case("at+jwt") { Ok(Head { kid, alg }) } else { Err(Invalid::Forged) }
}

/// What a token is verified by: the key that stands in the store under the token's `kid`, and that key's algorithm.
pub(crate) struct Verifier<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: &'a DecodingKey,
    /// All names under which this server has signed.
    pub(crate) issuers: &'a [String],
    pub(crate) audience: &'a str,
}

/// Verifies signature, names and times. `exp` in the past is reported in [`Bearer::expired`], not refused.
pub(crate) fn verify(by: &Verifier<'_>, head: &Head, token: &str, now: Timestamp) -> Result<Bearer, Invalid> {
    #[derive(Deserialize)]
    struct Claims {
        sub: uuid::Uuid,
        sid: uuid::Uuid,
        account_id: i64,
        device_id: Option<i64>,
        iat: i64,
        nbf: i64,
        exp: i64,
    }
    // The key says what algorithm it is; the token has to agree (RFC 8725 §3.1).
    if head.alg != by.algorithm.name() {
        return Err(Invalid::Forged);
    }
    let mut validation = Validation::new(registered(by.algorithm));
    validation.set_issuer(by.issuers);
    validation.set_audience(&[by.audience]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    // Times are compared below, with this server's own clock.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    let claims =
        jsonwebtoken::decode::<Claims>(token, by.key, &validation).map_err(|_| Invalid::Forged)?.claims;
    let now = now.seconds();
    if claims.nbf > now + LEEWAY || claims.iat > now + LEEWAY {
        return Err(Invalid::OutOfTime);
    }
    Ok(Bearer {
        account: AccountId(claims.account_id),
        subject: claims.sub,
        device: claims.device_id.map(DeviceId),
        session: SessionId(claims.sid),
        expired: now >= claims.exp,
    })
}

fn registered(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
    }
}
