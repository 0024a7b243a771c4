//! How much mail strangers may have sent: by one source, one network, to one address, by the whole server. Counted in the
//! store, so that it holds over restarts, nodes and races (docs/protocol-http.md, "Limits of mail").
//!
//! What is one source's, network's or address's is counted in a unit of its own, under locks of these alone. What is
//! everybody's is counted by a single statement: a row that everybody locks would stop all nodes with one that stops.

use std::net::IpAddr;
use std::time::Duration;

use super::{Auth, Error};
use crate::crypto::seal::base64url;
use crate::domain::mailbox::Mailbox;
use crate::domain::source::{neighbourhood, network};
use crate::domain::time::Timestamp;
use crate::store::hits::{self, Limit};
use crate::store::{self, Store, Tx, mailed_codes};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The longest of all windows.
const DAY: Duration = Duration::from_secs(86_400);
/// How often a place is tried for when others take places at the same moment.
const TRIES: usize = 100;

/// What one source, one network, one address or the server may have sent.
struct Quota {
    /// A keyed hash: the store learns no address that has no account.
    key: [u8; 32],
    bucket: String,
    /// So many within a time.
    windows: Vec<(u64, Duration)>,
}

/// The quotas of one mail.
pub(super) struct Quotas {
    /// The source's comes first: what it refuses uses nothing of the others up.
    own: Vec<Quota>,
    server: Shared,
}

/// What everybody shares; nothing while limits are off.
struct Shared {
    bucket: String,
    /// Where mail that nobody gets is counted, by the same work.
    nobody: String,
    spans: [Duration; 3],
    /// For addresses with an account, and for all.
    all: Option<[u64; 3]>,
    general: Option<[u64; 3]>,
}

/// For whom a mail is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Share {
    /// An address with an account.
    Owner,
    /// An address without one, as long as the general share lasts.
    General,
    /// Nobody: answered like the others.
    Nobody,
}

/// What was taken for a mail; to be given back when it is not sent.
#[derive(Default)]
pub(super) struct Taken(Vec<i64>);

impl Auth {
    /// The quotas of a mail; none while limits are off.
    pub(super) fn mail_quotas(&self, mailbox: &Mailbox, source: IpAddr) -> Quotas {
        let set = &self.config.mail_code;
        let part = |max: u32, share: f64| self.limits.scaled(max).map(|max| portion(max, share));
        let named =
            |name: &str, value: &str| self.root.mac("mail quota", &[name.as_bytes(), value.as_bytes()]);
        let quota = |name: &str, value: &str, share: f64, windows: &[(u32, Duration)]| {
            let key = named(name, value);
            let scaled = |(max, span): &(u32, Duration)| Some((part(*max, share)?, *span));
            Quota { key, bucket: base64url(&key), windows: windows.iter().filter_map(scaled).collect() }
        };
        let per_source = [(set.per_source_10m, 10 * MINUTE), (set.per_source_1d, DAY)];
        let per_address = [(set.per_address_5m, 5 * MINUTE), (set.per_address_1d, DAY)];
        let totals = [set.total_1m, set.total_1h, set.total_1d];
        let spans = [MINUTE, HOUR, DAY];
        let in_all = [(totals[0], spans[0]), (totals[1], spans[1]), (totals[2], spans[2])];
        let mut own = vec![
            quota("source", &network(source).to_string(), 1.0, &per_source),
            quota("network", &neighbourhood(source).to_string(), set.network_share, &in_all),
            quota("address", mailbox.spelling(), 1.0, &per_address),
        ];
        own.retain(|quota| !quota.windows.is_empty());
        let maxima = |share: f64| {
            let [a, b, c] = totals.map(|max| part(max, share));
            Some([a?, b?, c?])
        };
        let server = Shared {
            bucket: base64url(&named("server", "")),
            nobody: base64url(&named("nobody", "")),
            spans,
            all: maxima(1.0),
            general: maxima(set.general_share),
        };
        Quotas { own, server }
    }
}

/// A part of a limit; at least one.
fn portion(max: u64, share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a positive number, far below what loses digits"
    )]
    let part = (max as f64 * share + 1e-6) as u64;
    part.max(1)
}

/// Since a time, and up to which time to come: hits of the future are of a clock that was put back. They count, but not
/// for ever.
fn around(now: Timestamp, span: Duration) -> (Timestamp, Timestamp) {
    (now.minus(span), now.plus(span))
}

/// How long until there is room in all windows: until the oldest that fills one has left it.
async fn wait(
    tx: &mut Tx,
    bucket: &str,
    windows: impl Iterator<Item = (u64, Duration)>,
    now: Timestamp,
) -> Result<Option<Duration>, store::Error> {
    let mut longest = None;
    for (max, span) in windows {
        let filling = hits::nth_newest(tx, bucket, around(now, span), max).await?;
        longest = longest.max(filling.map(|at| at.plus(span).since(now)));
    }
    Ok(longest)
}

