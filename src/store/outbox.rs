//! The outbox: mail that was promised in a transaction and waits for its delivery, also over a restart. What it says is
//! sealed: a copy of the store shows no code.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Error, Row, Tx, arg, seals};
use crate::crypto::random;
use crate::crypto::seals::{MAIL, Seals};
use crate::domain::time::Timestamp;

/// Only while the seal key is still the one that the store names.
const ADD: &str = "INSERT INTO outbox (recipient, kind, sealed, expires_at, created_at, ready_at, due_at, subject, body, html, attempts) \
     SELECT $1, $2, $3, $4, $5, $5, $6, '', '', '', 0 WHERE EXISTS (SELECT 1 FROM server_secrets WHERE name = 'seal' AND sealed = $7)";
/// One of the oldest mails without a recipient makes room for another: the same work as [`ADD`], and no row more. Which of
/// them is drawn, so that those who ask for unknown addresses at once do not wait for one row.
const OVERWRITE: &str = "UPDATE outbox SET recipient = $1, kind = $2, sealed = $3, expires_at = $4, created_at = $5 \
     WHERE id = (SELECT id FROM outbox WHERE expires_at >= 0 AND recipient = '' ORDER BY id LIMIT 1 OFFSET $6)";
/// From so many of the oldest one is drawn.
const DRAWN: u32 = 64;
/// A mail of an older release has no `ready_at`. Codes come first, then what only pretends to be one, then notices.
const DUE: &str = "SELECT id, recipient, subject, body, html, created_at, attempts, expires_at, sealed FROM outbox \
     WHERE ready_at <= $1 OR (ready_at IS NULL AND due_at <= $1) \
     ORDER BY CASE WHEN expires_at IS NULL THEN 2 WHEN recipient = '' THEN 1 ELSE 0 END, id LIMIT 20";
const CLAIM: &str = "UPDATE outbox SET attempts = attempts + 1, due_at = CASE WHEN ready_at IS NULL THEN $3 ELSE due_at END, \
     ready_at = CASE WHEN ready_at IS NULL THEN ready_at ELSE $3 END WHERE id = $1 AND attempts = $2";
const IS_HELD: &str = "SELECT 1 FROM outbox WHERE id = $1 AND attempts = $2";
const POSTPONE: &str = "UPDATE outbox SET due_at = CASE WHEN ready_at IS NULL THEN $3 ELSE due_at END, \
     ready_at = CASE WHEN ready_at IS NULL THEN ready_at ELSE $3 END WHERE id = $1 AND attempts = $2";
const DONE: &str = "DELETE FROM outbox WHERE id = $1 AND attempts = $2";
/// The condition, always true, lets the index answer without reading a letter.
const COUNT: &str = "SELECT COUNT(*) FROM (SELECT due_at FROM outbox WHERE due_at >= -1 LIMIT $1) AS waiting";
const ROOMS: &str = "SELECT \
     (SELECT COUNT(*) FROM (SELECT id FROM outbox WHERE expires_at >= 0 AND recipient <> '' LIMIT $1) AS codes), \
     (SELECT COUNT(*) FROM (SELECT id FROM outbox WHERE expires_at >= 0 AND recipient = '' LIMIT $1) AS pretended), \
     (SELECT COUNT(*) FROM (SELECT id FROM outbox WHERE expires_at IS NULL LIMIT $2) AS notices)";
const OF_KIND: &str =
    "SELECT COUNT(*) FROM (SELECT id FROM outbox WHERE recipient = $1 AND kind = $2 LIMIT $3) AS waiting";
const SEALED: &str = "SELECT id, sealed FROM outbox WHERE sealed IS NOT NULL ORDER BY id";
const RESEAL: &str = "UPDATE outbox SET sealed = $3 WHERE id = $1 AND sealed = $2";

/// The `due_at` of what nodes of an older release must leave alone, since they can't open it: the end of the year 9999.
const NOT_FOR_OLDER_NODES: Timestamp = Timestamp(253_402_300_799_000);
/// Between the parts of what is sealed; no letter has such a character.
const SEPARATOR: char = '\0';

/// How much mail may wait, and what seals it; units of work carry it.
#[derive(Clone)]
pub(crate) struct Room {
    /// So many codes and words, and as many notices.
    queue: u32,
    seals: Arc<OnceLock<Seals>>,
}

