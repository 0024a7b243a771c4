//! How access tokens are signed: the algorithms there are, and which key signs, until when, and in what order.

use std::time::Duration;

use super::time::Timestamp;

/// An algorithm that signs access tokens (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// HMAC with SHA-256: whoever verifies could sign as well.
    Hs256,
}

/// How long a key goes on signing after one of another algorithm has begun to: in that time a setting that is changed
/// node by node has reached them all.
const CHANGE_OVER: Duration = Duration::from_secs(86_400);

impl Algorithm {
    const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Rs256, Self::Hs256];

    /// Its name in a token's header (`alg`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }

    /// The algorithm of that name, spelled exactly so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether one secret both signs and verifies: it is never published and has to be kept for as long as its tokens
    /// are taken.
    pub fn is_symmetric(self) -> bool {
        self == Self::Hs256
    }
}

/// What the order of keys depends on. The functions below take all keys in the order of `signs_from`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// How the key signs.
    pub algorithm: Algorithm,
    /// From when.
    pub signs_from: Timestamp,
    /// Whether it may still sign.
    pub can_sign: bool,
}

/// The key that signs at `now` for a node whose setting is `wanted`: the latest of that algorithm whose time has come,
/// else the latest of any. When the clock was set back so far that no key's time has come, the first that can sign.
pub fn signer(turns: &[Turn], wanted: Algorithm, now: Timestamp) -> Option<usize> {
    let is_due = |turn: &Turn| turn.can_sign && turn.signs_from <= now;
    let own = turns.iter().rposition(|turn| is_due(turn) && turn.algorithm == wanted);
    own.or_else(|| turns.iter().rposition(is_due)).or_else(|| turns.iter().position(|turn| turn.can_sign))
}

/// The key of this algorithm that is published and waits for its time.
pub fn waiting(turns: &[Turn], algorithm: Algorithm, now: Timestamp) -> Option<usize> {
    turns.iter().position(|turn| turn.can_sign && turn.algorithm == algorithm && turn.signs_from > now)
}

/// When the key at `at` has signed its last token, if a later key is there: at once when that is of the same algorithm.
pub fn ends_at(turns: &[Turn], at: usize) -> Option<Timestamp> {
    let (key, later) = turns.get(at..)?.split_first()?;
    let end = |next: &Turn| {
        if next.algorithm == key.algorithm { next.signs_from } else { next.signs_from.plus(CHANGE_OVER) }
    };
    later.iter().map(end).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(algorithm: Algorithm, from: i64) -> Turn {
        Turn { algorithm, signs_from: Timestamp(from), can_sign: true }
    }

    #[test]
    fn a_node_signs_with_the_latest_key_of_its_algorithm_or_with_what_there_is() {
        let turns = [turn(Algorithm::Es256, 1), turn(Algorithm::Es256, 5), turn(Algorithm::EdDsa, 9)];
        let at = |wanted, now| signer(&turns, wanted, Timestamp(now));
        assert_eq!(at(Algorithm::EdDsa, 8), Some(1), "its own is not due");
        assert_eq!(at(Algorithm::EdDsa, 9), Some(2));
        assert_eq!(at(Algorithm::Es256, 9), Some(1));
        assert_eq!(at(Algorithm::Rs256, 9), Some(2));
        assert_eq!(at(Algorithm::Es256, 0), Some(0), "the clock was set back");
        assert_eq!(waiting(&turns, Algorithm::EdDsa, Timestamp(8)), Some(2));
        assert_eq!(waiting(&turns, Algorithm::Es256, Timestamp(8)), None);
    }

    #[test]
    fn a_key_ends_at_once_with_its_successor_and_later_when_the_algorithm_changes() {
        let turns = [turn(Algorithm::Es256, 1), turn(Algorithm::EdDsa, 5), turn(Algorithm::EdDsa, 9)];
        assert_eq!(ends_at(&turns, 0), Some(Timestamp(5).plus(CHANGE_OVER)));
        assert_eq!(ends_at(&turns, 1), Some(Timestamp(9)));
        assert_eq!(ends_at(&turns, 2), None);
        let back = [turn(Algorithm::Es256, 1), turn(Algorithm::EdDsa, 5), turn(Algorithm::Es256, 9)];
        assert_eq!(ends_at(&back, 0), Some(Timestamp(9)));
    }

    #[test]
    fn names_are_taken_as_they_are_spelled() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.name()), Some(algorithm));
        }
        for wrong in ["es256", "EDDSA", "none", "", "HS512"] {
            assert_eq!(Algorithm::parse(wrong), None, "{wrong}");
        }
    }
}
