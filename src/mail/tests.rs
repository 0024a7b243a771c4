//! What waits, what goes first, what is counted, and that one node delivers a letter.

use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::config::{Config, StoreUrl};
use crate::crypto::seal_keys::SealKeys;
use crate::crypto::seals::Seals;
use crate::domain::account::{Email, PasswordHash};
use crate::store::seals;

const CODE: Letter<'_> = Letter::LoginCode { code: "048291", minutes: 1, source: "192.0.2.1" };
const ANN: &str = "ann@example.org";
const START: Timestamp = Timestamp(1_795_339_800_000);
const CODES: Letter<'_> = Letter::CodesReplaced { source: "192.0.2.1" };
const NOTICE: Letter<'_> = Letter::PasswordChanged { source: "192.0.2.1" };

async fn store(folder: &tempfile::TempDir, mail_queue: u32) -> Store {
    let url = StoreUrl::Sqlite(folder.path().join("x.db"));
    let store = Store::open(&url, 1, mail_queue).await.unwrap();
    let keys = Seals::given(SealKeys::parse(&"ab".repeat(32)).unwrap());
    let name = keys.fingerprint();
    store.seal_mail_with(keys);
    store.write(move |tx| Box::pin(async move { seals::name_first(tx, name).await })).await.unwrap();
    store.write(|tx| Box::pin(add_owner(tx, ANN))).await.unwrap();
    store
}

/// An account with a proven address.
async fn add_owner(tx: &mut Tx, email: &str) -> Result<(), Error> {
    let owner = accounts::New {
        uuid: uuid::Uuid::new_v4(),
        kind: "p".to_owned(),
        email: Email::parse(email).unwrap(),
        name: "Ann".to_owned(),
        phone: None,
        password: PasswordHash("-".to_owned()),
        verified: true,
        vouched: false,
        language: Some(Language::En),
        image: String::new(),
    };
    accounts::insert(tx, owner, START).await.map(drop)
}

async fn posted(store: &Store, letter: Letter<'static>, clock: &Clock) -> Result<(), Error> {
    let now = clock.now();
    store.write(move |tx| Box::pin(post(tx, letter, ANN, Language::De, now))).await
}

async fn notified(store: &Store, letter: Letter<'static>, clock: &Clock) {
    notified_at(store, 1, letter, clock.now()).await;
}

async fn notified_at(store: &Store, account: i64, letter: Letter<'static>, now: Timestamp) {
    store.write(move |tx| Box::pin(notify(tx, AccountId(account), letter, now))).await.unwrap();
}

async fn all_waiting(store: &Store) -> Vec<outbox::Waiting> {
    store.read(|tx| Box::pin(outbox::due(tx, Timestamp(i64::MAX)))).await.unwrap()
}

async fn waiting(store: &Store) -> usize {
    all_waiting(store).await.len()
}

async fn pretended(store: &Store) -> Result<(), Error> {
    store.write(|tx| Box::pin(pretend(tx, CODE, Language::De, START))).await
}

#[tokio::test]
async fn codes_and_notices_take_no_room_from_each_other() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let store = store(&folder, 2).await;
    notified(&store, CODES, &clock).await;
    for _ in 0..6 {
        notified(&store, NOTICE, &clock).await;
    }
    assert_eq!(waiting(&store).await, 4, "as many again are kept for what is never delayed");
    for _ in 0..2 {
        posted(&store, CODE, &clock).await.unwrap();
    }
    assert!(matches!(posted(&store, CODE, &clock).await, Err(Error::Full)));
    assert!(
        matches!(pretended(&store).await, Err(Error::Full)),
        "an unknown address is answered like a known one"
    );
}

#[tokio::test]
async fn a_flood_of_codes_for_nobody_leaves_the_room_for_others() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let store = store(&folder, 3).await;
    for _ in 0..20 {
        pretended(&store).await.unwrap();
    }
    assert_eq!(waiting(&store).await, 3);
    for _ in 0..3 {
        posted(&store, CODE, &clock).await.unwrap();
    }
    let due = all_waiting(&store).await;
    assert!(due[..3].iter().all(|mail| mail.recipient == ANN), "somebody's go before nobody's");
    pretended(&store).await.unwrap_err();
}

