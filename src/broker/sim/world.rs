//! What outlives a seed, since it is dear to make: a store, the use cases of some nodes on it, and people with phones.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::register::NewAccount;
use crate::auth::{Auth, Credential, First, Login, Wish};
use crate::clock::Clock;
use crate::config::Config;
use crate::crypto::seals::Seals;
use crate::domain::account::{Account, Email};
use crate::domain::device::DeviceFacts;
use crate::domain::ids::DeviceId;
use crate::domain::secret::{AccessToken, Password};
use crate::domain::time::Timestamp;
use crate::mail::Courier;
use crate::store::Store;

/// 2026-11-22.
const START: Timestamp = Timestamp(1_795_305_600_000);
/// Between two seeds; what was asked in one is long over in the next.
const PAUSE: Duration = Duration::from_secs(3600);
pub(super) const NODES: usize = 4;
pub(super) const PEOPLE: usize = 3;
pub(super) const PHONES: usize = 2;
pub(super) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(super) const TICKET_TTL: Duration = Duration::from_secs(40);

pub(super) struct World {
    /// The use cases of each node that there may be, with a clock each.
    pub(super) auths: Vec<Arc<Auth>>,
    pub(super) people: Vec<Person>,
    made: u32,
    _folder: tempfile::TempDir,
}

#[derive(Clone)]
pub(super) struct Person {
    pub(super) account: Account,
    pub(super) phones: [Device; PHONES],
    /// Something was taken away: somebody else comes in the next seed.
    pub(super) is_spoilt: bool,
}

#[derive(Clone)]
pub(super) struct Device {
    pub(super) id: DeviceId,
    pub(super) token: AccessToken,
}

impl World {
    pub(super) async fn new() -> Self {
        // In memory where there is such a folder: a power failure is not simulated.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let settings = [
            ("STORE__URL", format!("sqlite://{}", path("sim.db"))),
            ("MAIL__FOLDER", path("mail")),
            ("ACCOUNTS__REGISTRATION", "open".to_owned()),
            ("PASSWORD__MEMORY_KIB", "64".to_owned()),
            ("PASSWORD__ITERATIONS", "1".to_owned()),
            ("LIMITS__FACTOR", "0".to_owned()),
            ("PAIRING__TTL", "60s".to_owned()),
            ("PAIRING__ASK_TTL", "20s".to_owned()),
            ("TICKET__TTL", format!("{}s", TICKET_TTL.as_secs())),
        ];
        let settings = settings.map(|(key, value)| (format!("READYLOGIN_{key}"), value));
        let config = Arc::new(Config::load(None, settings).unwrap());
        let store = Store::open(&config.store.url, 1, 1_000_000).await.unwrap();
        let seals = Seals::from_file(&folder.path().join("seal")).unwrap();
        let mut auths = Vec::new();
        for _ in 0..NODES {
            let from = "no-reply@example.org".parse().unwrap();
            let (clock, courier) = (Clock::manual(START), Courier::new(&config.mail, from).unwrap());
            let (config, store, seals) = (config.clone(), store.for_another_node(), seals.clone());
            let auth = Auth::open(config, clock, store, seals, "sim".to_owned(), courier).await.unwrap();
            auth.begin_to_serve().await.unwrap();
            auths.push(Arc::new(auth));
        }
        Self { auths, people: Vec::new(), made: 0, _folder: folder }
    }

    /// A time at which nothing is going on any more, and people who have lost nothing. Clocks are apart by `skews`.
    pub(super) async fn begin(&mut self, skews: &[i64]) {
        self.people.retain(|person| !person.is_spoilt);
        while self.people.len() < PEOPLE {
            let person = self.person().await;
            self.people.push(person);
        }
        // Whoever was made just now is like one who was there before.
        let latest = self.latest().plus(PAUSE);
        for (auth, skew) in self.auths.iter().zip(skews) {
            let then = Timestamp(latest.0 + skew);
            auth.clock.advance(then.since(auth.clock.now()));
        }
    }

    /// The time on the clock that is ahead of all.
    pub(super) fn latest(&self) -> Timestamp {
        self.auths.iter().map(|auth| auth.clock.now()).max().unwrap_or(START)
    }

    pub(super) fn advance(&self, span: Duration) {
        self.auths.iter().for_each(|auth| auth.clock.advance(span));
    }

    async fn person(&mut self) -> Person {
        self.made += 1;
        let auth = &self.auths[0];
        let new = NewAccount {
            kind: "p".to_owned(),
            email: Email::parse(&format!("somebody{}@example.org", self.made)).unwrap(),
            password: Password::new("correct horse battery".to_owned()),
            name: "Somebody".to_owned(),
            phone: None,
            verified: true,
            vouched: true,
            language: None,
            image: String::new(),
        };
        let account = auth.add_account(new, "sim").await.unwrap();
        let (first, codes) = bind(auth, &account, Credential::PasswordAlone).await;
        let code = codes.unwrap().remove(0);
        let (second, _) = bind(auth, &account, Credential::BackupCode(code)).await;
        Person { account, phones: [first, second], is_spoilt: false }
    }
}

/// Logs a phone in and makes it approving.
async fn bind(
    auth: &Auth,
    account: &Account,
    credential: Credential,
) -> (Device, Option<Vec<crate::domain::secret::BackupCode>>) {
    let minted = auth.mint(First::Password(Box::new(account.clone())), credential, login()).await.unwrap();
    let live = auth.bearer(minted.token.expose()).await.unwrap();
    let bound = auth.bind_phone(&live, live.device, true, None, HERE).await.unwrap();
    (Device { id: live.device, token: bound.token }, bound.backup_codes)
}

pub(super) fn login() -> Login {
    let (device, wish) = (DeviceFacts::default(), Wish::AccessToken);
    Login { device, client_id: None, source: HERE, language: None, wish }
}
