//! What follows outside of the store from a committed unit of work: sockets are looked at again, mail is delivered.

use std::sync::{Arc, Weak};

use parking_lot::RwLock;

use super::signals::Signal;

/// The effects of one unit. The unit collects them, and they are delivered after COMMIT; a unit that is rolled back has none.
#[derive(Default, Debug)]
pub(crate) struct Effects {
    /// Emitted for other processes; this one need not wait until it polls for them.
    pub(crate) signals: Vec<Signal>,
    /// Mail was put into the outbox.
    pub(crate) has_mail: bool,
}

/// Receives the effects of what a node commits. It must not block.
pub(crate) trait Sink: Send + Sync {
    fn deliver(&self, effects: Effects);
}

/// The sink of one node; clones share it. Without a sink (a command) effects are dropped: the servers that run find the
/// signals and the outbox in the store.
#[derive(Clone, Default)]
pub(super) struct Delivery(Arc<RwLock<Option<Weak<dyn Sink>>>>);

impl Delivery {
    pub(super) fn attach(&self, sink: Weak<dyn Sink>) {
        *self.0.write() = Some(sink);
    }

    pub(super) fn deliver(&self, effects: Effects) {
        if effects.signals.is_empty() && !effects.has_mail {
            return;
        }
        let sink = self.0.read().as_ref().and_then(Weak::upgrade);
        if let Some(sink) = sink {
            sink.deliver(effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;
    use crate::config::StoreUrl;
    use crate::domain::ids::AccountId;
    use crate::domain::time::Timestamp;
    use crate::store::{Error, Store, Tx, signals};

    #[derive(Default)]
    struct Recorder(Mutex<Vec<Signal>>);

    impl Sink for Recorder {
        fn deliver(&self, effects: Effects) {
            self.0.lock().extend(effects.signals);
        }
    }

    #[tokio::test]
    async fn effects_of_committed_units_are_delivered_before_the_answer_and_those_of_others_never() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("readylogin.db"));
        let store = Store::open(&url, 1, 1).await.unwrap();
        let (here, elsewhere) = (Arc::new(Recorder::default()), Arc::new(Recorder::default()));
        let other_node = store.for_another_node();
        store.attach(Arc::downgrade(&here) as Weak<dyn Sink>);
        other_node.attach(Arc::downgrade(&elsewhere) as Weak<dyn Sink>);
        let change = async |store: &Store, account: i64, succeeds: bool| {
            let unit = async move |tx: &mut Tx| {
                signals::emit(tx, Signal::Account(AccountId(account)), Timestamp(0)).await?;
                if succeeds { Ok(()) } else { Err(Error::Full) }
            };
            store.write(move |tx| Box::pin(async move { unit(tx).await })).await
        };
        change(&store, 1, true).await.unwrap();
        assert_eq!(*here.0.lock(), [Signal::Account(AccountId(1))]);
        change(&store, 2, false).await.unwrap_err();
        change(&other_node, 3, true).await.unwrap();
        // What comes later in the one queue of the writer is answered later.
        change(&store, 4, true).await.unwrap();
        assert_eq!(*here.0.lock(), [Signal::Account(AccountId(1)), Signal::Account(AccountId(4))]);
        assert_eq!(*elsewhere.0.lock(), [Signal::Account(AccountId(3))]);
        drop(here);
        tokio::time::timeout(Duration::from_secs(10), change(&store, 5, true)).await.unwrap().unwrap();
    }
}
