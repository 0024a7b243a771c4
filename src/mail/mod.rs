//! Mail to owners: what is written, and its delivery out of the store's outbox into a folder of `.eml` files.

mod courier;
mod letter;

pub(crate) use courier::Courier;
pub(crate) use letter::Letter;

use crate::domain::language::Language;
use crate::domain::time::Timestamp;
use crate::store::{Error, Tx, outbox};

/// Writes a letter that nobody gets: what is done for an address without an account takes as long as for one with.
pub(crate) fn discard(letter: Letter<'_>, language: Language, now: Timestamp) {
    std::hint::black_box(letter.write(language, now));
}

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