impl Room {
    pub(crate) fn new(queue: u32) -> Self {
        Self { queue, seals: Arc::default() }
    }

    /// Says what seals mail from now on; the first call counts.
    pub(crate) fn seal_with(&self, seals: Seals) {
        let _ = self.seals.set(seals);
    }

    fn seals(&self) -> Result<&Seals, Error> {
        self.seals.get().ok_or_else(|| Error::Failed("outbox: nothing seals".to_owned()))
    }
}

/// How full the outbox is. Each sort of mail has room of its own, so that none takes another's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rooms {
    limit: i64,
    codes: i64,
    pretended: i64,
    notices: i64,
}

impl Rooms {
    pub(crate) fn for_a_code(self) -> bool {
        self.codes < self.limit
    }

    /// For a code that nobody gets.
    pub(crate) fn for_nobody(self) -> bool {
        self.pretended < self.limit
    }

    pub(crate) fn for_a_notice(self) -> bool {
        self.notices < self.limit
    }

    /// For a notice that is never delayed: the second half of the notices' room is kept for these.
    pub(crate) fn for_an_urgent_notice(self) -> bool {
        self.notices < self.limit.saturating_mul(2)
    }
}

/// A mail to be promised.
#[derive(Clone, Copy)]
pub(crate) struct Promise<'a> {
    /// Empty for one that nobody gets.
    pub(crate) recipient: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) text: &'a str,
    pub(crate) html: &'a str,
    /// When there is no sense any more in sending it.
    pub(crate) expires_at: Option<Timestamp>,
}

/// A mail that waits.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) id: i64,
    pub(crate) recipient: String,
    /// What it says; `None` when no key opens it.
    pub(crate) content: Option<Content>,
    pub(crate) created_at: Timestamp,
    /// How often it was taken for delivery; who takes it holds it as long as this stays the same.
    pub(crate) attempts: u32,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a mail says.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) subject: String,
    pub(crate) text: Zeroizing<String>,
    /// Empty in rows of the first release.
    pub(crate) html: Zeroizing<String>,
}

/// Promises a mail.
pub(crate) async fn add(tx: &mut Tx, mail: Promise<'_>, now: Timestamp) -> Result<(), Error> {
    let seals = tx.mail.seals()?.clone();
    if put(tx, &seals, mail, now).await? {
        return Ok(());
    }
    // The store has gone over to another key meanwhile.
    let is_held = seals::named(tx).await?.is_some_and(|named| seals.seal_with(named));
    if is_held && put(tx, &seals, mail, now).await? { Ok(()) } else { Err(Error::Full) }
}

async fn put(tx: &mut Tx, seals: &Seals, mail: Promise<'_>, now: Timestamp) -> Result<bool, Error> {
    let fresh = seals.seal_fresh(MAIL, joined(mail).as_bytes());
    let mut args = vec![arg(mail.recipient), arg(mail.kind), arg(fresh.sealed.as_slice())];
    args.extend([arg(mail.expires_at), arg(now), arg(NOT_FOR_OLDER_NODES), arg(fresh.under.as_bytes())]);
    let is_added = tx.execute(ADD, args).await? == 1;
    tx.after.effects.has_mail |= is_added;
    Ok(is_added)
}

/// Does the work of [`add`] for a mail that nobody gets, when as many of these wait as may.
pub(crate) async fn overwrite(tx: &mut Tx, mail: Promise<'_>, now: Timestamp) -> Result<(), Error> {
    let sealed = tx.mail.seals()?.seal(MAIL, joined(mail).as_bytes());
    let drawn = u32::from(random::bytes::<1>()[0]) % tx.mail.queue.clamp(1, DRAWN);
    let args = [
        arg(mail.recipient),
        arg(mail.kind),
        arg(sealed.as_slice()),
        arg(mail.expires_at),
        arg(now),
        arg(drawn),
    ];
    tx.execute(OVERWRITE, args).await?;
    tx.after.effects.has_mail = true;
    Ok(())
}

fn joined(mail: Promise<'_>) -> Zeroizing<String> {
    let mut all = Zeroizing::new(String::with_capacity(mail.text.len() + mail.html.len() + 256));
    for (at, part) in [mail.subject, mail.text, mail.html].into_iter().enumerate() {
        if at > 0 {
            all.push(SEPARATOR);
        }
        all.push_str(part);
    }
    all
}

