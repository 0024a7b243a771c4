//! A change of an account: its row in the audit trail, and the signal by which every server looks at its sockets again.

use crate::domain::ids::{AccountId, DeviceId};
use crate::domain::time::Timestamp;
use crate::store::signals::{self, Signal};
use crate::store::{self, Tx, audit};

/// The source that stands in audit rows of commands.
pub(crate) const OPERATOR: &str = "operator";

/// Records a change of an account and signals it to every server.
pub(super) async fn changed(
    tx: &mut Tx,
    event: &'static str,
    account: AccountId,
    device: Option<DeviceId>,
    source: &str,
    now: Timestamp,
) -> Result<(), store::Error> {
    let entry = audit::Entry { event, outcome: "ok", account: Some(account), device, pairing: None, source };
    audit::record(tx, entry, now).await?;
    signals::emit(tx, Signal::Account(account), now).await
}
