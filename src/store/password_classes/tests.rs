//! What this process knows of the stored passwords' classes is what a count of the table would say, at once.

use super::super::plans;
use super::*;
use crate::config::StoreUrl;
use crate::domain::account::Email;
use crate::domain::ids::AccountId;
use crate::store::Store;
use crate::store::accounts::{self, New};

const BCRYPT: &str = "$2b$05$oK3vHmeq3dxEuvZF0rjjoeLWmx3nLa4JFHfyvKIEsfkZTNTCtzXvq";
const ARGON2: &str =
    "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$GV7fluZsuZyQ43LZVwYo8av+WRdw1ah6QQmf/ICuqEQ";
const NOW: Timestamp = Timestamp(5);

fn hash(text: &str) -> PasswordHash {
    PasswordHash(text.to_owned())
}

fn new(kind: &str, name: &str) -> New {
    New {
        uuid: uuid::Uuid::new_v4(),
        kind: kind.to_owned(),
        email: Email::parse(&format!("{name}@example.org")).unwrap(),
        name: String::new(),
        phone: None,
        password: hash(BCRYPT),
        verified: false,
        vouched: false,
        language: None,
        image: String::new(),
    }
}

/// What is known, and what a count says, where there is any.
async fn check(store: &Store) -> Vec<(String, String, u64)> {
    let flat = |shares: Vec<Share>| {
        let some = shares.into_iter().filter(|share| share.accounts > 0);
        let mut all: Vec<_> = some.map(|share| (share.kind, share.class, share.accounts)).collect();
        all.sort();
        all
    };
    let counted = store.read(|tx| Box::pin(count(tx))).await.unwrap();
    let known = flat(store.passwords().shares().1);
    assert_eq!(known, flat(counted));
    known
}

#[tokio::test]
async fn a_count_goes_from_window_to_window_and_finds_every_account_once() {
    plans::check(&[NEXT, COUNT, UNCLASSED]).await;
    let (store, _folder) = plans::store().await;
    for (kind, count) in [("d", 3), ("p", 7)] {
        for number in 0..count {
            let unit = async move |tx: &mut Tx| {
                accounts::insert(tx, new(kind, &format!("somebody{number}")), NOW).await
            };
            store.write(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
        }
    }
    let change = "UPDATE accounts SET password_class = 'other' WHERE id IN (2, 5, 9)";
    store.write(move |tx| Box::pin(async move { tx.execute(change, []).await })).await.unwrap();
    for window in 1..9 {
        let unit = async move |tx: &mut Tx| count_by(tx, window).await;
        let counted = store.read(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
        let counted: Vec<_> =
            counted.iter().map(|share| (share.kind.as_str(), share.class.as_str(), share.accounts)).collect();
        let bcrypt = class_of(&hash(BCRYPT));
        let expected = [("d", &*bcrypt, 2), ("p", &bcrypt, 5), ("d", "other", 1), ("p", "other", 2)];
        assert_eq!(counted, expected, "windows of {window}");
    }
}

#[tokio::test]
async fn what_is_known_follows_every_committed_change_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreUrl::Sqlite(folder.path().join("x.db")), 1, 1).await.unwrap();
    let add = async |kind: &'static str, name: &'static str| {
        let unit = async move |tx: &mut Tx| accounts::insert(tx, new(kind, name), NOW).await;
        store.write(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap()
    };
    let ann = add("p", "ann").await.unwrap();
    let bob = add("p", "bob").await.unwrap();
    add("d", "ann").await.unwrap();
    assert_eq!(add("p", "ann").await, None, "a taken address changes nothing");
    assert_eq!(check(&store).await.iter().map(|share| share.2).sum::<u64>(), 3);

    let upgrade = async |id: AccountId| {
        let unit = async move |tx: &mut Tx| {
            accounts::upgrade_password(tx, id, &hash(BCRYPT), &hash(ARGON2), NOW).await
        };
        store.write(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
    };
    upgrade(ann).await;
    // The second login of the same moment finds it done.
    upgrade(ann).await;
    assert_eq!(check(&store).await.len(), 3);

    let set = async move |tx: &mut Tx| accounts::set_password(tx, bob, &hash(ARGON2), NOW).await;
    store.write(move |tx| Box::pin(async move { set(tx).await })).await.unwrap();
    let class = class_of(&hash(ARGON2));
    assert!(check(&store).await.contains(&("p".to_owned(), class, 2)));

    let fail = async move |tx: &mut Tx| {
        accounts::remove(tx, ann, NOW).await?;
        Err::<(), _>(Error::Full)
    };
    store.write(move |tx| Box::pin(async move { fail(tx).await })).await.unwrap_err();
    assert_eq!(check(&store).await.len(), 2, "what is rolled back is not known");

    let remove = async move |tx: &mut Tx| accounts::remove(tx, ann, NOW).await;
    store.write(move |tx| Box::pin(async move { remove(tx).await })).await.unwrap();
    check(&store).await;
}

#[tokio::test]
async fn a_count_takes_over_what_others_changed_and_keeps_what_was_committed_meanwhile() {
    let known = Known::default();
    let moved = |to: &str| Move { kind: "p".to_owned(), from: None, to: Some(to.to_owned()) };
    known.tell(vec![moved("a")]);
    known.begin_count();
    known.tell(vec![moved("b")]);
    let count = Share { kind: "p".to_owned(), class: "a".to_owned(), accounts: 7 };
    known.counted(&[count]);
    let classes: Vec<_> = known.shares().1.into_iter().map(|share| (share.class, share.accounts)).collect();
    assert_eq!(classes, [("a".to_owned(), 7), ("b".to_owned(), 1)]);
}
