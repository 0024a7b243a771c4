//! The document of the settings, made from the shipped `config.toml`: every setting, its default and its comment.

use crate::config::DEFAULTS;

/// Settings that follow one another below one comment.
#[derive(Default)]
struct Group {
    comment: Vec<&'static str>,
    /// Name and default, as TOML writes them.
    settings: Vec<(&'static str, &'static str)>,
}

/// The names of all settings, such as `server.listen`.
pub(super) fn names() -> impl Iterator<Item = String> {
    sections().into_iter().flat_map(|(section, groups)| {
        let settings = groups.into_iter().flat_map(|group| group.settings);
        settings.map(move |(name, _)| format!("{section}.{name}")).collect::<Vec<_>>()
    })
}

/// The document as Markdown, with an anchor for each section and setting.
pub(super) fn markdown() -> String {
    let preamble = DEFAULTS.split("\n[").next().unwrap_or_default();
    let mut out = String::from("# Settings\n\n");
    for line in preamble.lines() {
        out.push_str(line.trim_start_matches('#').trim_start());
        out.push('\n');
    }
    for (section, groups) in sections() {
        out.push_str(&format!("\n## {section} {{#{section}}}\n"));
        for group in groups {
            for (name, default) in &group.settings {
                out.push_str(&format!("\n### `{section}.{name}` `{default}` {{#{section}.{name}}}\n"));
            }
            out.push('\n');
            for line in &group.comment {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// The sections in their order, each with its settings.
fn sections() -> Vec<(&'static str, Vec<Group>)> {
    let mut all: Vec<(&str, Vec<Group>)> = Vec::new();
    let mut group = Group::default();
    for line in DEFAULTS.lines().skip_while(|line| !line.starts_with('[')) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            finish(&mut all, &mut group);
            all.push((section, Vec::new()));
        } else if let Some(comment) = line.strip_prefix('#') {
            if !group.settings.is_empty() {
                finish(&mut all, &mut group);
            }
            group.comment.push(comment.trim());
        } else if let Some(setting) = line.split_once(" = ") {
            group.settings.push(setting);
        }
    }
    finish(&mut all, &mut group);
    all
}

/// Adds the group to the newest section, and begins another one.
fn finish(all: &mut [(&str, Vec<Group>)], group: &mut Group) {
    let group = std::mem::take(group);
    if let Some((_, groups)) = all.last_mut().filter(|_| !group.settings.is_empty()) {
        groups.push(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_a_comment_of_their_own_share_the_one_above() {
        let text = markdown();
        let shared = "### `server.header_timeout` `\"10s\"` {#server.header_timeout}\n\n\
                      ### `server.body_timeout` `\"20s\"` {#server.body_timeout}\n\nHow long";
        assert!(text.contains(shared), "{text}");
    }

    #[test]
    fn names_are_those_of_the_file() {
        let names: Vec<String> = names().collect();
        assert!(names.contains(&"server.tls.cert".to_owned()) && names.len() > 70, "{names:?}");
    }
}
