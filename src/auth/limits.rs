//! Rates per source and per source and address, in memory, bounded, by the injected clock.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dashmap::DashMap;

use super::Error;
use crate::clock::Clock;
use crate::crypto::seal::RootKey;
use crate::domain::account::Email;

/// Keys held at once; beyond that, those that say nothing any more are thrown out first.
const MAX_KEYS: usize = 100_000;

/// What may be done so often in a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    name: &'static str,
    max: u32,
    window: Duration,
}

const TEN_MINUTES: Duration = Duration::from_secs(600);

/// Wrong passwords from one source (CONTRACT.md section 2.1).
pub(crate) const PASSWORDS_PER_SOURCE: Rule = Rule { name: "password/source", max: 30, window: TEN_MINUTES };
/// Wrong passwords for one address from one source.
pub(crate) const PASSWORDS_PER_ADDRESS: Rule =
    Rule { name: "password/address", max: 10, window: TEN_MINUTES };
/// `readyLogin` from one source.
pub(crate) const PAIRINGS_PER_SOURCE: Rule =
    Rule { name: "pairing/source", max: 300, window: Duration::from_secs(60) };
/// Tickets that were used, expired or another account's, from one source.
pub(crate) const TICKETS_PER_SOURCE: Rule = Rule { name: "ticket/source", max: 30, window: TEN_MINUTES };
/// Accounts made from one source.
pub(crate) const REGISTRATIONS_PER_SOURCE: Rule =
    Rule { name: "register/source", max: 20, window: TEN_MINUTES };

/// Sliding windows by key. Addresses are held as keyed hashes only, whether their account exists or not.
pub(crate) struct Limits {
    factor: f64,
    clock: Clock,
    root: RootKey,
    hits: DashMap<[u8; 16], Window>,
}

struct Window {
    /// Times of the hits, oldest first, as uptime.
    at: VecDeque<Duration>,
    span: Duration,
}

/// A hit that may be taken back, once it turns out not to count.
#[must_use]
pub(crate) struct Hit {
    key: [u8; 16],
    at: Duration,
}

impl Limits {
    pub(crate) fn new(factor: f64, clock: Clock, root: RootKey) -> Self {
        Self { factor, clock, root, hits: DashMap::new() }
    }

    /// Counts one hit by `source`, or says how long to wait.
    pub(crate) fn hit(&self, rule: Rule, source: IpAddr) -> Result<Hit, Error> {
        self.count(rule, &[source_network(source).as_bytes()])
    }

    /// The same for an address tried from a source.
    pub(crate) fn hit_address(
        &self,
        rule: Rule,
        source: IpAddr,
        kind: &str,
        email: &Email,
    ) -> Result<Hit, Error> {
        self.count(rule, &[source_network(source).as_bytes(), kind.as_bytes(), email.key().as_bytes()])
    }

    /// Takes a hit back: what was tried was right.
    pub(crate) fn forgive(&self, hit: &Hit) {
        if let Some(mut window) = self.hits.get_mut(&hit.key)
            && let Some(place) = window.at.iter().rposition(|at| *at == hit.at)
        {
            window.at.remove(place);
        }
    }

    /// A count or a wait scaled by `limits.factor`: `None` when limits are off.
    pub(crate) fn scaled(&self, max: u32) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive, small number"
        )]
        (self.factor > 0.0).then(|| (f64::from(max) * self.factor).ceil().min(1e15) as u64)
    }

    /// A wait, the shorter the larger `limits.factor` is: `None` when limits are off.
    pub(crate) fn scaled_wait(&self, wait: Duration) -> Option<Duration> {
        (self.factor > 0.0)
            .then(|| Duration::try_from_secs_f64(wait.as_secs_f64() / self.factor).unwrap_or(wait))
    }

    /// Throws out what no longer limits anybody.
    pub(crate) fn sweep(&self) {
        let now = self.clock.uptime();
        self.hits.retain(|_, window| window.at.back().is_some_and(|at| *at + window.span > now));
    }

    fn count(&self, rule: Rule, parts: &[&[u8]]) -> Result<Hit, Error> {
        let now = self.clock.uptime();
        let mac = self.root.mac(rule.name, parts);
        let mut key = [0; 16];
        key.copy_from_slice(&mac[..16]);
        let Some(max) = self.scaled(rule.max) else { return Ok(Hit { key, at: now }) };
        if self.hits.len() >= MAX_KEYS {
            self.sweep();
        }
        let mut window =
            self.hits.entry(key).or_insert_with(|| Window { at: VecDeque::new(), span: rule.window });
        while window.at.front().is_some_and(|at| *at + rule.window <= now) {
            window.at.pop_front();
        }
        if window.at.len() as u64 >= max {
            let oldest = window.at.front().copied().unwrap_or(now);
            return Err(Error::TooManyRequests((oldest + rule.window).saturating_sub(now)));
        }
        window.at.push_back(now);
        Ok(Hit { key, at: now })
    }
}

/// What counts as one source: an IPv4 address, or the /64 that one IPv6 customer has.
pub(crate) fn source_network(source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn limits(factor: f64) -> (Limits, Clock) {
        let clock = Clock::manual(Timestamp(0));
        (Limits::new(factor, clock.clone(), RootKey::generate()), clock)
    }

    const RULE: Rule = Rule { name: "test", max: 2, window: Duration::from_secs(60) };
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn the_third_of_two_waits_until_the_first_is_old() {
        let (limits, clock) = limits(1.0);
        assert!(limits.hit(RULE, HERE).is_ok());
        clock.advance(Duration::from_secs(20));
        assert!(limits.hit(RULE, HERE).is_ok());
        assert_eq!(limits.hit(RULE, HERE).err(), Some(Error::TooManyRequests(Duration::from_secs(40))));
        clock.advance(Duration::from_secs(40));
        assert!(limits.hit(RULE, HERE).is_ok());
    }

    #[test]
    fn what_was_right_is_forgiven() {
        let (limits, _) = limits(1.0);
        for _ in 0..10 {
            limits.forgive(&limits.hit(RULE, HERE).unwrap());
        }
    }

    #[test]
    fn the_factor_stretches_and_switches_off() {
        let (wide, _) = limits(2.0);
        assert_eq!((0..9).filter(|_| wide.hit(RULE, HERE).is_ok()).count(), 4);
        let (off, _) = limits(0.0);
        assert_eq!((0..9).filter(|_| off.hit(RULE, HERE).is_ok()).count(), 9);
    }

    #[test]
    fn one_ipv6_customer_is_one_source() {
        let of = |text: &str| source_network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn old_keys_are_thrown_out() {
        let (limits, clock) = limits(1.0);
        let _ = limits.hit(RULE, HERE).unwrap();
        clock.advance(Duration::from_secs(61));
        limits.sweep();
        assert!(limits.hits.is_empty());
    }
}
