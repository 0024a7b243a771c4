//! The files for many nodes in containers: every setting that they give is one that the server reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use readylogin::config::{BusUrl, Config, StoreUrl};

/// What stands for the file's values, which come from an environment or from other containers' names.
const VALUES: &[(&str, &str)] = &[
    ("READYLOGIN_BUS__URL", "nats://readylogin:secret@nats:4222"),
    ("READYLOGIN_KEYS__SEAL", "abababababababababababababababababababababababababababababababab"),
    ("READYLOGIN_LOG__FORMAT", "json"),
    ("READYLOGIN_MAIL__FOLDER", "/var/lib/readylogin/mail"),
    ("READYLOGIN_MAIL__SMTP_URL", ""),
    ("READYLOGIN_SERVER__LISTEN", "0.0.0.0:8080"),
    ("READYLOGIN_SERVER__PUBLIC_URL", "http://localhost:8080"),
    ("READYLOGIN_SERVER__TRUSTED_PROXIES", "172.30.80.0/24"),
    ("READYLOGIN_STORE__URL", "postgres://readylogin:secret@postgres/readylogin"),
];

fn file() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose/compose.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// The variables that a container gets: what is set, not what the file takes from its own environment (`${…}`).
fn given(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.trim().split_once(": "));
    lines.filter(|(name, _)| name.starts_with("READYLOGIN_")).collect()
}

#[test]
fn every_setting_of_the_compose_file_is_read() {
    let text = file();
    let given: BTreeSet<_> = given(&text).into_keys().collect();
    assert_eq!(
        given,
        VALUES.iter().map(|(name, _)| *name).collect(),
        "VALUES lacks one, or has one too many"
    );
    let environment = VALUES.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = Config::load(None, environment).unwrap();
    assert_eq!(config.without_effect, Vec::<String>::new());
    assert!(matches!(config.store.url, StoreUrl::Postgres(_)), "nodes share a database");
    assert!(matches!(config.bus.url, BusUrl::Nats(_)), "nodes reach each other");
    assert!(config.keys.seal.is_some(), "nodes share a seal key");
}

#[test]
fn every_plain_value_of_the_compose_file_is_taken() {
    let text = file();
    let plain = given(&text).into_iter().filter(|(_, value)| !value.contains("${"));
    let environment: Vec<_> = plain.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert!(environment.len() >= 3, "{environment:?}");
    // Where the address is not loopback, a proxy has to be named.
    let proxy = ("READYLOGIN_SERVER__TRUSTED_PROXIES".to_owned(), "172.30.80.0/24".to_owned());
    Config::load(None, environment.into_iter().chain([proxy])).unwrap();
}

#[test]
fn the_engine_waits_longer_than_a_node_drains() {
    let text = file();
    let node = text.split("x-node:").nth(1).and_then(|rest| rest.split("\nservices:").next()).unwrap();
    let grace = node.lines().find_map(|line| line.trim().strip_prefix("stop_grace_period: ")).unwrap();
    let seconds: u64 = grace.trim_end_matches('s').parse().unwrap();
    let drain = Config::load(None, []).unwrap().server.drain.as_secs();
    assert!(seconds > drain + 3, "{seconds} s for {drain} s, and 3 s to write down what was counted last");
}
