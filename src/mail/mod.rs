//! Mail to owners: what is written, and its delivery out of the store's outbox, by SMTP or into a folder of `.eml` files.

mod courier;
mod folder;
mod html;
mod letter;
mod message;
mod smtp;
mod templates;

pub(crate) use courier::Courier;
pub(crate) use letter::Letter;

use crate::domain::language::Language;
use crate::domain::time::Timestamp;
use crate::store::outbox::{self, Promise};
use crate::store::{Error, Tx};

/// Promises a letter as part of a unit of work: it is sent if, and only if, the unit is committed.
///
/// # Errors
/// [`Error::Full`] for a code when `mail.queue` letters wait: somebody would look for it in vain. Other letters are
/// told from twice as many on, in the log alone.
pub(crate) async fn post(
    tx: &mut Tx,
    letter: Letter<'_>,
    recipient: &str,
    language: Language,
    now: Timestamp,
) -> Result<(), Error> {
    let expires_at = letter.expires_at(now);
    if !is_admitted(tx, expires_at.is_some()).await? {
        tracing::error!("too much mail waits (mail.queue): a notice is dropped");
        return Ok(());
    }
    let written = letter.write(language, now);
    let mail = Promise {
        recipient,
        subject: &written.subject,
        text: &written.text,
        html: &written.html,
        expires_at,
    };
    outbox::add(tx, mail, now).await
}

/// Does what [`post`] does except for keeping the letter: where nobody may learn whether there is a recipient.
///
/// # Errors
/// As [`post`].
pub(crate) async fn pretend(
    tx: &mut Tx,
    letter: Letter<'_>,
    language: Language,
    now: Timestamp,
) -> Result<(), Error> {
    is_admitted(tx, letter.expires_at(now).is_some()).await?;
    std::hint::black_box(letter.write(language, now));
    Ok(())
}

async fn is_admitted(tx: &mut Tx, has_code: bool) -> Result<bool, Error> {
    let limit = if has_code { tx.mail_queue } else { tx.mail_queue.saturating_mul(2) };
    let has_room = outbox::has_room(tx, limit).await?;
    if has_code && !has_room { Err(Error::Full) } else { Ok(has_room) }
}
