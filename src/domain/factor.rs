//! Second factors: which methods there are and how failures add up.

use std::fmt;
use std::str::FromStr;

/// A second-factor method, in the words that clients read and write (spelling exact).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Method {
    /// A code sent by mail.
    Email,
    /// An approval by a phone.
    Mobile,
    /// An authenticator app (TOTP, RFC 6238).
    Authenticator,
    /// Ten one-time codes; helps, but never alone turns two-factor login on.
    BackupCode,
}

impl Method {
    /// The word on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::Mobile => "MOBILE",
            Self::Authenticator => "AUTHENTIFICATOR",
            Self::BackupCode => "BACKUPCODE",
        }
    }

    /// Whether this method by itself turns two-factor login on.
    pub fn turns_on(self) -> bool {
        self != Self::BackupCode
    }
}

impl FromStr for Method {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Email, Self::Mobile, Self::Authenticator, Self::BackupCode]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or(())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When wrong second factors have consequences (NIST SP 800-63B-4 §3.2.2).
#[derive(Clone, Copy, Debug)]
pub struct LockPolicy {
    /// This many failures in a row of one method block all second-factor checks …
    pub after: u32,
    /// … for this long.
    pub block_for: std::time::Duration,
    /// This many in a row end the method until it is bound again.
    pub disable_after: u32,
}

/// What one more failure leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Consequence {
    /// Nothing yet.
    Counted,
    /// All second-factor checks of the account are blocked.
    Blocked,
    /// The method is off until it is bound again, and checks are blocked.
    MethodOff,
}

impl LockPolicy {
    /// The consequence of the failure that brings a method's run to `run`: every `after`-th blocks, and one of them ends
    /// the method.
    pub fn consequence(&self, run: u32) -> Consequence {
        if run == self.disable_after {
            Consequence::MethodOff
        } else if run.is_multiple_of(self.after) {
            Consequence::Blocked
        } else {
            Consequence::Counted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenth_failure_blocks_and_the_hundredth_ends_the_method() {
        let policy =
            LockPolicy { after: 10, block_for: std::time::Duration::from_secs(900), disable_after: 100 };
        let of = |run| policy.consequence(run);
        assert_eq!(
            [of(1), of(9), of(10), of(11)].map(|c| c == Consequence::Blocked),
            [false, false, true, false]
        );
        assert_eq!(
            [of(20), of(99), of(100)],
            [Consequence::Blocked, Consequence::Counted, Consequence::MethodOff]
        );
    }
}
