//! What was refused as expired stays expired: its end is moved to the beginning of time, so that a clock that is set back
//! does not bring it to life again. Pairings have a state for this.

use super::tx::Arg;
use super::{Error, Tx, arg};
use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

/// Something that is shown to get something for it, by what the store knows it by: the hash of a secret, mostly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Redeemable {
    /// The code of an approval.
    Ticket([u8; 32]),
    /// A sign-in under way.
    Challenge([u8; 32]),
    /// Words that were mailed, by their token.
    Words([u8; 32]),
    /// A proof of an address.
    MailAuth([u8; 32]),
    RefreshToken([u8; 32]),
    /// A trusted device.
    Trust([u8; 32]),
    Session(SessionId),
    /// A session, by its cookie.
    Cookie([u8; 32]),
}

macro_rules! statements {
    ($table:literal, $key:literal) => {
        (
            concat!(
                "UPDATE ",
                $table,
                " SET expires_at = 0 WHERE ",
                $key,
                " = $1 AND expires_at > 0 AND expires_at <= $2"
            ),
            concat!(
                "SELECT 1 FROM ",
                $table,
                " WHERE ",
                $key,
                " = $1 AND expires_at > 0 AND expires_at <= $2"
            ),
        )
    };
}

impl Redeemable {
    fn statements(self) -> (&'static str, &'static str) {
        match self {
            Self::Ticket(_) => statements!("tickets", "hash"),
            Self::Challenge(_) => statements!("challenges", "hash"),
            Self::Words(_) => statements!("mail_logins", "hash"),
            Self::MailAuth(_) => statements!("mail_auths", "hash"),
            Self::RefreshToken(_) => statements!("refresh_tokens", "hash"),
            Self::Trust(_) => statements!("trusts", "hash"),
            Self::Session(_) => statements!("sessions", "uuid"),
            Self::Cookie(_) => statements!("sessions", "token"),
        }
    }

    fn key(self) -> Arg {
        match self {
            Self::Ticket(hash)
            | Self::Challenge(hash)
            | Self::Words(hash)
            | Self::MailAuth(hash)
            | Self::RefreshToken(hash)
            | Self::Trust(hash)
            | Self::Cookie(hash) => arg(hash.as_slice()),
            Self::Session(id) => arg(id.to_string()),
        }
    }
}

/// Makes the end of something final if it has come; in the unit that refuses it.
pub(crate) async fn note(tx: &mut Tx, what: Redeemable, now: Timestamp) -> Result<(), Error> {
    tx.execute(what.statements().0, [what.key(), arg(now)]).await.map(drop)
}

/// Whether the end of something has come and is not final yet.
pub(crate) async fn is_due(tx: &mut Tx, what: Redeemable, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.optional(what.statements().1, [what.key(), arg(now)]).await?.is_some())
}
