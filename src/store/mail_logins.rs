//! Logins by mailed words: what waits for its words, and the addresses that were proven by them. Each is known by the
//! hash of its token alone and leaves when it is used.

use super::{Error, Row, Tx, arg};
use crate::domain::account::{Account, Email};
use crate::domain::ids::AccountId;
use crate::domain::language::Language;
use crate::domain::time::Timestamp;

/// The hash of a token.
pub(crate) type Hash = [u8; 32];

const INSERT: &str = "INSERT INTO mail_logins (hash, words, email, language, tries, expires_at) VALUES ($1, $2, $3, $4, 0, $5)";
// One statement counts the try and locks the row: tries at once are tried one after the other.
const TRY: &str = "UPDATE mail_logins SET tries = tries + 1 WHERE hash = $1 AND expires_at > $2 \
     RETURNING words, email, language, tries";
const END: &str = "DELETE FROM mail_logins WHERE hash = $1";
const INSERT_AUTH: &str = "INSERT INTO mail_auths (hash, email, language, account_id, password_version, tries, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const FIND_AUTH: &str = "SELECT email, language, account_id, password_version, tries, expires_at FROM mail_auths \
     WHERE hash = $1 AND expires_at > $2";
const HOLD_AUTH: &str = "UPDATE mail_auths SET tries = tries WHERE hash = $1 AND expires_at > $2 \
     RETURNING email, language, account_id, password_version, tries, expires_at";
const TRIED_AUTH: &str = "UPDATE mail_auths SET tries = tries + $2 WHERE hash = $1";
const BEGIN_TRY: &str =
    "UPDATE mail_auths SET tries = tries + 1 WHERE hash = $1 AND expires_at > $2 AND tries < $3";
const END_AUTH: &str = "DELETE FROM mail_auths WHERE hash = $1";

const FORGET: &str = "DELETE FROM mail_logins WHERE lower(email) = $1";
const FORGET_AUTH: &str = "DELETE FROM mail_auths WHERE lower(email) = $1";

/// Words that were mailed and are waited for.
pub(crate) struct MailLogin {
    /// Their keyed hash.
    pub(crate) words: [u8; 32],
    pub(crate) email: Email,
    pub(crate) language: Language,
    /// How often they were tried, or are with this try.
    pub(crate) tries: u32,
}

/// An address that was proven.
#[derive(Clone, Debug)]
pub(crate) struct MailAuth {
    pub(crate) email: Email,
    pub(crate) language: Language,
    /// A sign-in that waits for its second factor: whose, and its `password_version` when it began.
    pub(crate) bound_to: Option<(AccountId, i64)>,
    /// Wrong second factors so far.
    pub(crate) tries: u32,
    pub(crate) expires_at: Timestamp,
}

impl MailAuth {
    /// The same, waiting for the second factor of an account.
    pub(crate) fn bound(self, account: &Account, expires_at: Timestamp) -> Self {
        Self { bound_to: Some((account.id, account.password_version)), expires_at, ..self }
    }
}

/// Keeps words that are mailed; their tries begin with none.
pub(crate) async fn insert(
    tx: &mut Tx,
    hash: &Hash,
    login: &MailLogin,
    expires_at: Timestamp,
) -> Result<(), Error> {
    let args = [
        arg(hash.as_slice()),
        arg(login.words.as_slice()),
        arg(login.email.as_given()),
        arg(login.language.tag()),
        arg(expires_at),
    ];
    tx.execute(INSERT, args).await.map(drop)
}

/// Begins a try: counts it, and makes this unit the only one that tries until it is committed.
pub(crate) async fn begin_try(tx: &mut Tx, hash: &Hash, now: Timestamp) -> Result<Option<MailLogin>, Error> {
    let Some(row) = tx.optional(TRY, [arg(hash.as_slice()), arg(now)]).await? else { return Ok(None) };
    let damaged = |_| Error::Failed("mail_logins: a damaged hash".to_owned());
    Ok(Some(MailLogin {
        words: row.get::<Vec<u8>>(0)?.try_into().map_err(damaged)?,
        email: read_email(&row, 1)?,
        language: Language::from_tag(row.get(2)?).unwrap_or_default(),
        tries: read_tries(&row, 3)?,
    }))
}