impl Quotas {
    /// Whether all of them have room, as far as can be told without a lock, and whether the general share has.
    pub(super) async fn look(
        &self,
        tx: &mut Tx,
        now: Timestamp,
    ) -> Result<Result<bool, Error>, store::Error> {
        for quota in &self.own {
            if let Some(wait) = quota.wait(tx, now).await? {
                return Ok(Err(Error::TooManyRequests(wait)));
            }
        }
        if let Some(wait) = self.server.wait(tx, self.server.all, now).await? {
            return Ok(Err(Error::TooManyRequests(wait)));
        }
        Ok(Ok(self.server.wait(tx, self.server.general, now).await?.is_none()))
    }

    /// Takes one from each of them, or from none. For a mail that nobody gets, the same is done, and nothing of
    /// everybody's is taken.
    pub(super) async fn take(
        self,
        store: &Store,
        share: Share,
        now: Timestamp,
    ) -> Result<(Taken, Share), Error> {
        let Self { own, server } = self;
        let unit = async move |tx: &mut Tx| take_own(tx, &own, now).await;
        let mut taken = store.write(move |tx| Box::pin(async move { unit(tx).await })).await??;
        match server.take(store, share, now).await {
            Ok((place, share)) => {
                taken.0.extend(place);
                Ok((taken, share))
            }
            Err(refused) => {
                taken.give_back(store).await;
                Err(refused)
            }
        }
    }
}

/// Takes one from each, or from none. Until the unit is committed nobody else takes from them; the order in which they are
/// locked is always the same.
async fn take_own(
    tx: &mut Tx,
    quotas: &[Quota],
    now: Timestamp,
) -> Result<Result<Taken, Error>, store::Error> {
    for quota in quotas {
        mailed_codes::take_turn(tx, &quota.key, now).await?;
        if let Some(wait) = quota.wait(tx, now).await? {
            return Ok(Err(Error::TooManyRequests(wait)));
        }
    }
    let mut taken = Taken::default();
    for quota in quotas {
        taken.0.push(hits::add(tx, &quota.bucket, None, now, now.plus(DAY)).await?);
    }
    Ok(Ok(taken))
}

impl Taken {
    /// Gives back what was taken for a mail that is not sent.
    pub(super) async fn give_back(self, store: &Store) {
        let unit = async move |tx: &mut Tx| {
            for id in self.0 {
                hits::remove(tx, id).await?;
            }
            Ok(())
        };
        let given = store.write(move |tx| Box::pin(async move { unit(tx).await })).await;
        if let Err(e) = given {
            tracing::warn!(error = %e, "what a mail would have used of its limits stays used");
        }
    }
}

impl Quota {
    async fn wait(&self, tx: &mut Tx, now: Timestamp) -> Result<Option<Duration>, store::Error> {
        wait(tx, &self.bucket, self.windows.iter().copied(), now).await
    }
}

impl Shared {
    async fn wait(
        &self,
        tx: &mut Tx,
        maxima: Option<[u64; 3]>,
        now: Timestamp,
    ) -> Result<Option<Duration>, store::Error> {
        let Some(maxima) = maxima else { return Ok(None) };
        wait(tx, &self.bucket, maxima.into_iter().zip(self.spans), now).await
    }

    /// Takes a place, for nobody when the general share has just ended.
    async fn take(&self, store: &Store, share: Share, now: Timestamp) -> Result<(Option<i64>, Share), Error> {
        let (Some(all), Some(general)) = (self.all, self.general) else { return Ok((None, share)) };
        let mut share = share;
        for _ in 0..TRIES {
            // A mail without a recipient takes no place from real ones, and is counted by the same statement.
            let (bucket, maxima, binds) = match share {
                Share::Owner => (&self.bucket, all, true),
                Share::General => (&self.bucket, general, true),
                Share::Nobody => (&self.nobody, all, false),
            };
            let windows = [0, 1, 2].map(|at| {
                let (after, until) = around(now, self.spans[at]);
                Limit { after, until, max: maxima[at], binds }
            });
            if let Some(place) = hits::add_at_once(store, bucket, windows, now, now.plus(DAY)).await? {
                return Ok((Some(place), share));
            }
            let (bucket, spans) = (bucket.clone(), self.spans);
            let unit = async move |tx: &mut Tx| wait(tx, &bucket, maxima.into_iter().zip(spans), now).await;
            let full = store.read(move |tx| Box::pin(async move { unit(tx).await })).await?;
            match (share, full) {
                (_, None) | (Share::Nobody, Some(_)) => {}
                (Share::General, Some(_)) => share = Share::Nobody,
                (Share::Owner, Some(wait)) => return Err(Error::TooManyRequests(wait)),
            }
        }
        Err(Error::Busy(Auth::BUSY))
    }
}
