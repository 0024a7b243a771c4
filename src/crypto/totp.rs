//! Time-based one-time passwords (RFC 6238) as every authenticator app knows them: SHA-1, six digits, 30 seconds.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

use super::random;
use crate::domain::secret::OneTimeCode;
use crate::domain::time::Timestamp;

/// 160 bits, as RFC 4226 §4 recommends.
const BYTES: usize = 20;
const DIGITS: u8 = 6;
const STEP: u64 = 30;
/// Steps that a phone's clock may be off, before and after.
const SKEW: u16 = 1;

/// What is left as it is in a URI's label and query (RFC 3986 §2.3).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The secret that a server and an authenticator app share.
#[derive(Clone)]
pub(crate) struct TotpSecret(Zeroizing<Vec<u8>>);

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(•••)")
    }
}

impl TotpSecret {
    pub(crate) fn generate() -> Self {
        Self(Zeroizing::new(random::bytes::<BYTES>().to_vec()))
    }

    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Into the store, sealed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// To be typed: base32 (RFC 4648 §6) without padding.
    pub(crate) fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(self.secret().to_base32())
    }

    /// The key URI, for a QR code (docs/protocol.md, "Authenticator apps").
    pub(crate) fn uri(&self, issuer: &str, mail: &str) -> Zeroizing<String> {
        let (issuer, mail) = (utf8_percent_encode(issuer, PLAIN), utf8_percent_encode(mail, PLAIN));
        let secret = self.base32();
        Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{mail}?secret={}&issuer={issuer}&digits={DIGITS}&period={STEP}",
            secret.as_str()
        ))
    }

    /// The time step whose code this is, at most one before or after that of `now`. The caller accepts a step once.
    pub(crate) fn step_of(&self, code: &OneTimeCode, now: Timestamp) -> Option<i64> {
        let seconds = u64::try_from(now.seconds()).ok()?;
        self.totp().check(code.expose(), seconds).and_then(|step| i64::try_from(step).ok())
    }

    fn secret(&self) -> Secret {
        Secret::new(self.0.as_slice().into())
    }

    fn totp(&self) -> Totp {
        // What is built here is fixed, and within what RFC 4226 and RFC 6238 allow.
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .with_secret(self.secret())
            .build_noncompliant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    fn rfc() -> TotpSecret {
        TotpSecret::from_bytes(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        let secret = rfc();
        // Appendix B has eight digits; the last six are the six-digit code.
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            let code = OneTimeCode::new(code.into());
            assert_eq!(secret.step_of(&code, at(seconds)), Some(seconds / 30));
            assert_eq!(secret.step_of(&code, at(seconds + 30)), Some(seconds / 30));
            assert_eq!(secret.step_of(&code, at(seconds - 30)), Some(seconds / 30));
            assert_eq!(secret.step_of(&code, at(seconds + 60)), None);
            assert_eq!(secret.step_of(&code, at(seconds - 60)), None);
        }
        for bad in ["", "28708", "2870821", "28708x", "２８７０８２"] {
            assert_eq!(secret.step_of(&OneTimeCode::new(bad.into()), at(59)), None, "{bad:?}");
        }
    }

    #[test]
    fn the_uri_is_read_by_authenticator_apps() {
        let uri = rfc().uri("Ready & Co", "ann+x@example.org");
        assert_eq!(
            uri.as_str(),
            "otpauth://totp/Ready%20%26%20Co:ann%2Bx%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Ready%20%26%20Co&digits=6&period=30"
        );
    }

    #[test]
    fn no_two_secrets_are_alike() {
        assert_ne!(TotpSecret::generate().as_bytes(), TotpSecret::generate().as_bytes());
        assert_eq!(TotpSecret::generate().base32().len(), 32);
    }
}
