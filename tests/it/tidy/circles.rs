//! No file of `src` imports itself by way of others: a circle of files can only be understood as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{files, root};

type Path = Vec<String>;

/// The module path of each file, and the text of what it imports.
fn modules() -> BTreeMap<Path, String> {
    let src = root().join("src");
    let modules = files(&src, "rs").into_iter().map(|file| {
        let inside = file.strip_prefix(&src).unwrap().with_extension("");
        let mut path: Path =
            inside.components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
        if path.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
            path.pop();
        }
        let text = fs::read_to_string(&file).unwrap();
        // Tests within a file see more than the code does.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        (path, code)
    });
    modules.collect()
}

/// The paths that a `use` names, with its braces taken apart.
fn expanded(tree: &str) -> Vec<String> {
    let Some((before, rest)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[begin..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| expanded(&format!("{before}{}", part.trim()))).collect()
}

/// The modules that a file imports, without those that it lies in or that lie in it.
fn imported(own: &Path, code: &str, all: &BTreeMap<Path, String>) -> BTreeSet<Path> {
    let lines: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let uses = lines.split(';').filter_map(|statement| statement.rsplit_once("use ").map(|(_, tree)| tree));
    let named = uses.flat_map(expanded).filter_map(|name| {
        let mut base = own.clone();
        let mut rest: Vec<&str> = name.split("::").map(str::trim).collect();
        match *rest.first()? {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            _ => return None,
        }
        rest.remove(0);
        while rest.first() == Some(&"super") {
            base.pop();
            rest.remove(0);
        }
        base.extend(rest.iter().map(|part| (*part).to_owned()));
        (1..=base.len()).rev().map(|length| base[..length].to_vec()).find(|path| all.contains_key(path))
    });
    named.filter(|other| !own.starts_with(other) && !other.starts_with(own)).collect()
}

/// What can be reached from a module.
fn reached(from: &Path, arrows: &BTreeMap<Path, BTreeSet<Path>>) -> BTreeSet<Path> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(path) = next.pop() {
        for other in &arrows[&path] {
            if found.insert(other.clone()) {
                next.push(other.clone());
            }
        }
    }
    found
}

/// The files that lie on a circle.
fn circles(all: &BTreeMap<Path, String>) -> Vec<String> {
    let arrows = all.iter().map(|(path, code)| (path.clone(), imported(path, code, all))).collect();
    all.keys().filter(|path| reached(path, &arrows).contains(*path)).map(|path| path.join("::")).collect()
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let all = modules();
    assert!(all.len() > 150, "{}", all.len());
    assert_eq!(circles(&all), Vec::<String>::new());
}

#[test]
fn a_circle_is_found_through_braces_and_parents() {
    let path = |name: &str| name.split("::").map(str::to_owned).collect::<Path>();
    let module = |name: &str, code: &str| (path(name), code.to_owned());
    let all: BTreeMap<Path, String> = [
        module("a", "mod b;\nmod c;\nmod d;\n"),
        module("a::b", "use super::{c::{One, Two}, Three};\n"),
        module("a::c", "use std::fs;\nuse crate::a::d;\n"),
        module("a::d", "fn f() {\n    use super::b::*;\n}\n"),
        module("a::e", "//! use super::b;\nuse super::b;\n"),
    ]
    .into();
    assert_eq!(circles(&all), ["a::b", "a::c", "a::d"]);
}
