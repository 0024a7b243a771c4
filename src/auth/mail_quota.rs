//! How much mail strangers may have sent: by one source, to one address, by the whole server. Counted in the store, in
//! the transaction that sends, so that it holds over restarts, nodes and races.

use std::net::IpAddr;
use std::time::Duration;

use super::{Auth, Error};
use crate::crypto::seal::base64url;
use crate::domain::mailbox::Mailbox;
use crate::domain::source::network;
use crate::domain::time::Timestamp;
use crate::store::{self, Tx, hits, mailed_codes};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The longest of all windows.
const DAY: Duration = Duration::from_secs(86_400);

/// What one source, one address or the server may have sent.
pub(super) struct Quota {
    /// A keyed hash: the store learns no address that has no account.
    key: [u8; 32],
    bucket: String,
    /// So many within a time.
    windows: Vec<(u64, Duration)>,
}

impl Auth {
    /// The quotas of a mail, in the order in which they are looked at; none while limits are off. The source's comes
    /// first: what it refuses uses nothing of the others up.
    pub(super) fn mail_quotas(&self, mailbox: &Mailbox, source: IpAddr) -> Vec<Quota> {
        let set = &self.config.mail_code;
        let source = network(source).to_string();
        let per_source = [(set.per_source_10m, 10 * MINUTE), (set.per_source_1d, DAY)];
        let per_address = [(set.per_address_5m, 5 * MINUTE), (set.per_address_1d, DAY)];
        let in_all = [(set.total_1m, MINUTE), (set.total_1h, HOUR), (set.total_1d, DAY)];
        let quota = |name: &str, value: &str, windows: &[(u32, Duration)]| {
            let key = self.root.mac("mail quota", &[name.as_bytes(), value.as_bytes()]);
            let scaled = |(max, span): &(u32, Duration)| Some((self.limits.scaled(*max)?, *span));
            Quota { key, bucket: base64url(&key), windows: windows.iter().filter_map(scaled).collect() }
        };
        let mut all = vec![
            quota("source", &source, &per_source),
            quota("address", mailbox.spelling(), &per_address),
            quota("server", "", &in_all),
        ];
        all.retain(|quota| !quota.windows.is_empty());
        all
    }
}

/// Whether all of them have room, as far as can be told without a lock.
pub(super) async fn look(
    tx: &mut Tx,
    quotas: &[Quota],
    now: Timestamp,
) -> Result<Result<(), Error>, store::Error> {
    for quota in quotas {
        if let Some(wait) = quota.wait(tx, now).await? {
            return Ok(Err(Error::TooManyRequests(wait)));
        }
    }
    Ok(Ok(()))
}

/// Takes one from each of them, or from none. Until the unit is committed nobody else takes from them; the order in
/// which they are locked is always the same.
pub(super) async fn take(
    tx: &mut Tx,
    quotas: &[Quota],
    now: Timestamp,
) -> Result<Result<(), Error>, store::Error> {
    for quota in quotas {
        mailed_codes::take_turn(tx, &quota.key, now).await?;
        if let Some(wait) = quota.wait(tx, now).await? {
            return Ok(Err(Error::TooManyRequests(wait)));
        }
    }
    for quota in quotas {
        hits::add(tx, &quota.bucket, now, now.plus(DAY)).await?;
    }
    Ok(Ok(()))
}

impl Quota {
    /// How long until there is room: until the oldest that fills a window has left it.
    async fn wait(&self, tx: &mut Tx, now: Timestamp) -> Result<Option<Duration>, store::Error> {
        let mut longest = None;
        for (max, span) in &self.windows {
            // Hits of the time to come are of a clock that was put back. They count, but not for ever.
            let within = (now.minus(*span), now.plus(*span));
            let filling = hits::nth_newest(tx, &self.bucket, within, *max).await?;
            longest = longest.max(filling.map(|at| at.plus(*span).since(now)));
        }
        Ok(longest)
    }
}
