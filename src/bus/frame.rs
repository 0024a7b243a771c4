//! What travels between nodes: JSON behind a MAC under the root key that all nodes share.

use serde::{Deserialize, Serialize};

use super::{Message, Reason, Resolved};
use crate::auth::{Auth, Error};
use crate::crypto::root::RootKeys;
use crate::domain::ids::{AccountId, NodeTag, PairingId};

const MAC_BYTES: usize = 32;

/// To one node, or to those that have phones of an account. No secret and nothing personal: who is rung reads the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum Frame {
    Settled { pairing: uuid::Uuid },
    TakenOver { pairing: uuid::Uuid, resumes: u32 },
    Account { account: i64 },
    Resolved { account: i64, pairing: uuid::Uuid, number: u32, reason: String, approved: bool },
    Scan { pairing: uuid::Uuid, account: i64 },
    Holds { pairing: uuid::Uuid },
}

/// What a node answers to [`Frame::Scan`] and [`Frame::Holds`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Reply {
    /// The ask stands in the store.
    Asked,
    Refused {
        code: String,
    },
    Held {
        held: bool,
    },
}

/// A subject of its own for each node.
pub(super) fn node_subject(tag: NodeTag) -> String {
    format!("rl.node.{:04x}", tag.0)
}

/// What nodes with phones of this account listen to.
pub(super) fn account_subject(account: AccountId) -> String {
    format!("rl.account.{account}")
}

/// What answers are packed for: their real subject is known to the client alone.
pub(super) fn reply_subject(asked: &str) -> String {
    format!("{asked}.reply")
}

/// Puts the MAC in front. It covers the subject too: what was meant for one node is not taken by another.
pub(super) fn pack(root: &RootKeys, subject: &str, frame: &impl Serialize) -> Vec<u8> {
    // Plain data with text keys: this can't fail, and an empty frame is refused on the other side.
    let json = serde_json::to_vec(frame).unwrap_or_default();
    let mut packed = root.mac("bus", &[subject.as_bytes(), &json]).to_vec();
    packed.extend(json);
    packed
}

/// Reads a frame that a node with the same root keys packed for this subject.
pub(super) fn unpack<T: for<'de> Deserialize<'de>>(
    root: &RootKeys,
    subject: &str,
    packed: &[u8],
) -> Option<T> {
    let (mac, json) = packed.split_at_checked(MAC_BYTES)?;
    root.verify("bus", &[subject.as_bytes(), json], mac).then(|| serde_json::from_slice(json).ok())?
}

impl Frame {
    /// Where a message goes, and as what.
    pub(super) fn of(message: &Message) -> (String, Self) {
        match message {
            Message::Settled { pairing, holder } => {
                (node_subject(*holder), Self::Settled { pairing: pairing.0 })
            }
            Message::TakenOver { pairing, resumes, holder } => {
                (node_subject(*holder), Self::TakenOver { pairing: pairing.0, resumes: *resumes })
            }
            Message::Ask(view) => (account_subject(view.account), Self::Account { account: view.account.0 }),
            Message::Account(account) => (account_subject(*account), Self::Account { account: account.0 }),
            Message::Resolved(over) => {
                let frame = Self::Resolved {
                    account: over.account.0,
                    pairing: over.pairing.0,
                    number: over.number,
                    reason: over.reason.word().to_owned(),
                    approved: over.approved,
                };
                (account_subject(over.account), frame)
            }
        }
    }

    /// The message that was meant, for the node with this tag; `None` for a question, or a word of a later release.
    pub(super) fn message(self, here: NodeTag) -> Option<Message> {
        match self {
            Self::Settled { pairing } => Some(Message::Settled { pairing: PairingId(pairing), holder: here }),
            Self::TakenOver { pairing, resumes } => {
                Some(Message::TakenOver { pairing: PairingId(pairing), resumes, holder: here })
            }
            Self::Account { account } => Some(Message::Account(AccountId(account))),
            Self::Resolved { account, pairing, number, reason, approved } => {
                let (account, pairing) = (AccountId(account), PairingId(pairing));
                let reason = Reason::from_word(&reason)?;
                Some(Message::Resolved(Resolved { account, pairing, number, reason, approved }.into()))
            }
            Self::Scan { .. } | Self::Holds { .. } => None,
        }
    }
}

impl Reply {
    pub(super) fn of<T>(outcome: Result<T, Error>) -> Self {
        match outcome {
            Ok(_) => Self::Asked,
            Err(e) => Self::Refused { code: e.code().to_owned() },
        }
    }

    /// What the phone that scanned is told.
    pub(super) fn into_outcome(self) -> Result<(), Error> {
        let code = match self {
            Self::Asked => return Ok(()),
            Self::Refused { code } => code,
            Self::Held { .. } => String::new(),
        };
        let known = [
            Error::Expired,
            Error::AlreadyAsked,
            Error::AlreadyAnswered,
            Error::WrongAccount,
            Error::NotAsked,
            Error::Disabled,
            Error::BadCredentials,
        ];
        Err(known.into_iter().find(|error| error.code() == code).unwrap_or(Error::Busy(Auth::BUSY)))
    }
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Gone => "gone",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Answered, Self::Expired, Self::Replaced, Self::Gone].into_iter().find(|r| r.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_root_key_and_the_same_subject_are_believed() {
        let (root, frame) = (RootKeys::generate(), Frame::Account { account: 7 });
        let packed = pack(&root, "rl.account.7", &frame);
        assert_eq!(unpack(&root, "rl.account.7", &packed), Some(frame));
        assert_eq!(unpack::<Frame>(&root, "rl.account.8", &packed), None);
        assert_eq!(unpack::<Frame>(&RootKeys::generate(), "rl.account.7", &packed), None);
        for at in 0..packed.len() {
            let mut bent = packed.clone();
            bent[at] ^= 1;
            assert_eq!(unpack::<Frame>(&root, "rl.account.7", &bent), None, "byte {at}");
        }
        for cut in 0..packed.len() {
            assert_eq!(unpack::<Frame>(&root, "rl.account.7", &packed[..cut]), None);
        }
    }

    #[test]
    fn messages_come_out_as_they_went_in_and_say_nothing_personal() {
        let pairing = PairingId(uuid::Uuid::from_u128(9));
        let (holder, account) = (NodeTag(0xbeef), AccountId(7));
        let over = Resolved { account, pairing, number: 2, reason: Reason::Gone, approved: false };
        for (message, subject) in [
            (Message::Settled { pairing, holder }, "rl.node.beef"),
            (Message::TakenOver { pairing, resumes: 3, holder }, "rl.node.beef"),
            (Message::Account(account), "rl.account.7"),
            (Message::Resolved(over.into()), "rl.account.7"),
        ] {
            let (to, frame) = Frame::of(&message);
            assert_eq!(to, subject);
            let back = frame.message(holder).unwrap();
            assert_eq!(format!("{back:?}"), format!("{message:?}"));
        }
    }

    #[test]
    fn a_refusal_travels_by_its_code() {
        for error in [Error::Expired, Error::AlreadyAsked, Error::WrongAccount] {
            assert_eq!(Reply::of::<()>(Err(error.clone())).into_outcome(), Err(error));
        }
        let odd = Reply::of::<()>(Err(Error::internal("what"))).into_outcome();
        assert!(matches!(odd, Err(Error::Busy(_))));
        assert_eq!(Reply::of(Ok(())).into_outcome(), Ok(()));
    }
}
