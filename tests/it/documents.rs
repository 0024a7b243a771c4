//! The documents are true: the tests and settings that they name exist, and their links lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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

/// The README and the pages of `static/docs`, with their texts.
fn documents() -> Vec<(PathBuf, String)> {
    let mut all = files(&root().join("static/docs"), "md");
    all.push(root().join("README.md"));
    all.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The name that stands after `word`, without what follows it.
fn named<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.split_once(word).filter(|(before, _)| !before.contains("//"))?.1;
    Some(rest.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next().unwrap_or_default())
}

/// The tests of a file by the names that Cargo gives them: `module::tests::name`.
fn tests_of(file: &Path, base: &Path) -> Vec<String> {
    let inside = file.strip_prefix(base).unwrap().with_extension("");
    let mut outer: Vec<&str> = inside.iter().map(|part| part.to_str().unwrap()).collect();
    if ["mod", "main", "lib"].contains(outer.last().unwrap()) {
        outer.pop();
    }
    let (mut inner, mut is_test, mut found) = (None, false, Vec::new());
    let text = fs::read_to_string(file).unwrap();
    for line in text.lines() {
        if !line.starts_with(' ') && line.ends_with('{') && line.contains("mod ") {
            inner = named(line, "mod ");
        } else if line == "}" {
            inner = None;
        } else if line.trim() == "#[test]" || line.trim().starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some(name) = named(line, "fn ") {
            found.push(outer.iter().copied().chain(inner).chain([name]).collect::<Vec<_>>().join("::"));
            is_test = false;
        }
    }
    found
}

fn tests() -> BTreeSet<String> {
    let bases = [root().join("tests/it"), root().join("src")];
    bases
        .iter()
        .flat_map(|base| files(base, "rs").into_iter().flat_map(|file| tests_of(&file, base)))
        .collect()
}

fn settings() -> BTreeSet<String> {
    let (text, mut section) = (fs::read_to_string(root().join("config.toml")).unwrap(), String::new());
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| !name.starts_with('#')) {
            found.insert(format!("{section}.{name}"));
        }
    }
    found
}

/// What a line has between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The anchors of a document's headings, as the usual renderers make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
    let anchor =
        |title: &str| title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
    text.lines()
        .filter(|line| line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(_, title)| anchor(title))
        .collect()
}

#[test]
fn every_test_and_setting_that_a_document_names_exists() {
    let (tests, settings) = (tests(), settings());
    let stages = fs::read_to_string(root().join("tests/run")).unwrap();
    let exists = |name: &str| match name.strip_prefix("tests/run ") {
        Some(stage) => {
            stages.contains(&format!("\nstage_{stage}()")) || stages.contains(&format!("'{stage} "))
        }
        None => tests.contains(name) || settings.contains(name),
    };
    let mut rows = 0;
    for (path, text) in documents() {
        let mut is_evidence = false;
        for line in text.lines() {
            if !line.starts_with('|') {
                is_evidence = false;
            } else if line.ends_with("| Shown by |") {
                is_evidence = true;
            } else if is_evidence && !line.starts_with("|---") {
                let cell = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
                let missing: Vec<&str> = quoted(cell).filter(|name| !exists(name)).collect();
                assert!(missing.is_empty(), "{}: there is no {missing:?}", path.display());
                assert!(quoted(cell).count() > 0, "{}: nothing shows {line:?}", path.display());
                rows += 1;
            }
        }
        let elsewhere = quoted(&text).filter(|name| name.contains("::") && name.matches('_').count() >= 3);
        for name in elsewhere.filter(|name| !name.contains(['\n', ' ', '('])) {
            assert!(tests.contains(name), "{}: there is no test {name}", path.display());
        }
    }
    assert!(rows > 50, "the tables of static/docs/security.md are read: {rows}");
}

#[test]
fn every_link_within_the_documents_leads_somewhere() {
    for (path, text) in documents() {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to);
        for target in targets.filter(|to| !to.contains("://") && !to.contains(char::is_whitespace)) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(to.exists(), "{}: {target}", path.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&to).unwrap());
                assert!(there.contains(anchor), "{}: {target}, of {there:?}", path.display());
            }
        }
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints = manifest.split_once("[lints.rust]\n").unwrap().1.split("\n[").next().unwrap();
    assert!(lints.lines().any(|line| line == "unsafe_code = \"forbid\""), "{lints}");
}
