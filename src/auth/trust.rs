//! Trusted devices, as their owner sees and revokes them.

use std::net::IpAddr;

use super::bearer::{Demand, Owner};
use super::change::changed;
use super::{Auth, Error};
use crate::domain::ids::AccountId;
use crate::store::Tx;
use crate::store::sessions::Live;
use crate::store::trusts::{self, Trust};

impl Auth {
    /// The account's trusted devices, oldest first.
    pub(crate) async fn trusted(&self, account: AccountId) -> Result<Vec<Trust>, Error> {
        let now = self.now();
        Ok(self.store.read(move |tx| Box::pin(trusts::list(tx, account, now))).await?)
    }

    /// Ends the trust in a device: it is asked for a second factor again.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn revoke_trust(&self, live: &Live, id: i64, source: IpAddr) -> Result<(), Error> {
        let unit = async move |tx: &mut Tx, owner: Owner| {
            if !trusts::revoke(tx, owner.live.account, id).await? {
                return Ok(Err(Error::NotFound));
            }
            changed(tx, "trust.revoke", owner.live.account, None, &owner.source, owner.now).await?;
            Ok(Ok(()))
        };
        self.as_owner(live, Demand::Session, source, move |tx, owner| {
            Box::pin(async move { unit(tx, owner).await })
        })
        .await
    }
}
