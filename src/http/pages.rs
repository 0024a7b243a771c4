//! The pages and their files, embedded in the binary.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use include_dir::{Dir, include_dir};

use super::Http;
use super::error::Refusal;
use crate::crypto::seal::{base64url, digest};

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/static");

/// Nothing from elsewhere, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<Http> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route("/account", get(|headers: HeaderMap| async move { file("account.html", &headers) }))
        .route("/phone", get(|headers: HeaderMap| async move { file("phone.html", &headers) }))
        .route("/favicon.ico", get(|headers: HeaderMap| async move { file("favicon.svg", &headers) }))
        .route(
            "/static/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| async move { file(&path, &headers) }),
        )
}

/// The documents of `static/docs`: their names, and their texts in Markdown.
pub(super) fn documents() -> impl Iterator<Item = (&'static str, &'static str)> {
    let files = FILES.get_dir("docs").into_iter().flat_map(Dir::files);
    files.filter_map(|file| {
        let name = file.path().file_name()?.to_str()?.strip_suffix(".md")?;
        Some((name, file.contents_utf8()?))
    })
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    match FILES.get_file(path) {
        Some(found) => Served::new(found.contents().into(), content_type(path), POLICY).answer(headers),
        None => Refusal::NotFound.into_response(),
    }
}

/// A file as browsers get it.
pub(super) struct Served {
    contents: Bytes,
    content_type: &'static str,
    policy: &'static str,
    tag: String,
}

impl Served {
    /// `policy` is the Content-Security-Policy.
    pub(super) fn new(contents: Bytes, content_type: &'static str, policy: &'static str) -> Self {
        let tag = format!("\"{}\"", base64url(&digest(&contents)[..12]));
        Self { contents, content_type, policy, tag }
    }

    /// The whole file, or 304 where the client has it already.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let common = [
            (CONTENT_TYPE, self.content_type.to_owned()),
            // Kept, but asked about each time: a new release shows at once.
            (CACHE_CONTROL, "no-cache".to_owned()),
            (CONTENT_SECURITY_POLICY, self.policy.to_owned()),
            (X_FRAME_OPTIONS, "DENY".to_owned()),
            (ETAG, self.tag.clone()),
        ];
        let known = headers.get(IF_NONE_MATCH).and_then(|v| v.to_str().ok());
        if known.is_some_and(|known| known.contains(&self.tag)) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, self.contents.clone()).into_response()
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}
