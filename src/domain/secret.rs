//! Secrets as types: no `Display`, a redacted `Debug`, wiped when dropped, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the text over; the caller keeps no copy.
            pub fn new(text: String) -> Self {
                Self(Zeroizing::new(text))
            }

            /// The secret itself. Every call is a place to look at twice.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(•••)"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
            }
        }

        impl Eq for $name {}

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
    };
}

secret! {
    /// A password as typed.
    Password
}
secret! {
    /// A one-time code that an approval yields: 256 bits in base64url.
    Ticket
}
secret! {
    /// What lets a browser take its own pairing over on a new socket.
    ResumeSecret
}
secret! {
    /// One of ten codes for the day the phone is gone.
    BackupCode
}
secret! {
    /// A mailed code or the code of an authenticator app, as typed.
    OneTimeCode
}
secret! {
    /// What a cookie session is known by: 190 bits.
    SessionToken
}
secret! {
    /// What a sign-in whose second factor is awaited is known by.
    ChallengeToken
}
secret! {
    /// What names a login call of `/users` in the call that follows: 190 bits and their MAC.
    StepToken
}
secret! {
    /// What a device that is not asked for a second factor is known by.
    TrustToken
}
secret! {
    /// What a client says that its device is known by: worth something beside the password only.
    Fingerprint
}
secret! {
    /// What gets a fresh access token: 32 random bytes in hexadecimal.
    RefreshToken
}
secret! {
    /// What lets a monitor read the metrics.
    MetricsToken
}
secret! {
    /// A signed access token.
    AccessToken
}
secret! {
    /// What a client that waits for mailed words is known by: 190 bits.
    MailLoginToken
}
secret! {
    /// What stands for an address that was proven by mailed words: 190 bits.
    MailAuthToken
}
secret! {
    /// Mailed words, as typed.
    MailedWords
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Password::new("hunter2".into())), "Password(•••)");
        assert_eq!(format!("{:?}", Some(Ticket::new("t".into()))), "Some(Ticket(•••))");
    }
}
