//! Accounts: who may log in, and whether somebody stopped them.

use super::password_classes::{class_of, moved};
use super::{Arg, Error, Row, Tx, arg};
use crate::domain::account::{Account, Email, PasswordHash, SignIn, SignIns};
use crate::domain::ids::AccountId;
use crate::domain::language::Language;
use crate::domain::phone::Phone;
use crate::domain::time::Timestamp;

macro_rules! columns {
    () => {
        "id, uuid, kind, email, name, verified, disabled_at, password, password_version, blocked_at, blocked_until, \
         language, image, created_at, updated_at, phone, verified_at, sign_ins, signed_in_at, signed_in_ip, \
         signed_in_before_at, signed_in_before_ip, failed_attempts, remembered_at, mail_barred, vouched"
    };
}

/// The beginning of a statement whose rows are [`COLUMNS`] arguments and the first `password_version`.
macro_rules! insert_into {
    () => {
        "INSERT INTO accounts (uuid, kind, email, email_key, name, phone, password, password_class, verified, \
         language, image, created_at, updated_at, verified_at, vouched, password_version) VALUES "
    };
}
pub(super) use insert_into;

/// How many arguments a row has.
pub(super) const COLUMNS: usize = 15;

const INSERT: &str = concat!(
    insert_into!(),
    "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1) ON CONFLICT DO NOTHING RETURNING id"
);
const BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM accounts WHERE kind = $1 AND email_key = $2");
const BY_ADDRESS: &str = concat!("SELECT ", columns!(), " FROM accounts WHERE email_key = $1 ORDER BY id");
const BY_PHONE: &str =
    concat!("SELECT ", columns!(), " FROM accounts WHERE phone = $1 AND (kind = $2 OR $2 = '') ORDER BY id");
const BY_ID: &str = concat!("SELECT ", columns!(), " FROM accounts WHERE id = $1");
const NOTICE_ADDRESS: &str =
    "SELECT email, language FROM accounts WHERE id = $1 AND (verified = 1 OR vouched = 1)";
/// In windows, so that no statement takes longer the more accounts there are.
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM accounts WHERE (kind, email_key) > ($1, $2) ORDER BY kind, email_key LIMIT 1000"
);
const DISABLE: &str =
    "UPDATE accounts SET disabled_at = COALESCE(disabled_at, $2), updated_at = $2 WHERE id = $1";
const ENABLE: &str = "UPDATE accounts SET disabled_at = NULL, updated_at = $2 WHERE id = $1";
const SET_PASSWORD: &str = "UPDATE accounts SET password = $2, password_class = $4, password_version = password_version + 1, updated_at = $3 WHERE id = $1";
const CLASS: &str = "SELECT kind, password_class FROM accounts WHERE id = $1";
const UPGRADE: &str =
    "UPDATE accounts SET password = $3, password_class = $4 WHERE id = $1 AND password = $2 RETURNING kind";
const BLOCK: &str = "UPDATE accounts SET blocked_at = $2, blocked_until = $3 WHERE id = $1";
const VERIFY: &str =
    "UPDATE accounts SET verified = 1, verified_at = $2, updated_at = $2 WHERE id = $1 AND verified = 0";
const SIGNED_IN: &str = "UPDATE accounts SET sign_ins = sign_ins + 1, failed_attempts = 0, mail_barred = 0, \
     signed_in_before_at = signed_in_at, signed_in_before_ip = signed_in_ip, signed_in_at = $2, signed_in_ip = $3 \
     WHERE id = $1";
const BAR_MAIL: &str = "UPDATE accounts SET mail_barred = 1 WHERE id = $1";
const PASSWORD_FAILED: &str = "UPDATE accounts SET failed_attempts = failed_attempts + 1 WHERE id = $1";
/// For PostgreSQL.
const PASSWORD_FAILED_UNLESS_HELD: &str = "UPDATE accounts SET failed_attempts = failed_attempts + 1 \
     WHERE id = (SELECT id FROM accounts WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED)";
const REMEMBER: &str = "UPDATE accounts SET remembered_at = $2 WHERE id = $1";
const SET_LANGUAGE: &str = "UPDATE accounts SET language = $2 WHERE id = $1 AND language <> $2";
const LOCK: &str = "UPDATE accounts SET updated_at = updated_at WHERE id = $1";
const REMOVE: &str = "DELETE FROM accounts WHERE id = $1 RETURNING kind, password_class";

/// An account on its way into the store.
pub(crate) struct New {
    pub(crate) uuid: uuid::Uuid,
    pub(crate) kind: String,
    pub(crate) email: Email,
    pub(crate) name: String,
    pub(crate) phone: Option<String>,
    pub(crate) password: PasswordHash,
    pub(crate) verified: bool,
    pub(crate) vouched: bool,
    pub(crate) language: Option<Language>,
    pub(crate) image: String,
}

