//! The two calls of `/users`: the first proves the password, the second the factor. The second names the first by a step
//! value, a secret that the first has answered with; clients without one are known by address and network only, and so is
//! their neighbour: a wrong code of such a call must not harm the owner (docs/protocol-http.md, "Step value").

use std::net::IpAddr;
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::limits::STEPS_PER_SOURCE;
use super::{Auth, Credential, Error, First, Login, Minted};
use crate::config::StepValue;
use crate::crypto::random;
use crate::crypto::root::RootKeys;
use crate::crypto::seal::{base64url, digest};
use crate::domain::account::Account;
use crate::domain::ids::AccountId;
use crate::domain::phone::Identifier;
use crate::domain::secret::StepToken;
use crate::domain::source::neighbourhood;
use crate::domain::time::Timestamp;
use crate::store::challenges::{self, Challenge, New};
use crate::store::lapse::{self, Redeemable};
use crate::store::{self, Tx, accounts, hits};

/// Guesses without a step value that are judged after each login call.
const TRIES: u32 = 3;
/// Wrong ones that an account stands in a day: with three right answers among a million (an app's), and two (mailed
/// codes), the odds are at most 3 in 100,000 a day.
const A_DAY: u64 = 10;
const DAY: Duration = Duration::from_secs(86_400);

/// The purposes of the keyed hashes: of a step value, and of an address, a kind and a network.
const VALUE: &str = "step value";
const NETWORK: &str = "first step";

/// Random characters of a step value, before its MAC.
const RANDOM_CHARS: usize = 32;
const MAC_BYTES: usize = 16;

/// Where wrong codes are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tally {
    /// Against the account and the code: its methods are blocked after some, and the code is dead.
    Account,
    /// Only against what the account stands in a day from clients that do not prove that they made its login call: such
    /// a guess may be a neighbour's, who must not be able to block the owner.
    Day,
}

/// A login call, by what the store knows it by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstStep {
    hash: [u8; 32],
    /// Whether it was named by its step value.
    has_value: bool,
}

/// What the second call says of the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Second<'a> {
    pub(crate) value: Option<&'a StepToken>,
    pub(crate) email: &'a str,
    pub(crate) kind: Option<&'a str>,
}

impl First {
    /// The sign-in under way that this continues.
    pub(super) fn challenge(&self) -> Option<[u8; 32]> {
        match self {
            Self::Challenge(token) => Some(digest(token.expose().as_bytes())),
            Self::Step(step) => Some(step.hash),
            Self::Password(_) | Self::Mail(_) | Self::Made(_) => None,
        }
    }

    /// Where wrong codes are counted.
    pub(super) fn tally(&self) -> Tally {
        match self {
            Self::Step(step) if !step.has_value => Tally::Day,
            Self::Step(_) | Self::Challenge(_) | Self::Password(_) | Self::Mail(_) | Self::Made(_) => {
                Tally::Account
            }
        }
    }
}

impl Auth {
    /// Notes that a login call proved an account's password; the value by which the second call names it.
    pub(crate) async fn note_first_step(
        &self,
        account: &Account,
        source: IpAddr,
    ) -> Result<StepToken, Error> {
        let token = self.fresh_step();
        let named = [account.email.key().as_bytes(), account.kind.as_bytes(), &from(source)];
        let (by_value, by_network) = (hash_of(&token), self.root.mac(NETWORK, &named));
        let takes_others = self.config.two_step.step_value == StepValue::Optional;
        let (account, until) = (account.clone(), self.now().plus(self.config.two_factor.cookie_ttl));
        let unit = async move |tx: &mut Tx| {
            let (account, login_call) = (&account, Some(&by_value));
            let new = New { hash: &by_value, account, remember: true, login_call, expires_at: until };
            challenges::insert(tx, new).await?;
            if takes_others {
                challenges::insert(tx, New { hash: &by_network, ..new }).await?;
            }
            Ok(())
        };
        self.store.write(move |tx| Box::pin(async move { unit(tx).await })).await?;
        Ok(token)
    }

    /// Ends a login by its second factor.
    ///
    /// # Errors
    /// `InvalidChallenge` without such a login call, alike for all addresses, and beyond what is judged without a step
    /// value; the code's refusals; `Locked`, `TooManyRequests`, `Busy`.
    pub(crate) async fn mint_second(
        &self,
        second: Second<'_>,
        credential: Credential,
        login: Login,
    ) -> Result<Minted, Error> {
        // A value that this server never made is none, and costs the store nothing.
        if let Some(value) = second.value.filter(|value| self.is_own_step(value))
            && let Some(step) = self.step_by_value(value, second).await?
        {
            return self.mint(First::Step(step), credential, login).await;
        }
        let attempt = self.limits.attempt(STEPS_PER_SOURCE, login.source).await?;
        let outcome = match self.step_by_network(second, login.source).await {
            Ok(Some(step)) => self.mint(First::Step(step), credential, login).await,
            Ok(None) => Err(Error::InvalidChallenge),
            Err(refused) => Err(refused),
        };
        // What was not judged (the server was busy, the account is blocked) is no failure.
        let was_judged = |e: &Error| !matches!(e, Error::Busy(_) | Error::Internal(_) | Error::Locked(_));
        attempt.settle(outcome.as_ref().is_err_and(was_judged));
        outcome
    }

