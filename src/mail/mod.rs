//! Mail to owners: what is written, and its delivery out of the store's outbox, by SMTP or into a folder of `.eml` files.

mod bound;
mod courier;
mod folder;
mod html;
mod letter;
mod message;
mod smtp;
mod templates;

pub(crate) use bound::Bound;
pub(crate) use courier::Courier;
pub(crate) use letter::Letter;

use crate::domain::ids::AccountId;
use crate::domain::language::Language;
use crate::domain::time::Timestamp;
use crate::store::outbox::{self, Promise};
use crate::store::{Error, Tx, accounts};

/// Promises a notice to an account's owner, in the account's language. Nothing goes to an address that was not proven: a
/// stranger may have registered it, and its owner never asked for anything.
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
    post(tx, letter, &recipient, language, now).await
}

/// Promises a code or words to an address as part of a unit of work: they are sent if, and only if, the unit is committed.
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

async fn is_admitted(tx: &mut Tx, has_code: bool) -> Result<bool, Error> {
    let limit = if has_code { tx.mail_queue } else { tx.mail_queue.saturating_mul(2) };
    let has_room = outbox::has_room(tx, limit).await?;
    if has_code && !has_room { Err(Error::Full) } else { Ok(has_room) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::config::{Config, StoreUrl};
    use crate::store::Store;

    const CODE: Letter<'_> = Letter::LoginCode { code: "048291", minutes: 1, source: "192.0.2.1" };
    const NOTICE: Letter<'_> = Letter::PasswordChanged { source: "192.0.2.1" };

    async fn store(folder: &tempfile::TempDir, mail_queue: u32) -> Store {
        Store::open(&StoreUrl::Sqlite(folder.path().join("x.db")), 1, mail_queue).await.unwrap()
    }

    async fn posted(store: &Store, letter: Letter<'static>, clock: &Clock) -> Result<(), Error> {
        let now = clock.now();
        store.write(move |tx| Box::pin(post(tx, letter, "ann@example.org", Language::De, now))).await
    }

    async fn waiting(store: &Store) -> usize {
        let due = store.read(|tx| Box::pin(outbox::due(tx, Timestamp(i64::MAX)))).await;
        due.unwrap().len()
    }

    #[tokio::test]
    async fn a_code_that_could_not_be_sent_soon_is_refused_and_a_notice_is_dropped_later() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(Timestamp(1_795_339_800_000)));
        let store = store(&folder, 2).await;
        for _ in 0..2 {
            posted(&store, CODE, &clock).await.unwrap();
        }
        assert!(matches!(posted(&store, CODE, &clock).await, Err(Error::Full)));
        let pretended = store.write(|tx| Box::pin(pretend(tx, CODE, Language::De, Timestamp(0)))).await;
        assert!(matches!(pretended, Err(Error::Full)), "an unknown address is answered like a known one");
        for count in [3, 4, 4] {
            posted(&store, NOTICE, &clock).await.unwrap();
            assert_eq!(waiting(&store).await, count);
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_code_comes_first_and_a_code_that_is_over_is_not_sent() {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(Timestamp(1_795_339_800_000)));
        let store = store(&folder, 10).await;
        posted(&store, NOTICE, &clock).await.unwrap();
        posted(&store, CODE, &clock).await.unwrap();
        let now = clock.now();
        let due = store.read(move |tx| Box::pin(outbox::due(tx, now))).await.unwrap();
        assert_eq!(due.iter().map(|mail| mail.id).collect::<Vec<_>>(), [2, 1]);

        clock.advance(Duration::from_secs(60));
        let mail = folder.path().join("mail");
        let setting = ("READYLOGIN_MAIL__FOLDER".to_owned(), mail.display().to_string());
        let config = Config::load(None, [setting]).unwrap();
        let courier = Courier::new(&config.mail, "desk@example.org".parse().unwrap()).unwrap();
        let emptied = async {
            while waiting(&store).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = courier.run(&store, &clock) => {}
            () = emptied => {}
        }
        let files = std::fs::read_dir(&mail).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(files.collect::<Vec<_>>(), ["1795339800000-1.eml"]);
    }
}
