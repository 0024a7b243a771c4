//! What is recorded of an outcome.

use crate::domain::ids::{AccountId, DeviceId, PairingId};

/// The outcome of what was granted or changed.
pub(crate) const OK: &str = "ok";

/// What happened. Words of this project only: no secret, and no text that a client chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// `login`, `ask`, `approve`, `factor.on`, …
    pub(crate) event: &'static str,
    /// `ok`, or a stable code that says why not.
    pub(crate) outcome: &'static str,
    pub(crate) account: Option<AccountId>,
    pub(crate) device: Option<DeviceId>,
    pub(crate) pairing: Option<PairingId>,
    /// The address that the server saw.
    pub(crate) source: &'a str,
}
