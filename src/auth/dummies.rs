//! What an address without an account is checked against: a hash of the classes that the accounts have, as often as they.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Auth, Error};
use crate::crypto::password;
use crate::domain::account::{Email, PasswordHash};
use crate::store::{Tx, password_classes};

/// A dummy for every class of stored passwords.
///
/// Each address is a point on a line, by a keyed hash, and the classes are stretches of that line, by name, as long as
/// their accounts are many. So an address stays with its class while the proportions stay; and when accounts are hashed
/// anew at their logins, addresses without an account move over to today's class at the same pace.
pub(super) struct Dummies {
    /// The class of what is hashed today.
    current: String,
    line: RwLock<Arc<Line>>,
}

struct Line {
    stretches: Vec<Stretch>,
    length: u64,
}

struct Stretch {
    class: String,
    /// Where it ends.
    end: u64,
    dummy: PasswordHash,
}

impl Dummies {
    /// With today's class alone.
    pub(super) fn new(current: String) -> Result<Self, Error> {
        let nothing = Line { stretches: Vec::new(), length: 0 };
        let dummies = Self { current, line: RwLock::new(Arc::new(nothing)) };
        dummies.weigh(&[])?;
        Ok(dummies)
    }

    /// Takes over how many accounts there are of each class. Those whose class is not known count as today's.
    fn weigh(&self, counts: &[(String, u64)]) -> Result<(), Error> {
        let old = self.line.read().clone();
        let mut dummies: BTreeMap<&str, (u64, PasswordHash)> = BTreeMap::new();
        for (class, count) in counts.iter().map(|(class, count)| (class.as_str(), *count)) {
            let known = old.stretches.iter().find(|stretch| stretch.class == class);
            let dummy = known.map(|stretch| stretch.dummy.clone()).or_else(|| password::dummy(class));
            let (class, dummy) = match dummy {
                Some(dummy) => (class, dummy),
                None => (self.current.as_str(), self.of_today()?),
            };
            dummies.entry(class).or_insert((0, dummy)).0 += count;
        }
        if dummies.is_empty() {
            dummies.insert(&self.current, (1, self.of_today()?));
        }
        let mut length = 0;
        let stretches = dummies.into_iter().map(|(class, (count, dummy))| {
            length += count;
            Stretch { class: class.to_owned(), end: length, dummy }
        });
        let stretches = stretches.collect();
        *self.line.write() = Arc::new(Line { stretches, length });
        Ok(())
    }

    /// The dummy at a point, in parts of 2^64 of the line.
    fn at(&self, point: u64) -> Option<PasswordHash> {
        let line = self.line.read().clone();
        let place = (u128::from(point) * u128::from(line.length)) >> 64;
        let stretch = line.stretches.iter().find(|stretch| place < u128::from(stretch.end));
        stretch.map(|stretch| stretch.dummy.clone())
    }

    fn of_today(&self) -> Result<PasswordHash, Error> {
        password::dummy(&self.current).ok_or_else(|| Error::internal("no dummy for today's password hashes"))
    }
}

impl Auth {
    /// What a password is checked against when this address has no account of this kind.
    pub(super) fn dummy(&self, kind: &str, email: &Email) -> Result<PasswordHash, Error> {
        let mac = self.root.mac("dummy", &[kind.as_bytes(), email.key().as_bytes()]);
        let point = mac.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        point.and_then(|point| self.passwords.dummies.at(point)).ok_or_else(|| Error::internal("no dummy"))
    }

    /// Counts the classes of the stored passwords, so that dummies come in the same proportion.
    pub(crate) async fn weigh_dummies(&self) -> Result<(), Error> {
        let count = async |tx: &mut Tx| password_classes::count(tx).await;
        let mut counts = self.store.read(move |tx| Box::pin(async move { count(tx).await })).await?;
        if counts.iter().any(|(class, _)| class.is_empty()) {
            // Batch after batch, each a unit of its own, so that others have their turn in between.
            while self.store.write(|tx| Box::pin(password_classes::classify(tx))).await?
                >= password_classes::BATCH
            {}
            counts = self.store.read(move |tx| Box::pin(async move { count(tx).await })).await?;
        }
        self.passwords.dummies.weigh(&counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: &str = "$argon2id$v=19$m=64,t=1,p=1";
    const BCRYPT: &str = "$2b$10";

    fn class_at(dummies: &Dummies, point: u64) -> String {
        password::class(&dummies.at(point).unwrap()).unwrap()
    }

    /// The share of `class` among points spread evenly.
    fn share(dummies: &Dummies, class: &str) -> f64 {
        let points = (0..1000_u64).map(|n| n * (u64::MAX / 999));
        f64::from(u32::try_from(points.filter(|point| class_at(dummies, *point) == class).count()).unwrap())
            / 1000.0
    }

    #[test]
    fn an_empty_store_has_dummies_of_today() {
        let dummies = Dummies::new(TODAY.to_owned()).unwrap();
        assert_eq!(class_at(&dummies, 0), TODAY);
        assert_eq!(class_at(&dummies, u64::MAX), TODAY);
    }

    #[test]
    fn dummies_come_in_the_proportion_of_the_accounts() {
        let dummies = Dummies::new(TODAY.to_owned()).unwrap();
        dummies.weigh(&[(BCRYPT.to_owned(), 750_000), (TODAY.to_owned(), 250_000)]).unwrap();
        assert!((share(&dummies, BCRYPT) - 0.75).abs() < 0.01);
        assert!((share(&dummies, TODAY) - 0.25).abs() < 0.01);
    }

    #[test]
    fn a_point_keeps_its_dummy_while_the_proportions_stay() {
        let dummies = Dummies::new(TODAY.to_owned()).unwrap();
        dummies.weigh(&[(BCRYPT.to_owned(), 1), (TODAY.to_owned(), 3)]).unwrap();
        let before = dummies.at(1 << 40).unwrap().0;
        dummies.weigh(&[(TODAY.to_owned(), 3_000_000), (BCRYPT.to_owned(), 1_000_000)]).unwrap();
        assert_eq!(dummies.at(1 << 40).unwrap().0, before);
    }

    #[test]
    fn what_is_of_no_known_class_counts_as_today_s() {
        let dummies = Dummies::new(TODAY.to_owned()).unwrap();
        let counts = [("", 1), ("?", 1), (TODAY, 2), (BCRYPT, 4)];
        dummies.weigh(&counts.map(|(class, count)| (class.to_owned(), count))).unwrap();
        assert!((share(&dummies, TODAY) - 0.5).abs() < 0.01);
    }
}
