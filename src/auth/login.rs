//! What a login is asked with, and what it leads to.

use std::net::IpAddr;
use std::time::Duration;

use super::first_step::FirstStep;
use crate::domain::account::Account;
use crate::domain::device::DeviceFacts;
use crate::domain::language::Language;
use crate::domain::secret::{
    AccessToken, BackupCode, ChallengeToken, Fingerprint, MailAuthToken, OneTimeCode, RefreshToken,
    SessionToken, Ticket, TrustToken,
};
use crate::domain::time::Timestamp;

/// What stands for the password.
#[derive(Clone, Debug)]
pub(crate) enum First {
    /// It was proven just now.
    Password(Box<Account>),
    /// It was proven at the begin of this sign-in.
    Challenge(ChallengeToken),
    /// It was proven by the login call of `/users`.
    Step(FirstStep),
    /// Mailed words proved the address.
    Mail(Box<ByMail>),
    /// The account was just made by whom mailed words have proven to own its address.
    Made(Box<Account>),
}

/// An address that was proven, and what comes with it.
#[derive(Clone, Debug)]
pub(crate) struct ByMail {
    pub(crate) token: MailAuthToken,
    /// Which of the address's accounts is meant; without one, the foremost.
    pub(crate) kind: Option<String>,
    /// The account, as it was when its password was proven beside the words.
    pub(crate) proven: Option<Box<Account>>,
    /// What the sign-in goes on by, and for how long, when a second factor is needed.
    pub(crate) next: MailAuthToken,
    pub(crate) next_ttl: Duration,
}

/// What is presented beside the password.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Nothing: enough only while no second factor is on.
    PasswordAlone,
    /// Nothing but the device's being trusted.
    Trust(TrustToken),
    /// Nothing but the device's being trusted, which is known by what its client says of it.
    Device(Fingerprint),
    /// The code of an approval.
    Ticket(Ticket),
    /// A mailed code, or something that is nothing at all: it counts as a wrong one.
    MailedCode(OneTimeCode),
    /// The code of an authenticator app.
    Totp(OneTimeCode),
    /// A mailed code or that of an app: a surface with one field for both.
    AnyCode(OneTimeCode),
    /// A backup code.
    BackupCode(BackupCode),
}

/// Who logs in, from where, and what is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) device: DeviceFacts,
    pub(crate) client_id: Option<String>,
    pub(crate) source: IpAddr,
    /// What the client asked for: the language of this account's mail from now on.
    pub(crate) language: Option<Language>,
    pub(crate) wish: Wish,
}

/// What a client wants beside an access token.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) enum Wish {
    /// Nothing.
    #[default]
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// A refresh token, and that the device that a second factor was just proven on is not asked again.
    TrustedDevice(Fingerprint),
    /// No session at all: only that the factor is proven and used up.
    Nothing,
    /// A cookie session.
    Cookie {
        /// Whether it may outlive the browser; a sign-in under way has its own word for that.
        remember: bool,
        /// Whether this device is not to be asked for a second factor again.
        trust: bool,
        agent: String,
    },
}

impl Wish {
    /// Whether a refresh token is wanted.
    pub(super) fn has_refresh_token(&self) -> bool {
        match self {
            Self::RefreshToken | Self::TrustedDevice(_) => true,
            Self::AccessToken | Self::Nothing | Self::Cookie { .. } => false,
        }
    }
}

/// A login that was made.
#[derive(Debug)]
pub(crate) struct Minted {
    pub(crate) token: AccessToken,
    pub(crate) account: Account,
    pub(crate) session_begins: Timestamp,
    pub(crate) session_ends: Timestamp,
    pub(crate) session_token: Option<SessionToken>,
    pub(crate) refresh_token: Option<RefreshToken>,
    /// What the device is known by from now on, if it is trusted.
    pub(crate) trust: Option<TrustToken>,
    pub(crate) remember: bool,
    /// Whether a second factor is on.
    pub(crate) two_factor: bool,
}
