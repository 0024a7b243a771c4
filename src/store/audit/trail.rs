//! What is left in memory and in the log by what is recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;

use super::entry::Entry;
use super::merging::Merging;
use crate::domain::ids::{AccountId, DeviceId, PairingId};

/// An entry on its way to the log.
#[derive(Clone, Debug)]
pub(in crate::store) struct Line {
    event: &'static str,
    outcome: &'static str,
    account: Option<AccountId>,
    device: Option<DeviceId>,
    pairing: Option<PairingId>,
    source: String,
    written: Written,
}

/// What an entry has become.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    /// A row of its own.
    Row,
    /// The so many-eth in a row with others like it.
    Merged(i64),
    /// Nothing.
    Nothing,
}

/// How often each event had which outcome since this process started, and which refusals it merges; clones share it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Counts {
    outcomes: Arc<DashMap<(&'static str, &'static str), u64>>,
    pub(super) merging: Arc<Merging>,
}

impl Counts {
    /// Event, outcome and number, by name.
    pub(crate) fn all(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.outcomes.iter().map(|count| (*count.key(), *count.value())).collect()
    }
}

impl Line {
    pub(super) fn new(entry: Entry<'_>, written: Written) -> Self {
        let Entry { event, outcome, account, device, pairing, source } = entry;
        Self { event, outcome, account, device, pairing, source: source.to_owned(), written }
    }

    /// Counts and logs what is committed by now.
    pub(in crate::store) fn tell(&self, counts: &Counts) {
        *counts.outcomes.entry((self.event, self.outcome)).or_default() += 1;
        match self.written {
            Written::Row => self.log(1),
            // The log is a disk as well: of a flood it says how far it has come.
            Written::Merged(count) if count <= 10 || count.unsigned_abs().is_power_of_two() => {
                self.log(count)
            }
            Written::Merged(_) | Written::Nothing => {}
        }
    }

    fn log(&self, count: i64) {
        tracing::info!(
            target: "audit",
            event = self.event,
            outcome = self.outcome,
            account = self.account.map(|id| id.0),
            device = self.device.map(|id| id.0),
            pairing = self.pairing.map(tracing::field::display),
            source = self.source,
            count = (count > 1).then_some(count),
        );
    }
}
