//! In whose line the look-up of a session waits: in its account's while it lives, in its network's when it is over.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::*;
use crate::auth::login::Login;
use crate::auth::register::NewAccount;
use crate::auth::{Credential, First, Wish};
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::seal::digest;
use crate::crypto::seals::Seals;
use crate::domain::account::Email;
use crate::domain::device::DeviceFacts;
use crate::domain::secret::Password;
use crate::domain::time::Timestamp;
use crate::mail::Courier;
use crate::store::{self, Store};
use crate::turns::{Who, for_request};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const COOKIE: &str = "the session's cookie";

fn network() -> Who {
    Who::at(HERE)
}

/// A node, and a session on it that is known by a token and by a cookie.
struct Node {
    auth: Auth,
    live: Live,
    token: String,
    _folder: tempfile::TempDir,
}

impl Node {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let settings = [
            ("STORE__URL", format!("sqlite://{}", path("readylogin.db"))),
            ("MAIL__FOLDER", path("mail")),
            ("PASSWORD__MEMORY_KIB", "64".to_owned()),
            ("PASSWORD__ITERATIONS", "1".to_owned()),
            ("LIMITS__FACTOR", "0".to_owned()),
        ];
        let settings = settings.map(|(key, value)| (format!("READYLOGIN_{key}"), value));
        let config = Arc::new(Config::load(None, settings).unwrap());
        let store = Store::open(&config.store.url, 1, 10).await.unwrap();
        let seals = Seals::from_file(&folder.path().join("seal")).unwrap();
        let courier = Courier::new(&config.mail, "no-reply@example.org".parse().unwrap()).unwrap();
        let clock = Clock::manual(Timestamp(1_795_305_600_000));
        let auth = Auth::open(config, clock, store, seals, "test".to_owned(), courier).await.unwrap();
        auth.begin_to_serve().await.unwrap();
        let (token, live) = log_in(&auth).await;
        Self { auth, live, token, _folder: folder }
    }

    async fn write<F>(&self, unit: F)
    where
        F: for<'t> FnOnce(&'t mut Tx) -> futures_util::future::BoxFuture<'t, Result<(), store::Error>>
            + Send
            + 'static,
    {
        self.auth.store.write(unit).await.unwrap();
    }

    async fn end(&self) {
        let (session, now) = (self.live.id, self.auth.now());
        self.write(move |tx| Box::pin(sessions::revoke(tx, session, now))).await;
    }

    /// What a request from here with the token, and one with the cookie, are answered.
    async fn show(&self) -> [Result<SessionId, Error>; 2] {
        let by_token = for_request(network(), self.auth.bearer(&self.token)).await;
        let by_cookie = for_request(network(), self.auth.cookie_session(COOKIE)).await;
        let by_cookie = by_cookie.and_then(|live| live.ok_or(Error::NotAuthenticated));
        [by_token.map(|live| live.id), by_cookie.map(|live| live.id)]
    }

    /// Occupies every reader that this line may have at once, until the returned guard is dropped.
    async fn keep_busy(&self, who: Who, turns: usize) -> watch::Sender<()> {
        let (release, released) = watch::channel(());
        let (begun, mut begins) = mpsc::channel(turns);
        for _ in 0..turns {
            let (store, begun, mut released) = (self.auth.store.clone(), begun.clone(), released.clone());
            let hold = async move {
                begun.send(()).await.unwrap();
                let _ = released.changed().await;
                Ok(())
            };
            tokio::spawn(for_request(who, async move { store.read(|_| Box::pin(hold)).await }));
        }
        for _ in 0..turns {
            begins.recv().await.unwrap();
        }
        release
    }
}

async fn log_in(auth: &Auth) -> (String, Live) {
    let new = NewAccount {
        kind: "p".to_owned(),
        email: Email::parse("ann@example.org").unwrap(),
        password: Password::new("correct horse battery".to_owned()),
        name: "Ann".to_owned(),
        phone: None,
        verified: true,
        vouched: true,
        language: None,
        image: String::new(),
    };
    let account = auth.add_account(new, "test").await.unwrap();
    let (device, wish) = (DeviceFacts::default(), Wish::AccessToken);
    let login = Login { device, client_id: None, source: HERE, language: None, wish };
    let minted =
        auth.mint(First::Password(Box::new(account)), Credential::PasswordAlone, login).await.unwrap();
    let token = minted.token.expose().to_owned();
    let live = auth.bearer(&token).await.unwrap();
    let session = live.id;
    let unit = async move |tx: &mut Tx| sessions::set_token(tx, session, &digest(COOKIE.as_bytes())).await;
    auth.store.write(move |tx| Box::pin(async move { unit(tx).await })).await.unwrap();
    (token, live)
}

const ENDED: [Result<SessionId, Error>; 2] = [Err(Error::NotAuthenticated), Err(Error::NotAuthenticated)];

#[tokio::test]
async fn who_shows_a_session_that_has_ended_does_not_stand_in_the_line_of_its_account() {
    let node = Node::new().await;
    assert_eq!(node.show().await, [Ok(node.live.id), Ok(node.live.id)]);
    node.end().await;
    // The first look after the end still waits there, and finds out.
    assert_eq!(node.show().await, ENDED);
    let _owner = node.keep_busy(Who::Account(node.live.account), 2).await;
    for _ in 0..10 {
        assert_eq!(node.show().await, ENDED);
    }
}

#[tokio::test]
async fn who_shows_a_session_that_lives_stands_in_no_line_of_the_network() {
    let node = Node::new().await;
    assert_eq!(node.show().await, [Ok(node.live.id), Ok(node.live.id)]);
    let _neighbours = node.keep_busy(network(), 3).await;
    for _ in 0..10 {
        assert_eq!(node.show().await, [Ok(node.live.id), Ok(node.live.id)]);
    }
}

#[test]
fn a_session_that_was_found_is_remembered_for_a_while_and_so_are_as_many_as_there_is_room_for() {
    let seen = Seen::default();
    let shown = |number: usize| Shown::Cookie(digest(&number.to_be_bytes()));
    let account = |number: usize, now| seen.account(&shown(number), now);
    seen.found(shown(0), AccountId(7), SPAN / 2);
    assert_eq!(account(0, SPAN), Some(AccountId(7)));
    assert_eq!(account(0, SPAN * 2 - Duration::from_millis(1)), Some(AccountId(7)));
    assert_eq!(account(0, SPAN * 3), None);
    for number in 0..5 * MOST {
        seen.found(shown(number), AccountId(1), SPAN * 3);
        let state = seen.0.lock();
        assert!(state.new.len() <= MOST && state.old.len() <= MOST);
    }
    assert_eq!((account(0, SPAN * 3), account(5 * MOST - 1, SPAN * 3)), (None, Some(AccountId(1))));
    seen.ended(&shown(5 * MOST - 1));
    assert_eq!(account(5 * MOST - 1, SPAN * 3), None);
}
