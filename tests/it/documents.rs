//! The documents are true: the tests and settings that they name exist, their links and the citations of comments lead to
//! a heading, and they leave out no route and no error code.

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

/// A document's headings; lines within a code block are none.
fn headings(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let is_heading = |line: &&str| {
        is_code ^= line.starts_with("```");
        !is_code && line.starts_with('#')
    };
    text.lines().filter(is_heading).filter_map(|line| line.split_once(' ')).map(|(_, title)| title).collect()
}

/// The anchors of a document's headings, as the usual renderers make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
    let anchor =
        |title: &str| title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
    headings(text).into_iter().map(anchor).collect()
}

/// The files whose comments may cite a document.
fn sources() -> Vec<PathBuf> {
    let own = |path: &PathBuf| {
        !path.ends_with("tests/it/documents.rs") && !path.to_str().unwrap().contains("/vendor/")
    };
    let found = ["src", "tests", "static"].map(|folder| root().join(folder));
    let found = found.iter().flat_map(|base| {
        ["rs", "js", "mjs", "sql", "css", "html"].map(|ending| files(base, ending)).concat()
    });
    found.chain([root().join("config.toml")]).filter(own).collect()
}

/// A source's comments as one line, so that a citation may go over the end of a line.
fn comments(text: &str) -> String {
    let leaders: &[char] = &['/', '!', '*', '#', '-', '<'];
    let comment = |line: &str| {
        let line = line.trim();
        let is_comment = ["//", "/*", "*", "# ", "--", "<!--"].iter().any(|leader| line.starts_with(leader));
        is_comment.then(|| line.trim_start_matches(leaders).trim().to_owned())
    };
    text.lines().filter_map(comment).collect::<Vec<_>>().join(" ")
}

/// The documents that a source cites, `docs/protocol.md, "Mailed codes"`, with the heading where one is named.
fn citations(text: &str) -> Vec<(String, Option<String>)> {
    let text = comments(text);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let cited = |(end, ending): (usize, &str)| {
        let (before, rest) = (&text[..end], &text[end + ending.len()..]);
        let begin = before.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        let heading = rest.strip_prefix(", \"").and_then(|title| title.split_once('"'));
        (format!("{}{ending}", &before[begin..]), heading.map(|(title, _)| title.to_owned()))
    };
    text.match_indices(".md").map(cited).collect()
}

/// The file that a citation names: in `static/docs`, in the repository's root, or beside the source.
fn cited_file(source: &Path, name: &str) -> Option<PathBuf> {
    let places = [root().join("static"), root(), source.parent().unwrap().to_owned()];
    places.iter().map(|place| place.join(name)).find(|file| file.is_file())
}

/// What stands between `before` and the next quotation mark, each time.
fn between<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split_once('"')).map(|(inner, _)| inner)
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
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
fn every_citation_in_a_comment_names_a_document_and_a_heading_that_exist() {
    let mut found = 0;
    for source in sources() {
        for (document, heading) in citations(&fs::read_to_string(&source).unwrap()) {
            let file = cited_file(&source, &document);
            let file = file.unwrap_or_else(|| panic!("{}: there is no {document}", source.display()));
            let text = fs::read_to_string(file).unwrap();
            if let Some(heading) = heading {
                let there = headings(&text).contains(&heading.as_str());
                assert!(there, "{}: {document} has no heading {heading:?}", source.display());
            }
            found += 1;
        }
    }
    assert!(found > 40, "citations are found: {found}");
}

#[test]
fn a_citation_is_read_over_the_end_of_a_line() {
    let text = "/// Dead (docs/protocol.md, \"Mailed\n    /// codes\"), see docs/tokens.md.";
    let expected = [("docs/protocol.md", Some("Mailed codes")), ("docs/tokens.md", None)];
    let expected = expected.map(|(name, heading)| (name.to_owned(), heading.map(str::to_owned)));
    assert_eq!(citations(text), expected);
}

