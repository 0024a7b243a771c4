//! Promise 7: waiting is nearly free. Ten thousand browsers against a server process of its own; run alone.

use serde_json::Value;

use crate::harness::run;

/// The most that one waiting browser may cost, in bytes of the server's user memory.
const MOST: f64 = 1536.0;

#[tokio::test]
async fn ten_thousand_waiting_browsers_cost_below_one_and_a_half_kibibytes_each() {
    let folder = tempfile::tempdir().unwrap();
    let done =
        run(&["bench", "--sockets", "10000", "--logins", "20", "--json"], &[], folder.path(), "").await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let figures: Value = serde_json::from_str(&done.stdout).unwrap();
    eprintln!("{figures}");
    let bytes = figures["bytes_per_socket"].as_f64().unwrap_or_else(|| panic!("{figures}"));
    assert!(bytes > 0.0 && bytes < MOST, "{bytes} bytes each");
}