#[tokio::test]
async fn repeats_of_a_notice_are_one_letter_an_hour_later() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let store = store(&folder, 100).await;
    for _ in 0..500 {
        notified(&store, CODES, &clock).await;
        clock.advance(Duration::from_secs(1));
    }
    notified(&store, Letter::Locked { source: "192.0.2.1" }, &clock).await;
    tell_repeats(&store, clock.now()).await;
    assert_eq!(waiting(&store).await, 2, "the first of each kind");
    clock.advance(notices::HOUR);
    tell_repeats(&store, clock.now()).await;
    tell_repeats(&store, clock.now()).await;
    let due = all_waiting(&store).await;
    let last = due[2].content.as_ref().unwrap();
    assert_eq!((due.len(), last.subject.as_str()), (3, "You have new backup codes"));
    assert!(last.text.contains("499 more times"), "{}", last.text.as_str());
    // The next hour has begun with that letter.
    notified(&store, CODES, &clock).await;
    assert_eq!(waiting(&store).await, 3);
    clock.advance(2 * notices::HOUR);
    tell_repeats(&store, clock.now()).await;
    assert_eq!(waiting(&store).await, 4);
    clock.advance(2 * notices::HOUR);
    notified(&store, CODES, &clock).await;
    assert_eq!(waiting(&store).await, 5, "after a quiet hour the first goes at once again");
}

#[tokio::test]
async fn what_is_never_delayed_is_counted_only_behind_eight_that_can_not_be_delivered() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let store = store(&folder, 100).await;
    for _ in 0..50 {
        notified(&store, NOTICE, &clock).await;
    }
    assert_eq!(waiting(&store).await, 8);
    notified(&store, Letter::TwoFactorOff { source: "192.0.2.1" }, &clock).await;
    assert_eq!(waiting(&store).await, 9);
    clock.advance(notices::HOUR);
    tell_repeats(&store, clock.now()).await;
    let due = all_waiting(&store).await;
    assert!(due[9].content.as_ref().unwrap().text.contains("42 more times"));
}

#[tokio::test]
async fn ordinary_notices_without_room_hide_no_urgent_one_behind_them() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let store = store(&folder, 1).await;
    let others: Vec<i64> = (2..32).collect();
    for account in &others {
        let email = format!("owner{account}@example.org");
        store.write(move |tx| Box::pin(async move { add_owner(tx, &email).await })).await.unwrap();
    }
    // Both rooms are full, and everything after that is owed: the urgent notice last.
    notified(&store, NOTICE, &clock).await;
    notified(&store, NOTICE, &clock).await;
    for account in others {
        notified_at(&store, account, CODES, clock.now()).await;
    }
    notified_at(&store, 31, Letter::TwoFactorOff { source: "192.0.2.7" }, clock.now()).await;
    deliver_one(&store, &clock).await;
    tell_repeats(&store, clock.now()).await;
    let due = all_waiting(&store).await;
    assert_eq!((due.len(), due[1].recipient.as_str()), (2, "owner31@example.org"));
}

#[tokio::test]
async fn what_finds_no_room_is_told_late_by_one_letter_of_its_kind_once_there_is_room() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let store = store(&folder, 1).await;
    notified(&store, NOTICE, &clock).await;
    notified(&store, NOTICE, &clock).await;
    // Both rooms are full: these are the first of their kinds, and find none.
    notified(&store, Letter::TwoFactorOff { source: "192.0.2.7" }, &clock).await;
    for _ in 0..3 {
        notified(&store, CODES, &clock).await;
    }
    clock.advance(Duration::from_secs(5));
    tell_repeats(&store, clock.now()).await;
    assert_eq!(waiting(&store).await, 2);
    deliver_one(&store, &clock).await;
    tell_repeats(&store, clock.now()).await;
    tell_repeats(&store, clock.now()).await;
    let due = all_waiting(&store).await;
    let content = due[1].content.as_ref().unwrap();
    assert_eq!((due.len(), content.subject.as_str()), (2, "Two-factor login was turned off"));
    for part in ["comes late", "happened once", "2026-11-22 09:30", "192.0.2.7"] {
        assert!(content.text.contains(part), "{}", content.text.as_str());
    }
    for _ in 0..2 {
        deliver_one(&store, &clock).await;
    }
    tell_repeats(&store, clock.now()).await;
    let due = all_waiting(&store).await;
    let content = due[0].content.as_ref().unwrap();
    assert_eq!((due.len(), content.subject.as_str()), (1, "You have new backup codes"));
    assert!(content.text.contains("happened 3 times"), "{}", content.text.as_str());
    // The hour begins with that letter.
    deliver_one(&store, &clock).await;
    notified(&store, CODES, &clock).await;
    tell_repeats(&store, clock.now()).await;
    assert_eq!(waiting(&store).await, 0);
}

