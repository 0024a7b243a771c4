//! What commands write to standard output: lines, tables, JSON, times.

use std::io::{ErrorKind, Write as _};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde_json::Value;

use super::failure::ReaderGone;
use crate::domain::time::Timestamp;

/// Writes a line, whole and at once.
///
/// # Errors
/// [`ReaderGone`] when nobody reads any more.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        outcome => outcome.context("standard output"),
    }
}

/// Writes a value as JSON for people and programs.
pub(super) fn json(value: &Value) -> anyhow::Result<()> {
    line(&format!("{value:#}"))
}

/// Writes rows under headings, in columns as wide as their widest cell; `empty` when there are none.
pub(super) fn table<const N: usize>(
    headings: [&str; N],
    rows: &[[String; N]],
    empty: &str,
) -> anyhow::Result<()> {
    if rows.is_empty() {
        return line(empty);
    }
    line(&columns(headings, rows))
}

/// A time as RFC 3339 in UTC, to the second.
pub(super) fn time(at: Timestamp) -> String {
    let since = Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since).to_string()
}

fn columns<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let show = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>();
        cells.join("  ").trim_end().to_owned()
    };
    all().map(show).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["p".to_owned(), "zoë@b.c".to_owned(), String::new()],
            ["doctor".into(), "x".into(), "y".into()],
        ];
        assert_eq!(
            columns(["kind", "email", ""], &rows),
            "kind    email\np       zoë@b.c\ndoctor  x        y"
        );
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(Timestamp(1_700_000_000_999)), "2023-11-14T22:13:20Z");
    }
}
