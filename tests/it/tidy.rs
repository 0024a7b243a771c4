//! The house rules as tests: the map in `src/lib.rs` is true, arrows point down, every file says what lives there.

mod circles;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in the order of the map: each may use only those before it.
const ORDER: [&str; 16] = [
    "domain", "clock", "crypto", "config", "turns", "store", "mail", "auth", "bus", "broker", "net", "ws",
    "http", "app", "cli", "fuzz",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found
}

/// The module of `src` that a file belongs to.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The modules that a text names as `crate::…`, comments aside.
fn used(text: &str) -> BTreeSet<String> {
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let group = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).map(|(inner, _)| inner);
        for name in group.unwrap_or(rest).split(',').take(if group.is_some() { usize::MAX } else { 1 }) {
            let name: String =
                name.trim().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            used.insert(name);
        }
    }
    used
}

#[test]
fn every_file_opens_with_one_sentence_that_says_what_lives_there() {
    for file in [files(&root().join("src"), "rs"), files(&root().join("tests"), "rs")].concat() {
        let first = fs::read_to_string(&file).unwrap().lines().next().unwrap_or_default().to_owned();
        assert!(first.starts_with("//! ") && first.len() > 20, "{}: {first:?}", file.display());
    }
}

#[test]
fn arrows_point_down() {
    for file in files(&root().join("src"), "rs") {
        let module = module_of(&file);
        let Some(place) = ORDER.iter().position(|name| *name == module) else { continue };
        for name in used(&fs::read_to_string(&file).unwrap()) {
            let Some(other) = ORDER.iter().position(|known| *known == name) else { continue };
            assert!(other <= place, "{}: {module} uses {name}, which is above it", file.display());
            assert!(!(module == "http" && name == "ws"), "{}: http uses ws", file.display());
        }
    }
}

#[test]
fn the_map_lists_every_module_in_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1);
    let listed: Vec<String> =
        rows.map(|row| row.split('|').next().unwrap().trim().replace(['`', '[', ']'], "")).collect();
    assert_eq!(listed, ORDER);
    let architecture = fs::read_to_string(root().join("static/docs/architecture.md")).unwrap();
    let section = architecture.split_once("\n## The modules\n").unwrap().1.split("\n## ").next().unwrap();
    let described: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(described, ORDER);
    let modules: BTreeSet<String> = lib
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
        .map(|name| name.trim_end_matches(';').to_owned())
        .collect();
    assert_eq!(modules, ORDER.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn the_domain_knows_no_runtime_no_store_no_json_and_no_clock() {
    for file in files(&root().join("src/domain"), "rs") {
        let text = fs::read_to_string(&file).unwrap();
        for foreign in ["tokio", "sqlx", "serde", "SystemTime", "Instant", "getrandom"] {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.contains(foreign));
            assert!(!code, "{}: {foreign}", file.display());
        }
    }
}

#[test]
fn tokens_are_signed_in_one_place() {
    for file in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(&file).unwrap();
        let signs = text.contains("keyring.sign(") || text.contains("jwt::sign(");
        let path = file.strip_prefix(root().join("src")).unwrap().display().to_string();
        assert!(
            !signs || ["auth/mint.rs", "auth/keyring.rs"].contains(&path.as_str()),
            "{path} signs tokens"
        );
    }
}

#[test]
fn pages_hold_nothing_inline_and_nothing_from_elsewhere() {
    for file in files(&root().join("static"), "html") {
        let text = fs::read_to_string(&file).unwrap();
        for foreign in
            ["<style", "style=\"", "onclick", "javascript:", "src=\"http", "href=\"http", "<script>"]
        {
            assert!(!text.contains(foreign), "{}: {foreign}", file.display());
        }
    }
}

#[test]
fn both_databases_have_the_same_tables() {
    let migrations = |kind: &str| -> Vec<(String, String)> {
        let mut all = files(&root().join("src/store/migrations").join(kind), "sql");
        all.sort();
        let read = |file: &PathBuf| {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            // The two dialects differ in these two words alone.
            let text = fs::read_to_string(file).unwrap().replace("BYTEA", "BLOB");
            let numbered = "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY";
            (name, text.replace(numbered, "INTEGER PRIMARY KEY AUTOINCREMENT"))
        };
        all.iter().map(read).collect()
    };
    assert_eq!(migrations("sqlite"), migrations("postgres"));
}

