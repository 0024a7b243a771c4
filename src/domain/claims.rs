//! The proof of a login in the standard words: `amr` (RFC 8176) and `acr` (docs/tokens.md, "amr and acr").

use super::ids::{AccountId, DeviceId, SessionId};
use super::time::Timestamp;

/// The client whose tokens may manage the account: this service's own pages and apps.
pub const OWN_CLIENT: &str = "readylogin";

/// How a login was proven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// A password alone.
    Password,
    /// A password and an approval by a phone.
    Tap,
    /// A password and a one-time backup code.
    BackupCode,
    /// A password and a code sent by mail.
    MailedCode,
    /// A password and the code of an authenticator app.
    Totp,
    /// Mailed words alone.
    Words,
    /// Mailed words and the password.
    WordsAndPassword,
    /// Mailed words and the code of an authenticator app, or a backup code.
    WordsAndCode,
    /// Mailed words and an approval by a phone.
    WordsAndTap,
}

impl Proof {
    /// Authentication method references (RFC 8176 §2). An approval travels over a channel of its own: `mca`.
    pub fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::Tap => &["pwd", "mca", "mfa"],
            Self::BackupCode | Self::MailedCode | Self::Totp => &["pwd", "otp", "mfa"],
            Self::Words => &["otp"],
            Self::WordsAndPassword => &["otp", "pwd", "mfa"],
            Self::WordsAndCode => &["otp", "mfa"],
            Self::WordsAndTap => &["otp", "mca", "mfa"],
        }
    }

    /// The level, as `acr`.
    pub fn acr(self) -> &'static str {
        match self {
            Self::Password => "urn:readylogin:acr:pwd",
            Self::Tap | Self::WordsAndTap => "urn:readylogin:acr:tap",
            Self::BackupCode | Self::Totp | Self::WordsAndCode => "urn:readylogin:acr:otp",
            // Mail is no channel of authentication that NIST SP 800-63B-4 §3.1.3 would accept; relying parties can tell.
            Self::MailedCode | Self::Words | Self::WordsAndPassword => "urn:readylogin:acr:mail",
        }
    }
}

/// Everything an access token says (RFC 9068, and what existing clients read), before it is signed.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The account.
    pub account: AccountId,
    /// Its public name: `sub` and `id`.
    pub account_uuid: uuid::Uuid,
    /// Its address, under the kind's name.
    pub email: String,
    /// Whether that address is proven, now: `email_verified`.
    pub email_verified: bool,
    /// The kind's name: `patient`.
    pub kind_name: String,
    /// The device that logged in.
    pub device: DeviceId,
    /// Its name.
    pub device_name: String,
    /// The session: `sid`.
    pub session: SessionId,
    /// `client_id`.
    pub client_id: String,
    /// `amr`, in order.
    pub amr: Vec<String>,
    /// `acr`.
    pub acr: String,
    /// When the owner last proved to be there.
    pub auth_time: Timestamp,
    /// `iat` and `nbf`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
    /// `jti`.
    pub token_id: uuid::Uuid,
}
