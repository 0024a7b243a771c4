//! What an address without an account is checked against: a hash of the classes that the accounts have, as often as they.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Auth, Error};
use crate::crypto::password;
use crate::domain::account::PasswordHash;
use crate::domain::phone::Identifier;
use crate::store::Tx;
use crate::store::password_classes::{self, Known, Share};

/// A dummy for every class of stored passwords.
///
/// Each address is a point on a line, by a keyed hash, and the classes are stretches of that line, by name, as long as
/// their accounts are many. So an address stays with its class while the proportions stay; and when accounts are hashed
/// anew at their logins, addresses without an account move over to today's class at the same pace. Each kind has a line
/// of its own, since whoever asks knows which kind they ask about.
pub(super) struct Dummies {
    /// The class of what is hashed today.
    current: String,
    drawn: RwLock<Arc<Drawn>>,
}

#[derive(Default)]
struct Drawn {
    /// By class; kept, so that a class stays with its dummy.
    dummies: BTreeMap<String, PasswordHash>,
    /// By kind; [`ANY_KIND`] for all of them together.
    lines: HashMap<String, Line>,
    /// Of what is known of the stored passwords.
    version: u64,
}

/// The classes by name, with how many accounts are of each.
type Line = BTreeMap<String, u64>;

/// Stands for the kind where a surface asks for none.
pub(super) const ANY_KIND: &str = "";

impl Dummies {
    /// With today's class alone.
    pub(super) fn new(current: String) -> Result<Self, Error> {
        let dummies = Self { current, drawn: RwLock::default() };
        dummies.weigh(0, &[])?;
        Ok(dummies)
    }

    /// Draws by what is known now of the stored passwords: a login that has just hashed one anew counts already.
    fn follow(&self, known: &Known) -> Result<(), Error> {
        if self.drawn.read().version == known.version() {
            return Ok(());
        }
        let (version, shares) = known.shares();
        self.weigh(version, &shares)
    }

    /// Takes over how many accounts there are of each class. Those whose class is not known count as today's.
    fn weigh(&self, version: u64, shares: &[Share]) -> Result<(), Error> {
        let old = self.drawn.read().clone();
        let known = |class: &str| old.dummies.get(class).cloned().or_else(|| password::dummy(class));
        let today = known(&self.current);
        let today = today.ok_or_else(|| Error::internal("no dummy for today's password hashes"))?;
        let mut drawn = Drawn { version, ..Drawn::default() };
        drawn.dummies.insert(self.current.clone(), today);
        for share in shares {
            let class = match known(&share.class) {
                Some(dummy) => {
                    drawn.dummies.insert(share.class.clone(), dummy);
                    &share.class
                }
                None => &self.current,
            };
            for kind in [&share.kind, ANY_KIND] {
                let line = drawn.lines.entry(kind.to_owned()).or_default();
                *line.entry(class.clone()).or_default() += share.accounts;
            }
        }
        let mut place = self.drawn.write();
        // Somebody else may have looked later.
        if place.version <= version {
            *place = Arc::new(drawn);
        }
        Ok(())
    }

    /// The dummy at a point, in parts of 2^64 of the kind's line. Where nobody has an account it is one of today.
    fn at(&self, kind: &str, point: u64) -> Option<PasswordHash> {
        let drawn = self.drawn.read().clone();
        let class = drawn.lines.get(kind).and_then(|line| class_at(line, point)).unwrap_or(&self.current);
        drawn.dummies.get(class).cloned()
    }
}

fn class_at(line: &Line, point: u64) -> Option<&String> {
    let length: u64 = line.values().sum();
    let place = (u128::from(point) * u128::from(length)) >> 64;
    let mut end = 0;
    line.iter()
        .find(|(_, accounts)| {
            end += u128::from(**accounts);
            place < end
        })
        .map(|(class, _)| class)
}

impl Auth {
    /// What a password is checked against when this address or number has no account of this kind, or of any.
    pub(super) fn dummy(&self, kind: &str, who: &Identifier) -> Result<PasswordHash, Error> {
        self.passwords.dummies.follow(self.store.passwords())?;
        let mac = self.root.mac("dummy", &[kind.as_bytes(), who.key().as_bytes()]);
        let point = mac.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        point
            .and_then(|point| self.passwords.dummies.at(kind, point))
            .ok_or_else(|| Error::internal("no dummy"))
    }

