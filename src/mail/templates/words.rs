//! What each language has words for.

/// A letter in one language; the frame around it is in `writing.rs`.
pub(in crate::mail) struct Words {
    pub(in crate::mail) subject: &'static str,
    /// What happened. A code, if there is one, follows it on a line of its own.
    pub(in crate::mail) what: String,
    /// How long that code is good; empty without a code.
    pub(in crate::mail) validity: String,
    /// What to do if it was not the reader.
    pub(in crate::mail) advice: &'static str,
}

impl Words {
    pub(super) fn new(subject: &'static str, what: impl Into<String>, advice: &'static str) -> Self {
        Self { subject, what: what.into(), validity: String::new(), advice }
    }

    pub(super) fn with_code(
        subject: &'static str,
        what: &str,
        validity: String,
        advice: &'static str,
    ) -> Self {
        Self { subject, what: what.to_owned(), validity, advice }
    }
}

/// The words before a time and before an address.
#[derive(Clone, Copy, Debug)]
pub(in crate::mail) struct Labels {
    pub(in crate::mail) when: &'static str,
    pub(in crate::mail) from: &'static str,
    pub(in crate::mail) bound: BoundLabels,
}

/// The words before what is bound to an account.
#[derive(Clone, Copy, Debug)]
pub(in crate::mail) struct BoundLabels {
    pub(in crate::mail) phones: &'static str,
    pub(in crate::mail) devices: &'static str,
    pub(in crate::mail) trusted: &'static str,
    pub(in crate::mail) factors: &'static str,
}
