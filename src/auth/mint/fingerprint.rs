//! Devices that are known by what their clients say of themselves. That is easily guessed, so guesses are counted for
//! each account; the only consequence is that every device is asked for a second factor, so it keeps no owner out
//! (docs/protocol-http.md, "Trusting a device").

use super::Order;
use crate::domain::account::Account;
use crate::domain::secret::Fingerprint;
use crate::mail::{self, Letter};
use crate::store::{self, Tx, audit, fingerprints, lapse, trusts};

impl Order {
    /// Whether the account trusts the device, and its fingerprints count now.
    pub(super) async fn knows_device(
        &self,
        tx: &mut Tx,
        account: &Account,
        fingerprint: &Fingerprint,
    ) -> Result<bool, store::Error> {
        if self.ignores_fingerprints(fingerprints::find(tx, account.id).await?) {
            return Ok(false);
        }
        for hash in self.device_hashes(account, fingerprint) {
            if trusts::used(tx, account.id, &hash, &self.login.device.ip, self.now).await? {
                fingerprints::forgive(tx, account.id).await?;
                return Ok(true);
            }
            lapse::note(tx, lapse::Redeemable::Trust(hash), self.now).await?;
        }
        self.count_guess(tx, account).await?;
        Ok(false)
    }

    /// For a while after too many guesses; after very many, until a second factor was completed.
    fn ignores_fingerprints(&self, guesses: fingerprints::Guesses) -> bool {
        let policy = &self.factor.policy;
        // A longer rest was written before the clock was set back.
        let rests = |until: crate::domain::time::Timestamp| {
            until > self.now && until.since(self.now) <= policy.block_for
        };
        guesses.run >= policy.disable_after || guesses.ignored_until.is_some_and(rests)
    }

    async fn count_guess(&self, tx: &mut Tx, account: &Account) -> Result<(), store::Error> {
        let (run, policy) = (fingerprints::guessed(tx, account.id).await?, &self.factor.policy);
        // Once a run is that long, each further guess costs as much time as the first ten.
        if run < policy.after {
            return Ok(());
        }
        fingerprints::ignore(tx, account.id, self.now.plus(policy.block_for)).await?;
        // The guesses between are refused logins, which share a row.
        if !run.is_multiple_of(policy.after) {
            return Ok(());
        }
        let source = &self.factor.source;
        let entry = audit::Entry {
            event: "fingerprints.ignored",
            outcome: "ok",
            account: Some(account.id),
            device: None,
            pairing: None,
            source,
        };
        audit::record(tx, entry, self.now).await?;
        mail::notify(tx, account.id, Letter::FingerprintsGuessed { source }, self.now).await
    }
}
