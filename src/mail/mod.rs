//! Mail to owners: what is written, and its delivery out of the store's outbox into a folder of `.eml` files.

mod courier;
mod letter;

pub(crate) use courier::Courier;
pub(crate) use letter::Letter;

use crate::domain::language::Language;
use crate::domain::time::Timestamp;
use crate::store::{Error, Tx, outbox};

/// Promises a letter as part of a unit of work: it is sent if, and only if, the unit is committed.
pub(crate) async fn post(
    tx: &mut Tx,
    letter: Letter<'_>,
    recipient: &str,
    language: Language,
    now: Timestamp,
) -> Result<(), Error> {
    let written = letter.write(language, now);
    outbox::add(tx, recipient, &written.subject, &written.text, now).await
}