#[test]
fn every_setting_that_a_document_names_exists() {
    let settings = settings();
    // Events of the audit trail are named like settings.
    let events: String =
        files(&root().join("src/auth"), "rs").iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let sections: BTreeSet<&str> =
        settings.iter().filter_map(|name| Some(name.rsplit_once('.')?.0)).collect();
    let is_key = |key: &str| key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    for (path, text) in documents() {
        for name in quoted(&text) {
            let is_setting = |(section, key): (&str, &str)| sections.contains(section) && is_key(key);
            let is_setting = name.rsplit_once('.').is_some_and(is_setting) && !name.ends_with(".rs");
            let exists = settings.contains(name) || events.contains(&format!("\"{name}\""));
            assert!(!is_setting || exists, "{}: there is no setting {name}", path.display());
        }
    }
}

#[test]
fn every_error_code_is_in_the_protocol() {
    let errors = read("src/auth/error.rs");
    let codes = errors.split_once("fn code(").unwrap().1.split_once("\n    }").unwrap().0;
    let protocol = read("static/docs/protocol.md");
    let missing: Vec<&str> =
        between(codes, "=> \"").filter(|code| !protocol.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The texts between quotation marks in a source, its tests left out.
fn literals(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines();
    let code = code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    code.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_message_and_close_code_of_the_socket_is_in_the_protocol() {
    let (protocol, socket) = (read("static/docs/protocol.md"), root().join("src/ws"));
    // Attributes of serde are no messages.
    let is_message = |text: &String| !text.contains("::") && text != "camelCase";
    let messages: Vec<String> = literals(&socket.join("wire.rs")).into_iter().filter(is_message).collect();
    let missing: Vec<&String> = messages.iter().filter(|text| !protocol.contains(text.as_str())).collect();
    assert!(missing.is_empty() && messages.len() > 30, "{missing:?} of {messages:?}");
    let code = fs::read_to_string(socket.join("socket.rs")).unwrap();
    let codes = code.split("CloseCode::Library(").skip(1).map(|rest| &rest[..4]);
    let missing: Vec<&str> = codes.filter(|code| !protocol.contains(&format!("| {code} |"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_code_of_the_better_auth_api_is_in_its_document() {
    let document = read("static/docs/protocol-http.md");
    let is_code = |text: &String| text.len() > 4 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let codes = files(&root().join("src/http/two_factor"), "rs").into_iter().flat_map(|file| literals(&file));
    let codes: BTreeSet<String> = codes.filter(is_code).collect();
    let missing: Vec<&String> =
        codes.iter().filter(|code| !document.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty() && codes.len() > 20, "{missing:?} of {codes:?}");
}

#[test]
fn every_route_is_in_the_protocol() {
    let pages = root().join("src/http/pages.rs");
    let documents =
        ["protocol.md", "protocol-http.md"].map(|name| read(&format!("static/docs/{name}"))).concat();
    let mut routes = 0;
    for file in [files(&root().join("src/http"), "rs"), files(&root().join("src/ws"), "rs")].concat() {
        let text = fs::read_to_string(&file).unwrap().split_whitespace().collect::<Vec<_>>().join("");
        for route in between(&text, ".route(\"").filter(|_| file != pages) {
            // The device login is documented below its prefix.
            let route = route.strip_prefix("/api/v1/auth/").unwrap_or(route);
            assert!(documents.contains(route), "{}: {route}", file.display());
            routes += 1;
        }
    }
    assert!(routes > 40, "routes are found: {routes}");
}

#[test]
fn the_readme_stays_short() {
    assert!(read("README.md").lines().count() <= 300, "what is longer belongs into static/docs");
}

#[test]
fn every_stage_of_the_tests_is_in_contributing() {
    let run = read("tests/run");
    let table = run.split_once("\nstages=(\n").unwrap().1.split_once("\n)").unwrap().0;
    let contributing = read("static/docs/contributing.md");
    let stages = table.lines().filter_map(|line| line.trim().strip_prefix('\'')?.split(' ').next());
    let missing: Vec<&str> = stages.filter(|stage| !contributing.contains(&format!("`{stage}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints = manifest.split_once("[lints.rust]\n").unwrap().1.split("\n[").next().unwrap();
    assert!(lints.lines().any(|line| line == "unsafe_code = \"forbid\""), "{lints}");
}