/// How much of each sort of mail waits.
pub(crate) async fn rooms(tx: &mut Tx) -> Result<Rooms, Error> {
    let limit = tx.mail.queue;
    let row = tx.one(ROOMS, [arg(limit), arg(limit.saturating_mul(2))]).await?;
    Ok(Rooms { limit: limit.into(), codes: row.get(0)?, pretended: row.get(1)?, notices: row.get(2)? })
}

/// How many mails wait, `limit` at most.
pub(crate) async fn waiting(tx: &mut Tx, limit: u32) -> Result<i64, Error> {
    tx.one(COUNT, [arg(limit)]).await?.get(0)
}

/// Whether as many as `limit` mails of a kind wait for a recipient.
pub(crate) async fn has_many(tx: &mut Tx, recipient: &str, kind: &str, limit: u32) -> Result<bool, Error> {
    let row = tx.one(OF_KIND, [arg(recipient), arg(kind), arg(limit)]).await?;
    Ok(row.get::<i64>(0)? >= i64::from(limit))
}

/// Mails whose time has come: those with a code first, then the oldest.
pub(crate) async fn due(tx: &mut Tx, now: Timestamp) -> Result<Vec<Waiting>, Error> {
    let seals = tx.mail.seals()?.clone();
    tx.all(DUE, [arg(now)]).await?.iter().map(|row| read(row, &seals)).collect()
}

/// Takes a mail for delivery; `None` when another node has it. It is held for `lease`, then it is due again.
pub(crate) async fn claim(
    tx: &mut Tx,
    mail: Waiting,
    lease: Duration,
    now: Timestamp,
) -> Result<Option<Waiting>, Error> {
    let args = [arg(mail.id), arg(mail.attempts), arg(now.plus(lease))];
    let is_mine = tx.execute(CLAIM, args).await? == 1;
    Ok(is_mine.then(|| Waiting { attempts: mail.attempts.saturating_add(1), ..mail }))
}

/// Whether a claimed mail is still held by who claimed it.
pub(crate) async fn is_held(tx: &mut Tx, id: i64, attempts: u32) -> Result<bool, Error> {
    Ok(tx.optional(IS_HELD, [arg(id), arg(attempts)]).await?.is_some())
}

/// It was not delivered, and is due again at `due_at`, unless somebody else has taken it.
pub(crate) async fn postpone(tx: &mut Tx, id: i64, attempts: u32, due_at: Timestamp) -> Result<(), Error> {
    tx.execute(POSTPONE, [arg(id), arg(attempts), arg(due_at)]).await.map(drop)
}

/// It is delivered or given up, unless somebody else has taken it.
pub(crate) async fn done(tx: &mut Tx, id: i64, attempts: u32) -> Result<(), Error> {
    tx.execute(DONE, [arg(id), arg(attempts)]).await.map(drop)
}

/// What is sealed, by number.
pub(super) async fn sealed(tx: &mut Tx) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    tx.all(SEALED, []).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// Puts `fresh` in the place of what was sealed under another key.
pub(super) async fn reseal(tx: &mut Tx, id: i64, old: &[u8], fresh: &[u8]) -> Result<(), Error> {
    tx.execute(RESEAL, [arg(id), arg(old), arg(fresh)]).await.map(drop)
}

fn read(row: &Row, seals: &Seals) -> Result<Waiting, Error> {
    let sealed: Option<Vec<u8>> = row.get(8)?;
    let content = match sealed {
        Some(sealed) => seals.open(MAIL, &sealed).ok().and_then(|plain| opened(&plain)),
        None => Some(Content {
            subject: row.get(2)?,
            text: Zeroizing::new(row.get(3)?),
            html: Zeroizing::new(row.get(4)?),
        }),
    };
    Ok(Waiting {
        id: row.get(0)?,
        recipient: row.get(1)?,
        content,
        created_at: Timestamp(row.get(5)?),
        attempts: u32::try_from(row.get::<i64>(6)?).unwrap_or(u32::MAX),
        expires_at: row.get::<Option<i64>>(7)?.map(Timestamp),
    })
}

fn opened(plain: &[u8]) -> Option<Content> {
    let mut parts = std::str::from_utf8(plain).ok()?.split(SEPARATOR);
    let (subject, text, html) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Content {
        subject: subject.to_owned(),
        text: Zeroizing::new(text.to_owned()),
        html: Zeroizing::new(html.to_owned()),
    })
}
