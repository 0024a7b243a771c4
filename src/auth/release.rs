//! What ends together with a second factor.

use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::store::sessions::Live;
use crate::store::{self, Tx, devices, factors, pairings, sessions, tickets, totp, trusts};

/// Takes the right to approve from every phone, with all that hangs on it.
pub(super) async fn release_phones(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), store::Error> {
    for device in devices::list(tx, account, now).await? {
        if device.approving {
            sessions::shorten(tx, device.id, until).await?;
        }
    }
    devices::stop_all_approving(tx, account).await?;
    pairings::drop_asks(tx, account, now).await?;
    tickets::kill(tx, account, now).await
}

/// What hangs on second factors ends with the last of them.
pub(super) async fn all_off(tx: &mut Tx, live: &Live) -> Result<(), store::Error> {
    factors::turn_all_off(tx, live.account).await?;
    totp::forget(tx, live.account).await?;
    trusts::revoke_all(tx, live.account).await
}
