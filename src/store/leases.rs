//! Leases: what one of all nodes does at a time.

use std::time::Duration;

use super::{Error, Tx, arg};
use crate::domain::time::Timestamp;

/// One statement, so that of two nodes one gets it. Who holds it gets it again; others once it has run out, or when it
/// runs longer than any lasts: then the clock of its holder was set back, or is not theirs.
const HOLD: &str = "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE \
     SET holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE leases.holder = excluded.holder OR leases.expires_at <= $4 OR leases.expires_at > $5";
const LET_GO: &str = "DELETE FROM leases WHERE name = $1 AND holder = $2";

/// How far the clocks of two nodes may differ before one takes the other's lease for one that never ends.
const SLACK: Duration = Duration::from_secs(60);

/// Takes a lease, or renews it, for `span` from now; false while another holds it. Within a unit of work it is held until
/// that is committed, however long it takes.
pub(crate) async fn hold(
    tx: &mut Tx,
    name: &str,
    holder: i64,
    span: Duration,
    now: Timestamp,
) -> Result<bool, Error> {
    let (until, never) = (now.plus(span), now.plus(span + SLACK));
    let args = [arg(name), arg(holder), arg(until), arg(now), arg(never)];
    Ok(tx.execute(HOLD, args).await? == 1)
}

/// Leaves a lease to others before it runs out.
pub(crate) async fn let_go(tx: &mut Tx, name: &str, holder: i64) -> Result<(), Error> {
    tx.execute(LET_GO, [arg(name), arg(holder)]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreUrl;
    use crate::store::Store;

    const SPAN: Duration = Duration::from_secs(120);
    const START: Timestamp = Timestamp(1_795_305_600_000);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Whether each holder gets the lease at its time, one after the other.
    async fn check(asks: &[(i64, Timestamp, bool)]) {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("readylogin.db"));
        let store = Store::open(&url, 1, 1).await.unwrap();
        for (n, (holder, now, gets)) in asks.iter().copied().enumerate() {
            let held = store.write(move |tx| Box::pin(hold(tx, "x", holder, SPAN, now))).await.unwrap();
            assert_eq!(held, gets, "ask {n}");
        }
    }

    #[tokio::test]
    async fn one_holds_it_until_it_has_run_out() {
        let at = |seconds| START.plus(Duration::from_secs(seconds));
        let renewed = [(1, at(0), true), (2, at(1), false), (1, at(60), true), (2, at(179), false)];
        check(&[renewed.as_slice(), &[(2, at(180), true), (1, at(181), false)]].concat()).await;
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_does_not_keep_it_for_ever() {
        check(&[(1, START, true), (2, START.minus(HOUR), true), (1, START.minus(HOUR), false)]).await;
        // A little back is no reason to take it away.
        check(&[(1, START, true), (2, START.minus(SLACK), false)]).await;
    }
}