/// Adds an account; `None` when the address is taken within its kind.
pub(crate) async fn insert(tx: &mut Tx, new: New, now: Timestamp) -> Result<Option<AccountId>, Error> {
    let (kind, class) = (new.kind.clone(), class_of(&new.password));
    let Some(row) = tx.optional(INSERT, row_of(new, now, now)).await? else { return Ok(None) };
    moved(tx, &kind, None, Some(class), now).await?;
    row.get(0).map(AccountId).map(Some)
}

/// The arguments of a row in the order of the statement.
pub(super) fn row_of(new: New, created: Timestamp, now: Timestamp) -> [Arg; COLUMNS] {
    [
        arg(new.uuid.to_string()),
        arg(new.kind),
        arg(new.email.as_given()),
        arg(new.email.key()),
        arg(new.name),
        arg(new.phone),
        arg(new.password.0.as_str()),
        arg(class_of(&new.password)),
        arg(new.verified),
        arg(new.language.map_or("", Language::tag)),
        arg(new.image),
        arg(created),
        arg(now),
        arg(new.verified.then_some(now)),
        arg(new.vouched),
    ]
}

pub(crate) async fn by_email(tx: &mut Tx, kind: &str, email: &Email) -> Result<Option<Account>, Error> {
    tx.optional(BY_EMAIL, [arg(kind), arg(email.key())]).await?.map(|row| read(&row)).transpose()
}

/// The accounts of every kind with the address of this key.
pub(crate) async fn by_address(tx: &mut Tx, key: &str) -> Result<Vec<Account>, Error> {
    tx.all(BY_ADDRESS, [arg(key)]).await?.iter().map(read).collect()
}

/// The accounts, of one kind or of all, with this telephone number: it need not be one person's alone.
pub(crate) async fn by_phone(tx: &mut Tx, kind: Option<&str>, phone: &Phone) -> Result<Vec<Account>, Error> {
    tx.all(BY_PHONE, [arg(phone.as_str()), arg(kind.unwrap_or_default())]).await?.iter().map(read).collect()
}

pub(crate) async fn by_id(tx: &mut Tx, id: AccountId) -> Result<Option<Account>, Error> {
    tx.optional(BY_ID, [arg(id.0)]).await?.map(|row| read(&row)).transpose()
}

/// Where notices of the account go and in which language; `None` for an address that was not proven and that no operator
/// vouches for.
pub(crate) async fn notice_address(tx: &mut Tx, id: AccountId) -> Result<Option<(String, Language)>, Error> {
    let row = tx.optional(NOTICE_ADDRESS, [arg(id.0)]).await?;
    row.map(|row| Ok((row.get(0)?, Language::from_tag(row.get(1)?).unwrap_or_default()))).transpose()
}

/// All accounts, by kind and address.
pub(crate) async fn list(tx: &mut Tx) -> Result<Vec<Account>, Error> {
    let (mut all, mut last): (Vec<Account>, _) = (Vec::new(), (String::new(), String::new()));
    loop {
        let rows = tx.all(LIST, [arg(last.0), arg(last.1)]).await?;
        for row in &rows {
            all.push(read(row)?);
        }
        match all.last() {
            Some(end) if !rows.is_empty() => last = (end.kind.clone(), end.email.key().to_owned()),
            _ => return Ok(all),
        }
    }
}

/// Makes this unit the only one that works on the account until it is committed, and reads it. What must not be
/// guessed at in parallel (codes) or counted twice (asks) begins here.
pub(crate) async fn lock(tx: &mut Tx, id: AccountId) -> Result<Option<Account>, Error> {
    tx.execute(LOCK, [arg(id.0)]).await?;
    by_id(tx, id).await
}

/// Stops an account, or starts it again; a repeated stop keeps the time of the first.
pub(crate) async fn set_disabled(
    tx: &mut Tx,
    id: AccountId,
    disabled: bool,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(if disabled { DISABLE } else { ENABLE }, [arg(id.0), arg(now)]).await.map(drop)
}

pub(crate) async fn set_password(
    tx: &mut Tx,
    id: AccountId,
    hash: &PasswordHash,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(row) = tx.optional(CLASS, [arg(id.0)]).await? else { return Ok(()) };
    let (kind, old, new): (String, String, String) = (row.get(0)?, row.get(1)?, class_of(hash));
    tx.execute(SET_PASSWORD, [arg(id.0), arg(hash.0.as_str()), arg(now), arg(new.as_str())]).await?;
    moved(tx, &kind, Some(old), Some(new), now).await
}

/// Replaces a hash by one of today's cost, unless the password changed meanwhile.
pub(crate) async fn upgrade_password(
    tx: &mut Tx,
    id: AccountId,
    old: &PasswordHash,
    new: &PasswordHash,
    now: Timestamp,
) -> Result<(), Error> {
    let args = [arg(id.0), arg(old.0.as_str()), arg(new.0.as_str()), arg(class_of(new))];
    let Some(row) = tx.optional(UPGRADE, args).await? else { return Ok(()) };
    moved(tx, row.get(0)?, Some(class_of(old)), Some(class_of(new)), now).await
}

