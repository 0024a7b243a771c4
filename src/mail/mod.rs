//! Mail to owners: what is written, and its delivery out of the store's outbox, by SMTP or into a folder of `.eml` files.

mod bound;
mod courier;
mod failure;
mod folder;
mod html;
mod letter;
mod message;
mod smtp;
mod templates;
mod writing;

pub(crate) use bound::Bound;
pub(crate) use courier::Courier;
pub(crate) use letter::Letter;

use crate::domain::ids::AccountId;
use crate::domain::language::Language;
use crate::domain::time::Timestamp;
use crate::store::notices::{self, Repeats};
use crate::store::outbox::{self, Promise, Rooms};
use crate::store::{Error, Store, Tx, accounts};
use writing::Written;

/// So many urgent notices of a kind may wait for one owner; what comes on top is counted for a letter later. Only while
/// mail can't be delivered do so many wait.
const WAITING_OF_A_KIND: u32 = 8;

/// Promises a notice to an account's owner, in the account's language. Nothing goes to an address that was neither
/// proven nor vouched for: a stranger may have registered it, and its owner never asked for anything.
///
/// The first of a kind goes at once; of those within the next hour one letter says how many there were, unless they are
/// of a kind that is never delayed ([`Letter::is_urgent`]). What the outbox has no room for is counted, and a letter says
/// it as soon as there is room.
///
/// # Errors
/// The store's.
pub(crate) async fn notify(
    tx: &mut Tx,
    account: AccountId,
    letter: Letter<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let Some((recipient, language)) = accounts::notice_address(tx, account).await? else { return Ok(()) };
    let (kind, source) = (letter.kind(), letter.source());
    if letter.is_urgent() {
        if outbox::has_many(tx, &recipient, kind, WAITING_OF_A_KIND).await? {
            return notices::repeat(tx, account, kind, source, now).await;
        }
    } else if !notices::is_first(tx, account, kind, source, now).await? {
        return Ok(());
    }
    if !has_room(outbox::rooms(tx).await?, letter) {
        tracing::error!(kind, "too much mail waits (mail.queue): a notice will come late");
        return notices::owe(tx, account, kind, source, now).await;
    }
    let written = letter.write(language, now);
    outbox::add(tx, promise(&recipient, kind, &written, None), now).await
}

/// So many notices that are due are looked at in one round, until there is one with room.
const LOOKED_AT_ONCE: u32 = 2_000;

/// Whether a notice may be put into the outbox.
fn has_room(rooms: Rooms, letter: Letter<'_>) -> bool {
    rooms.for_a_notice() || letter.is_urgent() && rooms.for_an_urgent_notice()
}

/// Tells owners of repeats whose hour is over, and of what the outbox had no room for.
async fn tell_repeats(store: &Store, now: Timestamp) {
    let due = store.read(move |tx| Box::pin(due(tx, now))).await;
    let due = due.unwrap_or_else(|e| {
        tracing::warn!(error = %e, "notices");
        Vec::new()
    });
    for repeats in due {
        let told = store.write(move |tx| Box::pin(tell(tx, repeats, now))).await;
        if let Err(e) = told {
            tracing::warn!(error = %e, "notices");
        }
    }
}

/// What can be told now: as long as there is no room nothing is tried.
async fn due(tx: &mut Tx, now: Timestamp) -> Result<Vec<Repeats>, Error> {
    let rooms = outbox::rooms(tx).await?;
    if !rooms.for_an_urgent_notice() {
        return Ok(Vec::new());
    }
    let has_room = |repeats: &Repeats| {
        Letter::of_kind(&repeats.kind, &repeats.source).is_none_or(|letter| has_room(rooms, letter))
    };
    let mut looked = 0;
    // Ordinary notices that find no room must not hide an urgent one behind them.
    while looked < LOOKED_AT_ONCE {
        let mut due = notices::due(tx, looked, now).await?;
        looked += u32::try_from(due.len()).unwrap_or(LOOKED_AT_ONCE);
        let is_last = due.is_empty();
        due.retain(has_room);
        if is_last || !due.is_empty() {
            return Ok(due);
        }
    }
    Ok(Vec::new())
}

async fn tell(tx: &mut Tx, repeats: Repeats, now: Timestamp) -> Result<(), Error> {
    if !notices::take(tx, &repeats, now).await? {
        return Ok(());
    }
    let Some(letter) = Letter::of_kind(&repeats.kind, &repeats.source) else { return Ok(()) };
    let Some((recipient, language)) = accounts::notice_address(tx, repeats.account).await? else {
        return Ok(());
    };
    if !has_room(outbox::rooms(tx).await?, letter) {
        // They stay counted.
        return Err(Error::Full);
    }
    let write = if repeats.follow_a_letter() { Letter::write_repeats } else { Letter::write_late };
    let written = write(letter, repeats.times, language, repeats.last_at);
    outbox::add(tx, promise(&recipient, &repeats.kind, &written, None), now).await
}

/// Promises a code or words to an address as part of a unit of work: they are sent if, and only if, the unit is committed.
///
/// # Errors
/// [`Error::Full`] when `mail.queue` codes and words wait: somebody would look for another in vain.
pub(crate) async fn post(
    tx: &mut Tx,
    letter: Letter<'_>,
    recipient: &str,
    language: Language,
    now: Timestamp,
) -> Result<(), Error> {
    let rooms = outbox::rooms(tx).await?;
    if !rooms.for_a_code() {
        return Err(Error::Full);
    }
    let written = letter.write(language, now);
    let mail = promise(recipient, letter.kind(), &written, letter.expires_at(now));
    // However many of those for nobody are asked for, they take no place from others.
    if recipient == NOBODY && !rooms.for_nobody() {
        return outbox::overwrite(tx, mail, now).await;
    }
    outbox::add(tx, mail, now).await
}

/// Whether another code could be promised now; asked before anything is looked up or hashed for it.
///
/// # Errors
/// [`Error::Full`] when it could not.
pub(crate) async fn check_room(tx: &mut Tx) -> Result<(), Error> {
    if outbox::rooms(tx).await?.for_a_code() { Ok(()) } else { Err(Error::Full) }
}

/// The recipient of what nobody gets.
const NOBODY: &str = "";

/// Promises a letter that nobody gets: where nobody may learn whether there is a recipient. What is done is the same as for
/// [`post`], and takes as long, its delivery included: that would otherwise hold up whatever is asked right after it.
///
/// # Errors
/// As [`post`].
pub(crate) async fn pretend(
    tx: &mut Tx,
    letter: Letter<'_>,
    language: Language,
    now: Timestamp,
) -> Result<(), Error> {
    post(tx, letter, NOBODY, language, now).await
}

fn promise<'a>(
    recipient: &'a str,
    kind: &'a str,
    written: &'a Written,
    expires_at: Option<Timestamp>,
) -> Promise<'a> {
    let Written { subject, text, html } = written;
    Promise { recipient, kind, subject, text, html, expires_at }
}

#[cfg(test)]
mod tests;
