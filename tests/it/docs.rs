//! The documents as pages under `/docs`: all are served, nothing in them comes from elsewhere, every link leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::harness::{Answer, Server};

/// The names of the documents, the settings' page included.
fn names() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("static/docs");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let documents = files.filter_map(|file| file.strip_suffix(".md").map(str::to_owned));
    documents.chain(["settings".to_owned()]).collect()
}

/// The tags of a page: in its texts `<` is escaped.
fn tags(page: &str) -> impl Iterator<Item = &str> {
    page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap())
}

/// The values that an attribute has on a page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    tags(page).filter_map(|tag| tag.split_once(&begin)?.1.split('"').next()).collect()
}

/// Every page by its path.
async fn pages(server: &Server) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    let paths = names().into_iter().map(|name| format!("/docs/{name}")).chain(["/docs".to_owned()]);
    for path in paths {
        pages.insert(path.clone(), server.http.get(&path).await.expect(200).text);
    }
    pages
}

#[tokio::test]
async fn every_document_is_a_page_of_the_index() {
    let server = Server::start(&[]).await;
    let index = server.http.get("/docs").await.expect(200);
    assert_eq!(index.header("content-type"), "text/html; charset=utf-8");
    let listed: BTreeSet<String> = values(&index.text, "href")
        .into_iter()
        .filter_map(|to| to.strip_prefix("/docs/"))
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, names());
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_hold_nothing_inline() {
    let server = Server::start(&[]).await;
    for (path, page) in pages(&server).await {
        for tag in tags(&page) {
            let name = tag.split_whitespace().next().unwrap_or_default();
            assert!(!["script", "style", "iframe", "object", "base"].contains(&name), "{path}: {tag}");
            for inline in [" style=", " onclick=", " onload=", " onerror=", "javascript:"] {
                assert!(!tag.contains(inline), "{path}: {tag}");
            }
            let loaded = if name == "link" { tag.split_once(" href=\"") } else { tag.split_once(" src=\"") };
            if let Some((_, address)) = loaded {
                let address = address.split('"').next().unwrap();
                assert!(address.starts_with("/static/"), "{path}: {tag}");
                server.http.get(address).await.expect(200);
            }
        }
        let policy = server.http.get(&path).await.header("content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self';"), "{policy}");
    }
}

#[tokio::test]
async fn every_link_of_a_page_leads_to_a_place_that_is_there() {
    let server = Server::start(&[]).await;
    let pages = pages(&server).await;
    for (path, page) in &pages {
        let addresses: BTreeSet<&str> =
            values(page, "href").into_iter().filter(|to| !to.contains("://")).collect();
        for address in addresses {
            let (target, anchor) = address.split_once('#').unwrap_or((address, ""));
            let there = if target.is_empty() { Some(page) } else { pages.get(target) };
            match there {
                Some(there) => {
                    let is_there = anchor.is_empty() || values(there, "id").contains(&anchor);
                    assert!(is_there, "{path}: {address}");
                }
                None => drop(server.http.get(target).await.expect(200)),
            }
        }
    }
}

#[tokio::test]
async fn anchors_are_unique_and_the_table_of_contents_lists_every_section() {
    let server = Server::start(&[]).await;
    for (path, page) in pages(&server).await {
        let ids = values(&page, "id");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path}: {ids:?}");
        let sections: Vec<&str> = tags(&page).filter_map(|tag| tag.strip_prefix("h2 id=\"")).collect();
        let contents =
            page.split_once("<nav class=\"contents\"").map(|(_, rest)| rest.split("</nav>").next());
        assert_eq!(contents.is_some(), sections.len() > 1, "{path}");
        for section in sections.iter().filter(|_| contents.is_some()) {
            let link = format!("<a href=\"#{section}>");
            assert!(contents.flatten().unwrap().contains(&link), "{path}: {section}");
        }
    }
}

#[tokio::test]
async fn a_page_is_kept_and_asked_about_each_time() {
    let server = Server::start(&[]).await;
    let page = server.http.get("/docs/security").await.expect(200);
    assert_eq!(page.header("cache-control"), "no-cache");
    let tag = page.header("etag").to_owned();
    let again = server.http.request("GET", "/docs/security").header("if-none-match", tag).send().await;
    let again = Answer::read(again.unwrap()).await.expect(304);
    assert_eq!(again.text, "");
    let head = server.http.send("HEAD", "/docs/security", None, None).await.expect(200);
    assert_eq!((head.header("etag"), head.text.as_str()), (page.header("etag"), ""));
    assert_eq!(
        server.http.send("POST", "/docs/security", None, None).await.expect(405).header("allow"),
        "GET,HEAD"
    );
}

#[tokio::test]
async fn an_unknown_document_is_a_page_that_says_so() {
    let server = Server::start(&[]).await;
    for path in ["/docs/nothing", "/docs/security.md", "/docs/..%2Findex.html", "/docs/%00"] {
        let answer = server.http.get(path).await.expect(404);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(answer.text.contains("There is no such document"), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_settings_page_has_every_setting_with_its_default() {
    let server = Server::start(&[]).await;
    let page = server.http.get("/docs/settings").await.expect(200).text;
    let defaults = shipped_settings();
    assert!(defaults.len() > 70, "{defaults:?}");
    for (name, default) in defaults {
        let heading = format!("<h3 id=\"{name}\"><code>{name}</code> <code>{default}</code></h3>");
        assert!(page.contains(&heading), "{heading}");
    }
}

/// Names and defaults as `config.toml` has them.
fn shipped_settings() -> Vec<(String, String)> {
    let (mut section, mut settings) = ("", Vec::new());
    for line in include_str!("../../config.toml").lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((name, default)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            settings.push((format!("{section}.{name}"), default.to_owned()));
        }
    }
    settings
}