    /// The login call of this value, if it was for this address.
    async fn step_by_value(&self, value: &StepToken, second: Second<'_>) -> Result<Option<FirstStep>, Error> {
        let (hash, now, who) = (hash_of(value), self.now(), Identifier::address(second.email));
        let kind = second.kind.map(str::to_owned);
        let unit = async move |tx: &mut Tx| {
            let Some(challenge) = challenges::live(tx, &hash, now).await? else { return Ok(false) };
            let account = accounts::by_id(tx, challenge.account).await?;
            Ok(account.is_some_and(|account| {
                account.email.key() == who.key() && kind.is_none_or(|kind| account.kind == kind)
            }))
        };
        let is_there = self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        if !is_there {
            self.note_over(Redeemable::Challenge(hash), now).await?;
        }
        Ok(is_there.then_some(FirstStep { hash, has_value: true }))
    }

    /// The latest login call for this address from this network. Looked for by keyed hashes of what the request says, not
    /// by an account: it is the same work whether there is one.
    async fn step_by_network(&self, second: Second<'_>, source: IpAddr) -> Result<Option<FirstStep>, Error> {
        if self.config.two_step.step_value == StepValue::Required {
            return Ok(None);
        }
        let who = Identifier::address(second.email);
        let kinds = self.config.accounts.kinds.iter().map(|kind| kind.id.as_str());
        let kinds = kinds.filter(|kind| second.kind.is_none_or(|named| named == *kind));
        let hashes: Vec<_> =
            kinds.flat_map(|kind| network_hashes(&self.root, (who.key(), kind), source)).collect();
        let now = self.now();
        let unit = async move |tx: &mut Tx| {
            let mut latest: Option<(Timestamp, [u8; 32])> = None;
            let mut over = Vec::new();
            for hash in hashes {
                let live = challenges::live(tx, &hash, now).await?;
                latest = latest.max(live.map(|challenge| (challenge.expires_at, hash)));
                if live.is_none() && lapse::is_due(tx, Redeemable::Challenge(hash), now).await? {
                    over.push(hash);
                }
            }
            Ok((latest, over))
        };
        let (latest, over) = self.store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
        for hash in over {
            self.note_over(Redeemable::Challenge(hash), now).await?;
        }
        Ok(latest.map(|(_, hash)| FirstStep { hash, has_value: false }))
    }

    /// A value that says of itself that this server made it.
    fn fresh_step(&self) -> StepToken {
        let random = random::alphanumeric(RANDOM_CHARS);
        let mac = mac_of(&self.root.mac(VALUE, &[random.as_bytes()]));
        StepToken::new(random + &mac)
    }

    fn is_own_step(&self, value: &StepToken) -> bool {
        let Some((random, shown)) = value.expose().split_at_checked(RANDOM_CHARS) else { return false };
        let macs = self.root.macs(VALUE, &[random.as_bytes()]);
        macs.iter().fold(false, |is, mac| is | bool::from(mac_of(mac).as_bytes().ct_eq(shown.as_bytes())))
    }
}

/// The part of a step value that says that this server made it.
fn mac_of(mac: &[u8; 32]) -> String {
    base64url(&mac[..MAC_BYTES])
}

/// Whether another guess without a step value is judged.
pub(super) async fn is_judged(
    tx: &mut Tx,
    challenge: &Challenge,
    now: Timestamp,
) -> Result<bool, store::Error> {
    let today = hits::count(tx, &bucket(challenge.account), now.minus(DAY)).await?;
    Ok(challenge.tries < TRIES && today < A_DAY)
}

/// Counts a wrong guess without a step value.
pub(super) async fn count_guess(tx: &mut Tx, account: AccountId, now: Timestamp) -> Result<(), store::Error> {
    hits::add(tx, &bucket(account), Some(account), now, now.plus(DAY)).await.map(drop)
}

fn bucket(account: AccountId) -> String {
    format!("step/{account}")
}

fn hash_of(value: &StepToken) -> [u8; 32] {
    digest(format!("step value/{}", value.expose()).as_bytes())
}

/// Under what a login call may be kept for clients without a step value: by the root key of today, or of before.
fn network_hashes(root: &RootKeys, (address, kind): (&str, &str), source: IpAddr) -> Vec<[u8; 32]> {
    root.macs(NETWORK, &[address.as_bytes(), kind.as_bytes(), &from(source)])
}

fn from(source: IpAddr) -> Vec<u8> {
    neighbourhood(source).to_string().into_bytes()
}
