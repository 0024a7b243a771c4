//! An account with what is on for it, as its owner's clients show it.

use super::{Auth, Error};
use crate::domain::account::Account;
use crate::domain::factor::Method;
use crate::store::sessions::Live;
use crate::store::totp::{self, Which};
use crate::store::{Tx, accounts, factors};

/// An account with what is on for it, as clients show it.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) account: Account,
    pub(crate) methods: Vec<Method>,
    /// Whether an authenticator app is being set up.
    pub(crate) sets_app_up: bool,
}

impl Profile {
    /// Whether a second factor is on.
    pub(crate) fn two_factor(&self) -> bool {
        self.methods.iter().any(|method| method.turns_on())
    }

    /// Whether a method is on.
    pub(crate) fn has(&self, method: Method) -> bool {
        self.methods.contains(&method)
    }
}

impl Auth {
    /// The account of a session and what is on for it.
    pub(crate) async fn profile(&self, live: &Live) -> Result<Profile, Error> {
        let id = live.account;
        let unit = async move |tx: &mut Tx| {
            let methods = factors::methods(tx, id).await?;
            let sets_app_up = totp::secret(tx, id, Which::Pending).await?.is_some();
            Ok(accounts::by_id(tx, id).await?.map(|account| Profile { account, methods, sets_app_up }))
        };
        let found = self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        found.ok_or(Error::NotAuthenticated)
    }
}
