//! Counts of keys that have no place in the table: a count-min sketch with conservative updates, keyed by chance, so that
//! nobody can aim at another's cells.
//!
//! It never counts too little. Each row is divided into blocks, and a network has one block of each row: a flood from
//! one network overestimates its own members, and another network only if it shares the block of every row.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use super::Key;
use crate::domain::networks::wide;

const ROWS: usize = 4;
const BLOCKS: usize = 256;
const CELLS: usize = 64;

/// 512 KiB.
pub(super) struct Sketch {
    chance: RandomState,
    cells: Vec<Cell>,
    window: Duration,
}

/// What was counted in this window's length of time, and in the one before it.
#[derive(Clone, Copy, Default)]
struct Cell {
    epoch: u32,
    current: u16,
    previous: u16,
}

impl Cell {
    fn at(self, epoch: u32) -> Self {
        match epoch.saturating_sub(self.epoch) {
            0 => self,
            1 => Self { epoch, current: 0, previous: self.current },
            _ => Self { epoch, current: 0, previous: 0 },
        }
    }
}

impl Sketch {
    pub(super) fn new(window: Duration) -> Self {
        let cells = vec![Cell::default(); ROWS * BLOCKS * CELLS];
        Self { chance: RandomState::new(), cells, window }
    }

    /// How often a key was counted in the last window, or more; never less.
    pub(super) fn estimate(&self, source: IpAddr, key: &Key, now: Duration) -> u32 {
        let epoch = self.epoch(now);
        let counted = self.places(source, key).map(|place| {
            let cell = self.cells.get(place).copied().unwrap_or_default().at(epoch);
            u32::from(cell.current) + u32::from(cell.previous)
        });
        counted.into_iter().min().unwrap_or(0)
    }

    /// Makes sure that a key counts at least so much.
    pub(super) fn raise(&mut self, source: IpAddr, key: &Key, count: u32, now: Duration) {
        let epoch = self.epoch(now);
        for place in self.places(source, key) {
            if let Some(cell) = self.cells.get_mut(place) {
                *cell = cell.at(epoch);
                let missing = count.saturating_sub(u32::from(cell.previous));
                cell.current = cell.current.max(u16::try_from(missing).unwrap_or(u16::MAX));
            }
        }
    }

    fn epoch(&self, now: Duration) -> u32 {
        u32::try_from(now.as_secs() / self.window.as_secs().max(1)).unwrap_or(u32::MAX)
    }

    fn places(&self, source: IpAddr, key: &Key) -> [usize; ROWS] {
        let pick = |hash: u64, of: usize| usize::try_from(hash % of as u64).unwrap_or(0);
        std::array::from_fn(|row| {
            let block = pick(self.chance.hash_one((row, wide(source))), BLOCKS);
            let cell = pick(self.chance.hash_one((row, key)), CELLS);
            (row * BLOCKS + block) * CELLS + cell
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_never_counts_too_little_and_forgets_after_two_windows() {
        let (mut sketch, source) = (Sketch::new(MINUTE), "192.0.2.1".parse().unwrap());
        for n in 0..1000_u32 {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&n.to_be_bytes());
            sketch.raise(source, &key, n % 7, Duration::ZERO);
        }
        for n in 0..1000_u32 {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&n.to_be_bytes());
            assert!(sketch.estimate(source, &key, MINUTE) >= n % 7);
            assert_eq!(sketch.estimate(source, &key, 2 * MINUTE), 0);
        }
    }

    #[test]
    fn a_flood_of_one_network_is_not_taken_for_another_s() {
        let (mut sketch, flood) = (Sketch::new(MINUTE), "2001:db8:1:2::1".parse().unwrap());
        for n in 0..100_000_u32 {
            let mut key = [0; 16];
            key[..4].copy_from_slice(&n.to_be_bytes());
            sketch.raise(flood, &key, 10, Duration::ZERO);
        }
        let others = (0..60).map(|n| IpAddr::from([198, 51, n, 1]));
        assert!(others.into_iter().all(|other| sketch.estimate(other, &[7; 16], Duration::ZERO) == 0));
    }
}
