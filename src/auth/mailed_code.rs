//! Mailed codes: whose they are, how they are kept and checked. Sending them is in `mailed_code/send.rs`.

mod send;

use crate::crypto::root::RootKeys;
use crate::crypto::seal::digest;
use crate::domain::account::{Account, Email};
use crate::domain::secret::OneTimeCode;
use crate::domain::time::Timestamp;
use crate::store::mailed_codes::{self, Mailed, Nonce, Subject};
use crate::store::{self, Tx};

/// The purposes of the keyed hashes: of an address, of a code, and of what a code's digits are taken from.
const SUBJECT: &str = "mailed code";
const HASH: &str = "mailed code hash";
const DIGITS: &str = "mailed code digits";

/// What a code is for; one for another purpose is no code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// A login.
    Login,
    /// Turning mailed codes on.
    Enable,
}

impl Purpose {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Login => b"login",
            Self::Enable => b"enable",
        }
    }

    /// Under what an account's codes are kept: nobody else's tries touch them.
    pub(super) fn subject(self, account: uuid::Uuid) -> Subject {
        digest(&[b"mailed code/", self.name(), b"/", account.as_bytes().as_slice()].concat())
    }

    /// What is taken by whoever sends or tries codes of an address.
    fn turn(self, root: &RootKeys, email: &Email) -> Subject {
        root.mac(SUBJECT, &[self.name(), email.key().as_bytes()])
    }

    /// Where the code of an address without an account is kept, so that it takes the same work; `nth` for each account
    /// that the address could have.
    fn stand_in(self, root: &RootKeys, email: &Email, nth: usize) -> Subject {
        root.mac(SUBJECT, &[self.name(), email.key().as_bytes(), &nth.to_be_bytes()])
    }
}

/// What trying a mailed code led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tried {
    Right,
    Wrong,
    /// It was right, once: not held against anybody.
    UsedBefore,
    /// This try was one too many: the account's codes are dead.
    TooMany,
    /// There is no live code.
    NoCode,
}

/// Tries a code against the live ones of an account, under the account's lock. A right one spends them all; a wrong one
/// is counted against all of them, unless it `counts` nowhere.
pub(super) async fn attempt(
    tx: &mut Tx,
    root: &RootKeys,
    (purpose, account): (Purpose, &Account),
    code: &OneTimeCode,
    counts: bool,
    now: Timestamp,
) -> Result<Tried, store::Error> {
    // No new code comes in between that would not have had the tries of the others.
    mailed_codes::take_turn(tx, &purpose.turn(root, &account.email), now).await?;
    let subject = purpose.subject(account.uuid);
    let codes = mailed_codes::newest(tx, &subject, now).await?;
    let is_among = |wanted: &dyn Fn(&Mailed) -> bool| {
        let wanted = codes.iter().filter(|kept| wanted(kept));
        wanted.fold(false, |found, kept| found | is_of(root, &subject, code, kept))
    };
    if is_among(&|kept| kept.is_live(now)) && mailed_codes::spend(tx, &subject, now).await? {
        return Ok(Tried::Right);
    }
    if is_among(&|kept| kept.used) {
        return Ok(Tried::UsedBefore);
    }
    let has_live = codes.iter().any(|kept| kept.is_live(now));
    // The right code, too, is one try too many once five were wrong.
    let was_counted = counts && mailed_codes::tried(tx, &subject, now).await?;
    Ok(match (has_live, was_counted) {
        (true, _) => Tried::Wrong,
        (false, true) => Tried::TooMany,
        (false, false) => Tried::NoCode,
    })
}

/// How an account's login codes stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// A right one would be taken.
    Live,
    /// The newest was sent and never used, and is over or was guessed at too often.
    Dead,
    /// There is none, or it was used.
    None,
}

/// How an account's login codes stand.
pub(super) async fn standing(
    tx: &mut Tx,
    account: &Account,
    now: Timestamp,
) -> Result<Standing, store::Error> {
    let codes = mailed_codes::newest(tx, &Purpose::Login.subject(account.uuid), now).await?;
    Ok(match codes.first() {
        _ if codes.iter().any(|code| code.is_live(now)) => Standing::Live,
        Some(code) if !code.used => Standing::Dead,
        Some(_) | None => Standing::None,
    })
}

/// Forgets an account's codes.
pub(super) async fn forget(tx: &mut Tx, account: &Account) -> Result<(), store::Error> {
    for purpose in [Purpose::Login, Purpose::Enable] {
        mailed_codes::forget(tx, &purpose.subject(account.uuid)).await?;
    }
    Ok(())
}

/// Forgets what is kept by an address; `kinds` accounts could have it.
pub(super) async fn forget_address(
    tx: &mut Tx,
    root: &RootKeys,
    email: &Email,
    kinds: usize,
) -> Result<(), store::Error> {
    for purpose in [Purpose::Login, Purpose::Enable] {
        // The first release kept login codes under the same hash.
        for turn in root.macs(SUBJECT, &[purpose.name(), email.key().as_bytes()]) {
            mailed_codes::forget_turn(tx, &turn).await?;
            mailed_codes::forget(tx, &turn).await?;
        }
        for nth in 0..kinds.max(1) {
            for subject in root.macs(SUBJECT, &[purpose.name(), email.key().as_bytes(), &nth.to_be_bytes()]) {
                mailed_codes::forget(tx, &subject).await?;
            }
        }
    }
    Ok(())
}

/// How a code is kept: six digits are guessed in no time, so its hash is keyed.
fn code_hash(root: &RootKeys, subject: &Subject, code: &OneTimeCode) -> [u8; 32] {
    root.mac(HASH, &[subject, code.expose().as_bytes()])
}

/// Whether a kept code is this one, also if the root key was rotated since.
fn is_of(root: &RootKeys, subject: &Subject, code: &OneTimeCode, kept: &Mailed) -> bool {
    root.verify(HASH, &[subject, code.expose().as_bytes()], &kept.hash)
}

/// The digits that belong to a nonce: derived, so that a code can be mailed again without being kept.
fn new_code(root: &RootKeys, nonce: &Nonce) -> OneTimeCode {
    digits(&root.mac(DIGITS, &[nonce]))
}

/// The digits of a code that is kept; `None` if they can't be derived any more.
fn code_of(root: &RootKeys, subject: &Subject, kept: &Mailed) -> Option<OneTimeCode> {
    let candidates = root.macs(DIGITS, &[kept.nonce.as_ref()?]);
    let mut codes = candidates.iter().map(digits);
    codes.find(|code| is_of(root, subject, code, kept))
}

fn digits(mac: &[u8; 32]) -> OneTimeCode {
    let number = mac.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    OneTimeCode::new(format!("{:06}", number % 1_000_000))
}
