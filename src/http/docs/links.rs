//! Where the links of a document lead once it is a page: documents link each other as files of `static/docs`.

/// The address for a link's target, relative to `static/docs`. Nothing for a file of the repository that this server
/// does not serve.
pub(super) fn served(target: &str) -> Option<String> {
    if target.starts_with('#') || target.starts_with("https://") || target.starts_with("http://") {
        return Some(target.to_owned());
    }
    let (path, anchor) = target.find('#').map_or((target, ""), |at| target.split_at(at));
    match path {
        "../../config.toml" => Some(format!("/docs/settings{anchor}")),
        _ if path.contains(':') || path.starts_with('/') => None,
        _ => page(path).map(|page| format!("{page}{anchor}")),
    }
}

fn page(path: &str) -> Option<String> {
    if let Some(name) = path.strip_suffix(".md") {
        return (!name.contains('/')).then(|| format!("/docs/{name}"));
    }
    let in_static = match path.strip_prefix("../") {
        Some(outside) => outside.to_owned(),
        None => format!("docs/{path}"),
    };
    let is_file = in_static.rsplit('/').next().is_some_and(|file| file.contains('.'));
    (is_file && !in_static.contains("..")).then(|| format!("/static/{in_static}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, address: Option<&str>) {
        assert_eq!(served(target).as_deref(), address, "{target}");
    }

    #[test]
    fn documents_settings_and_files_of_static_have_addresses() {
        check("protocol.md", Some("/docs/protocol"));
        check("protocol.md#the-socket", Some("/docs/protocol#the-socket"));
        check("#here", Some("#here"));
        check("../../config.toml", Some("/docs/settings"));
        check("login.png", Some("/static/docs/login.png"));
        check("../js/readylogin.js", Some("/static/js/readylogin.js"));
        check("https://www.rfc-editor.org/rfc/rfc9457", Some("https://www.rfc-editor.org/rfc/rfc9457"));
    }

    #[test]
    fn files_that_are_not_served_and_other_schemes_have_none() {
        for target in [
            "../../tests/it",
            "../../src/lib.rs",
            "../../README.md",
            "javascript:alert(1)",
            "data:text/html,x",
            "/x",
            "../js",
        ] {
            check(target, None);
        }
    }
}