/// Forgets everything about an address. Not in a unit that holds an account's lock: who redeems locks the other way round.
pub(crate) async fn forget(tx: &mut Tx, email: &Email) -> Result<(), Error> {
    tx.execute(FORGET, [arg(email.key())]).await?;
    tx.execute(FORGET_AUTH, [arg(email.key())]).await.map(drop)
}

/// Ends the wait for words: they came, or were guessed at too often.
pub(crate) async fn end(tx: &mut Tx, hash: &Hash) -> Result<(), Error> {
    tx.execute(END, [arg(hash.as_slice())]).await.map(drop)
}

/// Keeps a proven address.
pub(crate) async fn insert_auth(tx: &mut Tx, hash: &Hash, auth: &MailAuth) -> Result<(), Error> {
    let args = [
        arg(hash.as_slice()),
        arg(auth.email.as_given()),
        arg(auth.language.tag()),
        arg(auth.bound_to.map(|(account, _)| account.0)),
        arg(auth.bound_to.map(|(_, version)| version)),
        arg(auth.tries),
        arg(auth.expires_at),
    ];
    tx.execute(INSERT_AUTH, args).await.map(drop)
}

/// The proven address that a token stands for.
pub(crate) async fn find_auth(tx: &mut Tx, hash: &Hash, now: Timestamp) -> Result<Option<MailAuth>, Error> {
    let row = tx.optional(FIND_AUTH, [arg(hash.as_slice()), arg(now)]).await?;
    row.map(|row| read_auth(&row)).transpose()
}

/// The same, and makes this unit the only one that works with the token until it is committed.
pub(crate) async fn hold_auth(tx: &mut Tx, hash: &Hash, now: Timestamp) -> Result<Option<MailAuth>, Error> {
    let row = tx.optional(HOLD_AUTH, [arg(hash.as_slice()), arg(now)]).await?;
    row.map(|row| read_auth(&row)).transpose()
}

/// Counts a wrong second factor.
pub(crate) async fn tried_auth(tx: &mut Tx, hash: &Hash) -> Result<(), Error> {
    tx.execute(TRIED_AUTH, [arg(hash.as_slice()), arg(1_i64)]).await.map(drop)
}

/// Takes one of `most` tries before its outcome is known; false when there is none left.
pub(crate) async fn take_try(tx: &mut Tx, hash: &Hash, most: u32, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(BEGIN_TRY, [arg(hash.as_slice()), arg(now), arg(most)]).await? == 1)
}

/// Gives a try back that was not wrong.
pub(crate) async fn give_try_back(tx: &mut Tx, hash: &Hash) -> Result<(), Error> {
    tx.execute(TRIED_AUTH, [arg(hash.as_slice()), arg(-1_i64)]).await.map(drop)
}

/// Spends a token: of any number of racing calls exactly one returns true.
pub(crate) async fn end_auth(tx: &mut Tx, hash: &Hash) -> Result<bool, Error> {
    Ok(tx.execute(END_AUTH, [arg(hash.as_slice())]).await? == 1)
}

fn read_auth(row: &Row) -> Result<MailAuth, Error> {
    let (account, version): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
    Ok(MailAuth {
        email: read_email(row, 0)?,
        language: Language::from_tag(row.get(1)?).unwrap_or_default(),
        bound_to: account.map(AccountId).zip(version),
        tries: read_tries(row, 4)?,
        expires_at: Timestamp(row.get(5)?),
    })
}

fn read_email(row: &Row, column: usize) -> Result<Email, Error> {
    let text: String = row.get(column)?;
    Email::parse(&text).ok_or_else(|| Error::Failed("mail_logins: a damaged address".to_owned()))
}

fn read_tries(row: &Row, column: usize) -> Result<u32, Error> {
    Ok(u32::try_from(row.get::<i64>(column)?).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_mailed_to_an_address_is_forgotten_without_a_look_at_all_of_it() {
        super::super::plans::check(&[FORGET, FORGET_AUTH]).await;
    }
}