/// Takes the oldest mail out of the queue, as its delivery does.
async fn deliver_one(store: &Store, clock: &Clock) {
    let (oldest, now) = (all_waiting(store).await.swap_remove(0), clock.now());
    let unit = async move |tx: &mut Tx| {
        let held = outbox::claim(tx, oldest, Duration::from_secs(25), now).await?.unwrap();
        outbox::done(tx, held.id, held.attempts).await
    };
    store.write(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
}

#[tokio::test]
async fn the_store_shows_no_code_and_another_seal_key_opens_none() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let first = store(&folder, 10).await;
    posted(&first, CODE, &clock).await.unwrap();
    first.close().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for plain in ["048291", "Anmelde"] {
            assert!(!bytes.windows(plain.len()).any(|part| part == plain.as_bytes()), "{plain}");
        }
    }
    let url = StoreUrl::Sqlite(folder.path().join("x.db"));
    let again = Store::open(&url, 1, 10).await.unwrap();
    again.seal_mail_with(Seals::given(SealKeys::parse(&"cd".repeat(32)).unwrap()));
    assert!(all_waiting(&again).await[0].content.is_none());
    assert!(
        posted(&again, CODE, &clock).await.is_err(),
        "nothing is added under another key than the store's"
    );
}

/// A courier that delivers into a folder.
fn courier(mail: &std::path::Path) -> Courier {
    let setting = ("READYLOGIN_MAIL__FOLDER".to_owned(), mail.display().to_string());
    let config = Config::load(None, [setting]).unwrap();
    Courier::new(&config.mail, "desk@example.org".parse().unwrap()).unwrap()
}

async fn deliver_all(courier: &Courier, store: &Store, clock: &Clock) {
    let emptied = async {
        while waiting(store).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = courier.run(store, clock) => {}
        () = emptied => {}
    }
}

#[tokio::test]
async fn a_letter_is_held_by_one_node_and_who_was_too_slow_delivers_nothing() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let store = store(&folder, 10).await;
    posted(&store, CODE, &clock).await.unwrap();
    let seen = all_waiting(&store).await.pop().unwrap();
    let claim = async |lease: u64| {
        let (mail, now) = (seen.clone(), clock.now());
        let lease = Duration::from_secs(lease);
        store.write(move |tx| Box::pin(outbox::claim(tx, mail, lease, now))).await.unwrap()
    };
    let slow = claim(25).await.expect("the first node takes it");
    assert!(claim(25).await.is_none(), "another node does not");
    let mail = folder.path().join("mail");
    // Its lease runs out in the middle, and another node delivers.
    clock.advance(Duration::from_secs(26));
    deliver_all(&courier(&mail), &store, &clock).await;
    let held = store.read(move |tx| Box::pin(outbox::is_held(tx, slow.id, slow.attempts))).await;
    assert!(!held.unwrap(), "what the slow one has written is given no name");
    let files = std::fs::read_dir(&mail).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(files.collect::<Vec<_>>(), ["1795339800000-1.eml"]);
}

#[tokio::test]
async fn who_waits_for_a_code_comes_first_and_a_code_that_is_over_is_not_sent() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(START));
    let store = store(&folder, 10).await;
    notified(&store, NOTICE, &clock).await;
    posted(&store, CODE, &clock).await.unwrap();
    let now = clock.now();
    let due = store.read(move |tx| Box::pin(outbox::due(tx, now))).await.unwrap();
    assert_eq!(due.iter().map(|mail| mail.id).collect::<Vec<_>>(), [2, 1]);

    clock.advance(Duration::from_secs(60));
    let mail = folder.path().join("mail");
    deliver_all(&courier(&mail), &store, &clock).await;
    let files = std::fs::read_dir(&mail).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(files.collect::<Vec<_>>(), ["1795339800000-1.eml"]);
}
