//! The first proof of an address (docs/protocol.md, "The first proof of an address"). Registration does not prove an
//! address, so the phones, factors and sessions of such an account may be a stranger's. A proof beside the password
//! ends none of them and lists them in a letter; a proof without the password ends them all.

use super::change::changed;
use super::mailed_code;
use crate::crypto::password;
use crate::domain::account::Account;
use crate::domain::time::Timestamp;
use crate::mail::{self, Bound, Letter};
use crate::store::{self, Tx};
use crate::store::{
    accounts, challenges, devices, factors, fingerprints, hits, pairings, sessions, tickets, totp, trusts,
};

/// Records a proof of the address by a client that has also proven the password: in its session, or beside it. Nothing
/// ends. Runs under the account's lock.
pub(super) async fn with_password(
    tx: &mut Tx,
    account: &Account,
    source: &str,
    now: Timestamp,
) -> Result<(), store::Error> {
    if account.has_trusted_address() {
        return accounts::verify(tx, account.id, now).await;
    }
    let bound = bound(tx, account, now).await?;
    accounts::verify(tx, account.id, now).await?;
    mail::notify(tx, account.id, Letter::AddressProven { bound: &bound, source }, now).await
}

/// Records a proof of the address by a client that has not proven the password. Unless the address was proven before, or
/// an operator vouches for the account, this ends sessions, phones, factors, codes and trust, and replaces the password
/// by a hash that matches none. Returns the changed account. Runs under the account's lock.
pub(super) async fn without_password(
    tx: &mut Tx,
    account: Account,
    source: &str,
    now: Timestamp,
) -> Result<Account, store::Error> {
    accounts::verify(tx, account.id, now).await?;
    if account.has_trusted_address() {
        return Ok(account);
    }
    end_everything(tx, &account, now).await?;
    changed(tx, "account.reclaim", account.id, None, source, now).await?;
    mail::notify(tx, account.id, Letter::Reclaimed { source }, now).await?;
    Ok(accounts::by_id(tx, account.id).await?.unwrap_or(account))
}

/// Ends whatever somebody could get into the account with, or keep it locked with. What comes later and lets somebody in
/// has its place here.
async fn end_everything(tx: &mut Tx, account: &Account, now: Timestamp) -> Result<(), store::Error> {
    let id = account.id;
    // Of the class that the old hash had: its place in the proportions of the dummies stays the same.
    let class = password::class(&account.password_hash);
    let nobodys = class.and_then(|class| password::dummy(&class));
    let nobodys = nobodys.ok_or_else(|| store::Error::Failed("a damaged password hash".to_owned()))?;
    accounts::set_password(tx, id, &nobodys, now).await?;
    // Refresh tokens hang on the sessions, approvals on the devices.
    sessions::revoke_all(tx, id, now).await?;
    devices::revoke_all(tx, id, now).await?;
    pairings::drop_asks(tx, id, now).await?;
    tickets::kill(tx, id, now).await?;
    factors::turn_all_off(tx, id).await?;
    factors::forget_failures(tx, id).await?;
    totp::forget(tx, id).await?;
    trusts::revoke_all(tx, id).await?;
    challenges::end_all(tx, id).await?;
    mailed_code::forget(tx, account).await?;
    hits::forget(tx, id).await?;
    fingerprints::forget(tx, id).await?;
    accounts::set_block(tx, id, None).await
}

/// What the owner has to know of: it may not be the owner's.
async fn bound(tx: &mut Tx, account: &Account, now: Timestamp) -> Result<Bound, store::Error> {
    let (phones, devices): (Vec<_>, Vec<_>) =
        devices::list(tx, account.id, now).await?.into_iter().partition(|device| device.approving);
    let names = |devices: Vec<crate::domain::device::Device>| {
        devices.into_iter().map(|device| device.facts.name).collect()
    };
    let trusted = trusts::list(tx, account.id, now).await?.into_iter().map(|trust| trust.name).collect();
    let methods = factors::methods(tx, account.id).await?;
    Ok(Bound { phones: names(phones), devices: names(devices), trusted, methods })
}