    /// Counts the classes of the stored passwords, so that dummies come in the same proportion.
    pub(crate) async fn weigh_dummies(&self) -> Result<(), Error> {
        let count = async |tx: &mut Tx| password_classes::count(tx).await;
        self.store.passwords().begin_count();
        let mut counts = self.store.read(move |tx| Box::pin(async move { count(tx).await })).await?;
        if counts.iter().any(|share| share.class.is_empty()) {
            // Batch after batch, each a unit of its own, so that others have their turn in between.
            while self.store.write(|tx| Box::pin(password_classes::classify(tx))).await?
                >= password_classes::BATCH
            {}
            self.store.passwords().begin_count();
            counts = self.store.read(move |tx| Box::pin(async move { count(tx).await })).await?;
        }
        self.store.passwords().counted(&counts);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: &str = "$argon2id$v=19$m=64,t=1,p=1";
    const BCRYPT: &str = "$2b$10";

    fn dummies(shares: &[(&str, &str, u64)]) -> Dummies {
        let dummies = Dummies::new(TODAY.to_owned()).unwrap();
        weigh(&dummies, shares);
        dummies
    }

    fn weigh(dummies: &Dummies, shares: &[(&str, &str, u64)]) {
        let share = |(kind, class, accounts): &(&str, &str, u64)| Share {
            kind: (*kind).to_owned(),
            class: (*class).to_owned(),
            accounts: *accounts,
        };
        dummies.weigh(0, &shares.iter().map(share).collect::<Vec<_>>()).unwrap();
    }

    fn class_of(dummies: &Dummies, kind: &str, point: u64) -> String {
        password::class(&dummies.at(kind, point).unwrap()).unwrap()
    }

    #[track_caller]
    fn check_share(dummies: &Dummies, kind: &str, class: &str, expected: f64) {
        let points = (0..1000_u64).map(|n| n * (u64::MAX / 999));
        let hits = points.filter(|point| class_of(dummies, kind, *point) == class).count();
        let share = f64::from(u32::try_from(hits).unwrap()) / 1000.0;
        assert!((share - expected).abs() < 0.01, "{class} has {share} of kind {kind:?}, not {expected}");
    }

    #[test]
    fn an_empty_store_has_dummies_of_today() {
        let dummies = dummies(&[]);
        assert_eq!(class_of(&dummies, "p", 0), TODAY);
        assert_eq!(class_of(&dummies, "p", u64::MAX), TODAY);
    }

    #[test]
    fn dummies_come_in_the_proportion_of_the_accounts() {
        let dummies = dummies(&[("p", BCRYPT, 750_000), ("p", TODAY, 250_000)]);
        check_share(&dummies, "p", BCRYPT, 0.75);
        check_share(&dummies, "p", TODAY, 0.25);
    }

    #[test]
    fn each_kind_has_its_own_proportion_and_who_names_none_that_of_all() {
        let dummies = dummies(&[("d", BCRYPT, 100), ("p", TODAY, 300)]);
        check_share(&dummies, "d", BCRYPT, 1.0);
        check_share(&dummies, "p", TODAY, 1.0);
        check_share(&dummies, ANY_KIND, BCRYPT, 0.25);
        check_share(&dummies, "a", TODAY, 1.0);
    }

    #[test]
    fn a_point_keeps_its_dummy_while_the_proportions_stay() {
        let dummies = dummies(&[("p", BCRYPT, 1), ("p", TODAY, 3)]);
        let before = dummies.at("p", 1 << 40).unwrap().0;
        weigh(&dummies, &[("p", TODAY, 3_000_000), ("p", BCRYPT, 1_000_000)]);
        assert_eq!(dummies.at("p", 1 << 40).unwrap().0, before);
    }

    #[test]
    fn what_is_of_no_known_class_counts_as_today_s() {
        let dummies = dummies(&[("p", "", 1), ("p", "?", 1), ("p", TODAY, 2), ("p", BCRYPT, 4)]);
        check_share(&dummies, "p", TODAY, 0.5);
    }
}
