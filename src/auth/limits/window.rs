//! The sliding window of one key: what counts now, and attempts whose outcome is not known yet.

use std::collections::VecDeque;
use std::time::Duration;

/// Times are uptime.
#[derive(Default)]
pub(super) struct Window {
    /// When each of what counted is over, the soonest first.
    ends: VecDeque<Duration>,
    /// Attempts whose outcome is not known yet.
    pub(super) pending: u32,
}

impl Window {
    /// How much counts.
    pub(super) fn counted(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Adds `hits` that are over at `end`.
    pub(super) fn add(&mut self, end: Duration, hits: u32) {
        // Mostly the last; not so for another node's, nor where keys of several rules share a window.
        let place = self.ends.partition_point(|other| *other <= end);
        for _ in 0..hits {
            self.ends.insert(place, end);
        }
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, now: Duration) {
        while self.ends.front().is_some_and(|end| *end <= now) {
            self.ends.pop_front();
        }
    }

    /// Keeps the `most` that are over last.
    pub(super) fn keep(&mut self, most: u64) {
        while self.counted() > most {
            self.ends.pop_front();
        }
    }

    /// How long until less than `max` count.
    pub(super) fn wait(&self, now: Duration, max: u64) -> Duration {
        let last = usize::try_from(self.counted().saturating_sub(max)).unwrap_or(0);
        self.ends.get(last).map_or(Duration::ZERO, |end| end.saturating_sub(now))
    }

    /// Whether it says nothing any more.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.pending == 0 && self.ends.back().is_none_or(|end| *end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn window(hits: &[(u32, u32)]) -> Window {
        let mut window = Window::default();
        hits.iter().for_each(|(end, hits)| window.add(*end * SECOND, *hits));
        window
    }

    #[test]
    fn what_another_node_counted_takes_its_place_in_time() {
        let mut window = window(&[(10, 1), (30, 2), (20, 2)]);
        for (now, counted) in [(0, 5), (10, 4), (19, 4), (20, 2), (30, 0)] {
            window.forget(now * SECOND);
            assert_eq!(window.counted(), counted, "at {now}");
        }
    }

    #[test]
    fn more_than_may_be_wait_until_enough_is_over() {
        let window = window(&[(10, 1), (20, 1), (30, 1)]);
        for (max, wait) in [(3, 10), (2, 20), (1, 30), (4, 10)] {
            assert_eq!(window.wait(Duration::ZERO, max), wait * SECOND, "{max}");
        }
    }

    #[test]
    fn the_last_to_be_over_are_kept() {
        let mut window = window(&[(10, 5), (20, 2)]);
        window.keep(3);
        assert_eq!((window.counted(), window.wait(Duration::ZERO, 2)), (3, 20 * SECOND));
    }
}
