//! What the nodes counted towards their rates: each writes rows of its own, in turn, and reads those of the others.

use std::time::Duration;

use super::{Error, Row, Tx, arg};
use crate::domain::time::Timestamp;

/// Counts that one row holds at most.
pub(crate) const COUNTS: usize = 1000;
/// The bytes of a count: key, milliseconds left, hits.
const BYTES: usize = 24;

const ADD: &str = "INSERT INTO rates (node, number, written_at, expires_at, counts) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (node, number) DO NOTHING";
/// The newest row of each node, jumping from node to node in the index: as cheap with a thousand rows of each as with one.
const HEADS: &str = "WITH RECURSIVE nodes (node) AS (SELECT MIN(node) FROM rates UNION ALL \
     SELECT (SELECT MIN(r.node) FROM rates r WHERE r.node > n.node) FROM nodes n WHERE n.node IS NOT NULL) \
     SELECT n.node, (SELECT MAX(r.number) FROM rates r WHERE r.node = n.node) FROM nodes n WHERE n.node IS NOT NULL";
const AFTER: &str =
    "SELECT number, written_at, counts FROM rates WHERE node = $1 AND number > $2 ORDER BY number LIMIT 32";

/// How often one key was hit, and how long that counts still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    /// A keyed hash of what is limited, the same on every node.
    pub(crate) key: [u8; 16],
    /// At the time at which it is written; to the millisecond.
    pub(crate) left: Duration,
    pub(crate) hits: u32,
}

/// What a node wrote at once.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) number: i64,
    /// By the clock of the node that wrote it.
    pub(crate) at: Timestamp,
    pub(crate) counts: Vec<Count>,
}

/// Adds a row of a node. Adding the same number again does nothing: who has not heard whether it was written tries again.
pub(crate) async fn add(
    tx: &mut Tx,
    node: i64,
    number: i64,
    counts: &[Count],
    now: Timestamp,
) -> Result<(), Error> {
    let longest = counts.iter().map(|count| count.left).max().unwrap_or_default();
    let bytes: Vec<u8> = counts.iter().flat_map(encoded).collect();
    let args = [arg(node), arg(number), arg(now), arg(now.plus(longest)), arg(bytes.as_slice())];
    tx.execute(ADD, args).await.map(drop)
}

/// Each node of which there are rows, and the number of its newest.
pub(crate) async fn heads(tx: &mut Tx) -> Result<Vec<(i64, i64)>, Error> {
    tx.all(HEADS, []).await?.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

/// A node's next rows after `number`, in turn; ask again until there are none.
pub(crate) async fn after(tx: &mut Tx, node: i64, number: i64) -> Result<Vec<Written>, Error> {
    tx.all(AFTER, [arg(node), arg(number)]).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Written, Error> {
    let bytes: Vec<u8> = row.get(2)?;
    let counts = bytes.chunks_exact(BYTES).filter_map(decoded).collect();
    Ok(Written { number: row.get(0)?, at: Timestamp(row.get(1)?), counts })
}

fn encoded(count: &Count) -> [u8; BYTES] {
    let left = u32::try_from(count.left.as_millis()).unwrap_or(u32::MAX);
    let mut bytes = [0; BYTES];
    bytes[..16].copy_from_slice(&count.key);
    bytes[16..20].copy_from_slice(&left.to_be_bytes());
    bytes[20..].copy_from_slice(&count.hits.to_be_bytes());
    bytes
}

fn decoded(bytes: &[u8]) -> Option<Count> {
    let (key, rest) = bytes.split_first_chunk()?;
    let (left, hits) = rest.split_first_chunk()?;
    let left = Duration::from_millis(u32::from_be_bytes(*left).into());
    Some(Count { key: *key, left, hits: u32::from_be_bytes(hits.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_the_same_after_the_store() {
        let count = Count { key: *b"0123456789abcdef", left: Duration::from_millis(599_999), hits: 7 };
        assert_eq!(decoded(&encoded(&count)), Some(count));
        assert_eq!(decoded(&[0; BYTES - 1]), None);
    }
}
