//! The routes of the server as its source declares them, so that a table of routes in a test can't miss one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Method and path of every HTTP route, in the order of the paths.
pub(crate) fn routes() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&file).unwrap().replace("SOCKET_PATH", "\"/ws\"");
        let is_nested = file.ends_with("two_factor/mod.rs");
        assert_eq!(text.contains(".nest(\"/api/auth\""), is_nested, "{}", file.display());
        assert_eq!(text.matches(".nest(").count(), usize::from(is_nested), "{}", file.display());
        let prefix = if is_nested { "/api/auth" } else { "" };
        for declared in text.split(".route(").skip(1) {
            let declared = arguments(declared);
            let path = declared.split('"').nth(1).expect("a path in quotation marks");
            let methods: Vec<_> = METHODS.into_iter().filter(|method| calls(declared, method)).collect();
            assert!(!methods.is_empty(), "no method of {path} in {}", file.display());
            all.extend(methods.into_iter().map(|m| (m.to_uppercase(), format!("{prefix}{path}"))));
        }
    }
    all
}

/// A path with something in the place of each of its parameters.
pub(crate) fn filled(path: &str, value: impl Fn(&str) -> String) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        let (name, rest) = part.split_once('}').expect("a whole parameter");
        done + &value(name.trim_start_matches('*')) + rest
    })
}

/// What stands before the parenthesis that closes a call.
fn arguments(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    &text[..end.expect("a call that ends")]
}

fn calls(text: &str, method: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(&format!("{method}(")).any(|(at, _)| !text[..at].ends_with(is_name))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(read).filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}
