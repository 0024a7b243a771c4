//! Finding accounts by address or number, also where a surface names no kind.

use super::{Auth, Error};
use crate::domain::account::{Account, Kind};
use crate::domain::factor::Method;
use crate::domain::ids::AccountId;
use crate::domain::phone::Identifier;
use crate::domain::time::Timestamp;
use crate::store::{self, Tx, accounts, factors};

/// What [`Auth::find`] does, inside of a unit of work.
pub(super) async fn find(
    tx: &mut Tx,
    kinds: &[Kind],
    kind: Option<&str>,
    who: &Identifier,
) -> Result<Option<Account>, store::Error> {
    // What could be no kind's name is looked for nowhere: not every store takes every text.
    if kind.is_some_and(|kind| Kind::parse(kind).is_none()) {
        return Ok(None);
    }
    let found = match (kind, who) {
        (Some(kind), Identifier::Email(email)) => return accounts::by_email(tx, kind, email).await,
        (kind, Identifier::Phone(phone)) => accounts::by_phone(tx, kind, phone).await?,
        (None, Identifier::Email(_)) | (_, Identifier::Nobodys) => {
            accounts::by_address(tx, who.key()).await?
        }
    };
    Ok(found.into_iter().min_by_key(|account| rank(kinds, account)))
}

/// Which of several accounts is meant; the least is. Among verified ones the kinds' order decides. Among the others it
/// must not: a stranger could register somebody's address under an earlier kind. There the oldest comes first, and what
/// an operator made before what anybody could register.
fn rank(kinds: &[Kind], account: &Account) -> (bool, bool, usize, Timestamp, i64) {
    let place = kinds.iter().position(|kind| kind.id == account.kind).unwrap_or(usize::MAX);
    let place = if account.verified { place } else { 0 };
    (!account.verified, !account.verified && !account.vouched, place, account.created_at, account.id.0)
}

impl Auth {
    /// The account that is named so: of this kind, or else of the kind that is meant by the name alone. There, and
    /// where several have one number, verified accounts come before vouched ones, these before self-registered ones;
    /// then the kinds' order among verified ones, age among the others (docs/protocol.md, "Which account is meant"). A
    /// text that names no account is looked up like any other.
    pub(super) async fn find(&self, kind: Option<&str>, who: &Identifier) -> Result<Option<Account>, Error> {
        let (kind, who) = (kind.map(str::to_owned), who.clone());
        let kinds = self.config.accounts.kinds.clone();
        let unit = async move |tx: &mut Tx| find(tx, &kinds, kind.as_deref(), &who).await;
        Ok(self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?)
    }

    /// Whether there is such an account, for the one route that may be told to say so.
    pub(crate) async fn is_known(&self, kind: Option<&str>, email: &str) -> Result<bool, Error> {
        Ok(self.find(kind, &Identifier::address(email)).await?.is_some())
    }

    /// What is on for an account.
    pub(crate) async fn methods(&self, account: AccountId) -> Result<Vec<Method>, Error> {
        Ok(self.store.read(move |tx| Box::pin(factors::methods(tx, account))).await?)
    }
}
