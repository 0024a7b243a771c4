//! Why a delivery failed.

/// A delivery that failed; the reason is fit for the log.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: String,
    /// The next attempt will hardly end better: the mail itself was refused.
    pub(super) is_lasting: bool,
}

impl Failure {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_lasting: false }
    }

    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_lasting: true }
    }
}
