//! Mail to owners: what is written, and its delivery out of the store's outbox, by SMTP or into a folder.

mod courier;
mod letter;
mod templates;
mod transport;

pub(crate) use courier::Courier;
pub(crate) use letter::Letter;
pub(crate) use transport::Transport;

use crate::domain::language::Language;
use crate::domain::time::Timestamp;
use crate::store::{Error, Tx, outbox};

/// The recipient of what nobody gets.
const NOBODY: &str = "";

/// Promises a letter that nobody gets: what is done for an address without an account is the same, and takes as long, as
/// for one with, its delivery included. That would otherwise hold up whatever is asked right after it.
///
/// # Errors
/// As [`post`].
pub(crate) async fn discard(
    tx: &mut Tx,
    letter: Letter<'_>,
    language: Language,
    now: Timestamp,
) -> Result<(), Error> {
    post(tx, letter, NOBODY, language, now).await
}

/// Promises a letter as part of a unit of work: it is sent if, and only if, the unit is committed.
///
/// # Errors
/// `Full` for a code while so many mails wait that it would not come in time.
pub(crate) async fn post(
    tx: &mut Tx,
    letter: Letter<'_>,
    recipient: &str,
    language: Language,
    now: Timestamp,
) -> Result<(), Error> {
    let written = letter.write(language, now);
    let mail = outbox::New {
        recipient,
        subject: &written.subject,
        body: &written.text,
        html: &written.html,
        expires_at: letter.good_until(now),
    };
    outbox::add(tx, &mail, now).await
}
