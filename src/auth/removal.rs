//! Removing an account: what hangs on its row goes with it, and what is kept by other names is looked for and goes too.

use super::factors::changed;
use super::mailed_code::Purpose;
use crate::crypto::seal::RootKey;
use crate::domain::account::Account;
use crate::domain::time::Timestamp;
use crate::store::{self, Tx, accounts, hits, mailed_codes, pairings};

/// Removes an account and everything kept about it. What stays: its rows of the audit trail, with its number, which is
/// never given again, and where each act came from. Who breaks into an account and removes it must not take the traces
/// along. Letters on their way are delivered, and leave the outbox with that.
pub(super) async fn remove(
    tx: &mut Tx,
    root: &RootKey,
    account: &Account,
    source: &str,
    now: Timestamp,
) -> Result<(), store::Error> {
    pairings::drop_asks(tx, account.id, now).await?;
    forget_codes(tx, root, account).await?;
    hits::forget(tx, account.id).await?;
    changed(tx, "account.remove", account.id, None, source, now).await?;
    accounts::remove(tx, account.id).await
}

/// A login code belongs to the address: with an account of another kind it stays.
async fn forget_codes(tx: &mut Tx, root: &RootKey, account: &Account) -> Result<(), store::Error> {
    mailed_codes::forget(tx, &Purpose::Enable(account.uuid).subject(root)).await?;
    let is_last = accounts::by_address(tx, &account.email).await?.len() <= 1;
    if is_last {
        mailed_codes::forget(tx, &Purpose::Login(&account.email).subject(root)).await
    } else {
        Ok(())
    }
}
