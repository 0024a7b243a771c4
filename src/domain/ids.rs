//! Typed identifiers, so that an account can't be passed where a device is meant.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! integer_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            /// Any case; only the hyphenated form of 36 characters.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse::<uuid::fmt::Hyphenated>().map(|id| Self(id.into_uuid()))
            }
        }
    };
}

integer_id! {
    /// An account's number, published as `account_id`.
    AccountId
}
integer_id! {
    /// A device's number, published as `device_id`.
    DeviceId
}
uuid_id! {
    /// A session, published as `sid` and `session_uuid`.
    SessionId
}
uuid_id! {
    /// A pairing: one browser's wait for an approval. It names, it never opens anything.
    PairingId
}

/// The node that made a pairing: sixteen random bits chosen when the node starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NodeTag(pub u16);

impl PairingId {
    /// A version 4 UUID from `random`, with the tag in bytes 4 and 5: the first 32 bits stay random.
    pub fn new(random: [u8; 16], tag: NodeTag) -> Self {
        let mut bytes = random;
        bytes[4..6].copy_from_slice(&tag.0.to_be_bytes());
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The node that made this pairing.
    pub fn tag(self) -> NodeTag {
        let bytes = self.0.as_bytes();
        NodeTag(u16::from_be_bytes([bytes[4], bytes[5]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pairing_id_is_a_version_4_uuid_that_carries_its_node() {
        let id = PairingId::new([0xff; 16], NodeTag(0x1234));
        assert_eq!(id.0.get_version_num(), 4);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.tag(), NodeTag(0x1234));
        assert!(id.to_string().starts_with("ffffffff-1234-4"));
    }

    #[test]
    fn a_pairing_id_reads_in_any_case_and_in_one_form_only() {
        let id = PairingId::new([0xab; 16], NodeTag(7));
        assert_eq!(id.to_string().to_uppercase().parse::<PairingId>().ok(), Some(id));
        assert!(id.0.simple().to_string().parse::<PairingId>().is_err());
        assert!(format!("{{{id}}}").parse::<PairingId>().is_err());
    }
}