/// What the bytes by which a secret is known are called. The types of `domain/secret.rs` compare in constant time.
const SECRETS: [&str; 6] = ["hash", "hashes", "mac", "macs", "digest", "hmac"];
/// Calls that yield one, wherever they stand in a comparison.
const YIELD_SECRETS: [&str; 5] = [".expose()", ".mac(", ".macs(", "digest(", "hmac("];
/// What compares byte by byte up to the first difference, beside `==` and `!=`.
const COMPARE: [&str; 6] = [".eq(", ".ne(", ".cmp(", ".starts_with(", ".ends_with(", ".contains("];

/// The statements of a source, comments and tests aside: a line that goes on with an operator or a call belongs to the
/// one before.
fn statements(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut statements: Vec<String> = Vec::new();
    for line in code.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let goes_on = ["==", "!=", "."].iter().any(|begin| line.starts_with(begin));
        match statements.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(line),
            None => statements.push(line.to_owned()),
        }
    }
    statements
}

/// Whether a statement compares a secret otherwise than in constant time.
fn compares_a_secret(statement: &str) -> bool {
    statement.split("&&").flat_map(|part| part.split("||")).any(|part| {
        let yields = YIELD_SECRETS.iter().any(|call| part.contains(call));
        match part.split_once("==").or(part.split_once("!=")) {
            Some((left, right)) => yields || ends_in_a_secret(left) || begins_with_a_secret(right),
            None => COMPARE.iter().any(|call| {
                part.split(call).skip(1).any(|argument| yields || begins_with_a_secret(argument))
            }),
        }
    })
}

fn ends_in_a_secret(left: &str) -> bool {
    let path = left.trim_end().trim_end_matches("()");
    path.rsplit(|c| !is_of_name(c)).next().is_some_and(|name| SECRETS.contains(&name))
}

fn begins_with_a_secret(right: &str) -> bool {
    let path = right.trim_start_matches([' ', '*', '&']);
    let path = path.split(|c| !is_of_name(c) && c != '.').next().unwrap_or_default();
    path.rsplit('.').next().is_some_and(|name| SECRETS.contains(&name))
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn a_comparison_of_a_secret_is_known_by_its_words() {
    for bad in [
        "if shown.expose() == kept {",
        "kept.hash == hash",
        "let is = known && hash != self.hash;",
        "root.mac(PURPOSE, &[text]) == shown",
        "text.starts_with(token.expose())",
        "*kept.hash != *shown",
        "hashes.contains(&kept.hash)",
    ] {
        assert!(compares_a_secret(bad), "{bad}");
    }
    for good in
        ["tx.execute(END, [arg(hash.as_slice())]).await? == 1", "token == self.token", "mac.ct_eq(&shown)"]
    {
        assert!(!compares_a_secret(good), "{good}");
    }
}

#[test]
fn secrets_are_compared_in_constant_time() {
    let is_test = |file: &Path| {
        let path = file.display().to_string();
        path.ends_with("tests.rs") || path.ends_with("vectors.rs") || path.contains("/broker/sim")
    };
    for file in files(&root().join("src"), "rs").into_iter().filter(|file| !is_test(file)) {
        let text = fs::read_to_string(&file).unwrap();
        for statement in statements(&text) {
            assert!(!compares_a_secret(&statement), "{}: {statement}", file.display());
        }
        // What is derived compares field by field.
        for item in text.split("#[derive(").skip(1) {
            let (derived, item) = item.split_once(")]").unwrap();
            let item =
                item.split("\n}\n").next().unwrap_or_default().split("\n\n").next().unwrap_or_default();
            let holds_secrets = item.contains("Zeroizing<");
            assert!(!(derived.contains("PartialEq") && holds_secrets), "{}: {item}", file.display());
        }
    }
}
