//! Fair turns at what all requests share, the password hashes and the store: for whom a piece of work is done, and the
//! gate in front of what is scarce.
//!
//! A request belongs to its network until it has shown a session that lives, and from then on to that session's account. The
//! surfaces say so once, where a request or a message begins; what is shared asks here. Work that no client asked for
//! (commands, sweeps, deliveries) belongs to the server itself.

mod gate;

pub(crate) use gate::{Gate, LONGEST, Size, Turn};

use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;

use crate::domain::ids::AccountId;
use crate::domain::source::neighbourhood;

/// For whom something is done: each has a line of its own at a gate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Who {
    /// The server's own work.
    Server,
    /// Everybody in a neighbourhood of addresses who has proven nothing yet.
    Network(IpAddr),
    /// Whoever shows a live session of this account.
    Account(AccountId),
}

/// The one that the current task works for.
#[derive(Debug)]
struct Asker {
    who: Cell<Who>,
    patience: Patience,
}

/// How a piece of work waits for its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Patience {
    /// Turned away when too many wait, or after the time that the gate sets: the client of a request comes back.
    Short,
    /// Waits however many wait, for up to [`LONGEST`]: no client repeats a notice or the server's own work.
    Long,
}

tokio::task_local! {
    static ASKER: Asker;
}

impl Who {
    /// Somebody at this address who has proven nothing.
    pub(crate) fn at(source: IpAddr) -> Self {
        Self::Network(neighbourhood(source))
    }

    /// The one that the current task works for.
    pub(crate) fn current() -> Self {
        Asker::current().0
    }
}

impl Asker {
    /// For whom the current task works and how it waits. Where no client asked for anything it is the server's own work.
    fn current() -> (Who, Patience) {
        let asker = ASKER.try_with(|asker| (asker.who.get(), asker.patience));
        asker.unwrap_or((Who::Server, Patience::Long))
    }
}

/// Does what a client asked for.
pub(crate) async fn for_request<T>(who: Who, work: impl Future<Output = T>) -> T {
    ASKER.scope(Asker { who: Cell::new(who), patience: Patience::Short }, work).await
}

/// Does what follows for one of the sockets from something that happened elsewhere. A socket takes one notice after the
/// other, so no more of this waits than there are sockets, and none of it is turned away: who has a socket is not to
/// lose it because many others were told the same.
pub(crate) async fn for_notice<T>(who: Who, work: impl Future<Output = T>) -> T {
    ASKER.scope(Asker { who: Cell::new(who), patience: Patience::Long }, work).await
}

/// From here on the current request is a matter of the account of which it has shown a live session.
pub(crate) fn proven(account: AccountId) {
    let _ = ASKER.try_with(|asker| {
        if asker.who.get() != Who::Server {
            asker.who.set(Who::Account(account));
        }
    });
}

#[cfg(test)]
mod tests;