/// Blocks second factors over `[from, until)`, or with `None` unblocks them.
pub(crate) async fn set_block(
    tx: &mut Tx,
    id: AccountId,
    block: Option<(Timestamp, Timestamp)>,
) -> Result<(), Error> {
    let args = [arg(id.0), arg(block.map(|b| b.0)), arg(block.map(|b| b.1))];
    tx.execute(BLOCK, args).await.map(drop)
}

/// Notes that the address is its owner's: a code that was mailed to it came back.
pub(crate) async fn verify(tx: &mut Tx, id: AccountId, now: Timestamp) -> Result<(), Error> {
    tx.execute(VERIFY, [arg(id.0), arg(now)]).await.map(drop)
}

/// Notes a completed login.
pub(crate) async fn signed_in(tx: &mut Tx, id: AccountId, ip: &str, now: Timestamp) -> Result<(), Error> {
    tx.execute(SIGNED_IN, [arg(id.0), arg(now), arg(ip)]).await.map(drop)
}

/// Makes mail worth nothing as a second factor until the next completed login.
pub(crate) async fn bar_mail(tx: &mut Tx, id: AccountId) -> Result<(), Error> {
    tx.execute(BAR_MAIL, [arg(id.0)]).await.map(drop)
}

/// Counts a wrong password, unless another unit holds the account: whether it was counted. Nothing follows from the count:
/// who could make something of it could lock others out.
pub(crate) async fn password_failed(tx: &mut Tx, id: AccountId) -> Result<bool, Error> {
    let sql = if tx.locks_rows() { PASSWORD_FAILED_UNLESS_HELD } else { PASSWORD_FAILED };
    Ok(tx.execute(sql, [arg(id.0)]).await? == 1)
}

/// Counts a wrong password that could not be counted at once.
pub(crate) async fn password_failed_meanwhile(tx: &mut Tx, id: AccountId) -> Result<(), Error> {
    tx.execute(PASSWORD_FAILED, [arg(id.0)]).await.map(drop)
}

/// Notes that the owner asked to be remembered on a device.
pub(crate) async fn remember(tx: &mut Tx, id: AccountId, now: Timestamp) -> Result<(), Error> {
    tx.execute(REMEMBER, [arg(id.0), arg(now)]).await.map(drop)
}

/// Notes the language of the account's mail.
pub(crate) async fn set_language(tx: &mut Tx, id: AccountId, language: Language) -> Result<(), Error> {
    tx.execute(SET_LANGUAGE, [arg(id.0), arg(language.tag())]).await.map(drop)
}

/// Removes an account and, by the foreign keys, all that hangs on it.
pub(crate) async fn remove(tx: &mut Tx, id: AccountId, now: Timestamp) -> Result<(), Error> {
    let Some(row) = tx.optional(REMOVE, [arg(id.0)]).await? else { return Ok(()) };
    moved(tx, row.get(0)?, Some(row.get(1)?), None, now).await
}

fn read(row: &Row) -> Result<Account, Error> {
    let damaged = |what: &str| Error::Failed(format!("accounts: a row with a damaged {what}"));
    let email: String = row.get(3)?;
    Ok(Account {
        id: AccountId(row.get(0)?),
        uuid: row.get::<String>(1)?.parse().map_err(|_| damaged("uuid"))?,
        kind: row.get(2)?,
        email: Email::parse(&email).ok_or_else(|| damaged("email"))?,
        name: row.get(4)?,
        verified: row.get::<i64>(5)? != 0,
        disabled_at: row.get::<Option<i64>>(6)?.map(Timestamp),
        password_hash: PasswordHash(row.get(7)?),
        password_version: row.get(8)?,
        blocked_at: row.get::<Option<i64>>(9)?.map(Timestamp),
        blocked_until: row.get::<Option<i64>>(10)?.map(Timestamp),
        language: Language::from_tag(row.get(11)?),
        image: row.get(12)?,
        created_at: Timestamp(row.get(13)?),
        updated_at: Timestamp(row.get(14)?),
        phone: row.get(15)?,
        verified_at: row.get::<Option<i64>>(16)?.map(Timestamp),
        sign_ins: SignIns {
            count: row.get(17)?,
            latest: read_sign_in(row, 18)?,
            before: read_sign_in(row, 20)?,
        },
        failed_attempts: row.get(22)?,
        remembered_at: row.get::<Option<i64>>(23)?.map(Timestamp),
        mail_barred: row.get::<i64>(24)? != 0,
        vouched: row.get::<i64>(25)? != 0,
    })
}

/// Two columns: when, and from which address.
fn read_sign_in(row: &Row, column: usize) -> Result<Option<SignIn>, Error> {
    let Some(at) = row.get::<Option<i64>>(column)?.map(Timestamp) else { return Ok(None) };
    Ok(Some(SignIn { at, ip: row.get(column + 1)? }))
}
