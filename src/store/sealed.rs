//! Everything that the store holds sealed, for the change to another seal key.

use super::seals::NAME;
use super::{Error, Tx, arg, outbox};
use crate::crypto::seals::{MAIL, SIGNING_KEY, TOTP};

const SECRETS: &str = "SELECT name, sealed FROM server_secrets WHERE name <> $1 ORDER BY name";
const SIGNING: &str = "SELECT kid, sealed FROM signing_keys WHERE sealed IS NOT NULL ORDER BY kid";
/// In windows, so that no statement takes longer the more apps there are.
const TOTPS: &str = "SELECT account_id, sealed, pending FROM totp_secrets WHERE (account_id, pending) > ($1, $2) \
     ORDER BY account_id, pending LIMIT 1000";
const SET_SECRET: &str = "UPDATE server_secrets SET sealed = $3 WHERE name = $1 AND sealed = $2";
const SET_SIGNING: &str = "UPDATE signing_keys SET sealed = $3 WHERE kid = $1 AND sealed = $2";
const SET_TOTP: &str = "UPDATE totp_secrets SET sealed = $3 WHERE account_id = $1 AND sealed = $2";

/// Something that is sealed, and where.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    place: Place,
    pub(crate) sealed: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Place {
    Secret(String),
    Signing(String),
    Totp(i64),
    Mail(i64),
}

impl Sealed {
    /// What it was sealed for.
    pub(crate) fn purpose(&self) -> &str {
        match &self.place {
            Place::Secret(name) => name,
            Place::Signing(_) => SIGNING_KEY,
            Place::Totp(_) => TOTP,
            Place::Mail(_) => MAIL,
        }
    }

    /// Whether it is a mail on its way, which is over within a day and worth no more than that.
    pub(crate) fn is_mail(&self) -> bool {
        matches!(self.place, Place::Mail(_))
    }

    /// Which one it is, for an operator.
    pub(crate) fn which(&self) -> String {
        match &self.place {
            Place::Secret(name) => format!("the server's secret {name:?}"),
            Place::Signing(kid) => format!("the signing key {kid}"),
            Place::Totp(account) => format!("the authenticator app of account {account}"),
            Place::Mail(id) => format!("the mail {id}"),
        }
    }
}

/// Everything that is sealed. Only after [`super::seals::lock`], so that nothing is added meanwhile.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Sealed>, Error> {
    let mut all = Vec::new();
    for row in tx.all(SECRETS, [arg(NAME)]).await? {
        all.push(Sealed { place: Place::Secret(row.get(0)?), sealed: row.get(1)? });
    }
    for row in tx.all(SIGNING, []).await? {
        all.push(Sealed { place: Place::Signing(row.get(0)?), sealed: row.get(1)? });
    }
    let mut last = (0, 0);
    loop {
        let rows = tx.all(TOTPS, [arg(last.0), arg(last.1)]).await?;
        let Some(end) = rows.last() else { break };
        last = (end.get::<i64>(0)?, end.get::<i64>(2)?);
        for row in &rows {
            all.push(Sealed { place: Place::Totp(row.get(0)?), sealed: row.get(1)? });
        }
    }
    for (id, sealed) in outbox::sealed(tx).await? {
        all.push(Sealed { place: Place::Mail(id), sealed });
    }
    Ok(all)
}

/// Puts `fresh` in its place, wherever in its table that has moved; not where it was taken away meanwhile.
pub(crate) async fn replace(tx: &mut Tx, old: &Sealed, fresh: &[u8]) -> Result<(), Error> {
    let (sql, key) = match &old.place {
        Place::Secret(name) => (SET_SECRET, arg(name.as_str())),
        Place::Signing(kid) => (SET_SIGNING, arg(kid.as_str())),
        // By account and not by `pending`: an app that is confirmed at this moment leaves its row's key behind.
        Place::Totp(account) => (SET_TOTP, arg(*account)),
        Place::Mail(id) => return outbox::reseal(tx, *id, &old.sealed, fresh).await,
    };
    tx.execute(sql, [key, arg(old.sealed.as_slice()), arg(fresh)]).await.map(drop)
}
