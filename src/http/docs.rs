//! The documents of `static/docs` as pages, and a page with all settings.

mod escape;
mod links;
mod render;
mod sequence;
mod settings;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_FRAME_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use pulldown_cmark::Options;

use self::escape::escaped;
use self::render::{Document, render};
use super::Http;
use super::pages::{Served, documents};

/// The pages have no script; nothing is loaded but the style sheets and images of this server.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";

const LAYOUT: &str = include_str!("docs/page.html");

/// The index in its order: a heading, and the names of the documents below it. A document that is not named here
/// stands below the last heading.
const INDEX: [(&str, &[&str]); 4] = [
    ("Put it into an application", &["integration", "protocol", "protocol-http", "tokens"]),
    ("Run it", &["operations", "settings", "what-changed"]),
    ("Judge it", &["security", "architecture"]),
    ("Change it, look it up", &["contributing", "glossary"]),
];

/// Every page by the name in its path, rendered at the first request for one of them.
static PAGES: LazyLock<BTreeMap<String, Served>> = LazyLock::new(all_pages);

pub(super) fn routes() -> Router<Http> {
    Router::new()
        .route("/docs", get(|headers: HeaderMap| async move { page("", &headers) }))
        .route("/docs/", get(|| async { Redirect::permanent("/docs") }))
        .route(
            "/docs/{name}",
            get(|Path(name): Path<String>, headers: HeaderMap| async move { page(&name, &headers) }),
        )
}

/// The page of this name, the index for an empty one.
fn page(name: &str, headers: &HeaderMap) -> Response {
    match PAGES.get(name) {
        Some(page) => page.answer(headers),
        None => missing(),
    }
}

/// The page of the settings; its table of contents lists the sections.
fn settings_page() -> Document {
    let mut document = render(&settings::markdown(), Options::ENABLE_HEADING_ATTRIBUTES);
    document.headings.retain(|heading| heading.level == 2);
    document
}

fn all_pages() -> BTreeMap<String, Served> {
    let mut all: BTreeMap<String, Document> =
        documents().map(|(name, text)| (name.to_owned(), render(text, Options::empty()))).collect();
    all.insert("settings".to_owned(), settings_page());
    let index = served(laid_out("Documents", "", &index(&all)));
    let pages = all.into_iter().map(|(name, document)| {
        let contents = contents(&document);
        (name, served(laid_out(&document.title, &contents, &document.body)))
    });
    pages.chain([(String::new(), index)]).collect()
}

fn served(page: String) -> Served {
    Served::new(page.into(), HTML, POLICY)
}

fn missing() -> Response {
    let body = "<p><a href=\"/docs\">All documents</a></p>\n";
    let headers = [(CONTENT_TYPE, HTML), (CONTENT_SECURITY_POLICY, POLICY), (X_FRAME_OPTIONS, "DENY")];
    (StatusCode::NOT_FOUND, headers, laid_out("There is no such document", "", body)).into_response()
}

/// A whole page. The body comes last, so that no text of a document is taken for a place to fill.
fn laid_out(title: &str, contents: &str, body: &str) -> String {
    LAYOUT.replace("{title}", &escaped(title)).replace("{contents}", contents).replace("{body}", body)
}

/// The table of contents, two levels deep.
fn contents(document: &Document) -> String {
    if document.headings.len() < 2 {
        return String::new();
    }
    let mut out = String::from("<nav class=\"contents\" aria-labelledby=\"contents-title\">\n");
    out.push_str("<p id=\"contents-title\">On this page</p>\n<ol>\n");
    let mut is_nested = false;
    for (at, heading) in document.headings.iter().enumerate() {
        let goes_deeper = heading.level > 2 && at > 0;
        match (is_nested, goes_deeper) {
            (false, true) => out.push_str("<ol>\n"),
            (true, false) => out.push_str("</li>\n</ol>\n</li>\n"),
            (_, _) if at > 0 => out.push_str("</li>\n"),
            (_, _) => {}
        }
        is_nested = goes_deeper;
        let (id, title) = (escaped(&heading.id), escaped(&heading.title));
        out.push_str(&format!("<li><a href=\"#{id}\">{title}</a>"));
    }
    out.push_str(if is_nested { "</li>\n</ol>\n</li>\n" } else { "</li>\n" });
    out + "</ol>\n</nav>\n"
}

fn index(all: &BTreeMap<String, Document>) -> String {
    let mut out = String::from("<div class=\"groups\">\n");
    let is_listed = |name: &str| INDEX.iter().any(|(_, names)| names.contains(&name));
    let others: Vec<&str> = all.keys().map(String::as_str).filter(|name| !is_listed(name)).collect();
    for (at, (heading, names)) in INDEX.iter().enumerate() {
        let last = if at + 1 == INDEX.len() { others.as_slice() } else { &[] };
        let entries: String =
            names.iter().chain(last).filter_map(|name| Some(entry(name, all.get(*name)?))).collect();
        if !entries.is_empty() {
            out.push_str(&format!(
                "<section>\n<h2>{heading}</h2>\n<ul class=\"documents\">\n{entries}</ul>\n</section>\n"
            ));
        }
    }
    out + "</div>\n"
}

fn entry(name: &str, document: &Document) -> String {
    let (title, summary) = (escaped(&document.title), escaped(&document.summary));
    format!("<li><a href=\"/docs/{name}\">{title}</a>\n<p>{summary}</p></li>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_shipped_settings_is_on_the_page() {
        let page = settings_page().body.replace("&gt;", ">").replace("&lt;", "<").replace("<code>", "`");
        let page = page.replace("</code>", "`").replace("<wbr>", "");
        for line in crate::config::DEFAULTS.lines().filter(|line| !line.is_empty() && !line.starts_with('['))
        {
            let text = match line.split_once(" = ") {
                Some((_, default)) if !line.starts_with('#') => format!("`{default}`"),
                _ => line.trim_start_matches('#').trim().to_owned(),
            };
            assert!(page.contains(&text), "{text}");
        }
    }
}
