//! Mermaid's sequence diagrams as numbered lists: the pages run no script that could draw them.

use super::escape::escaped;

/// The list for a diagram, as HTML; nothing for a text that is no sequence diagram.
pub(super) fn list(diagram: &str) -> Option<String> {
    let mut lines = diagram.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next().filter(|first| *first == "sequenceDiagram")?;
    let mut names: Vec<(&str, &str)> = Vec::new();
    let mut steps = String::new();
    for line in lines {
        if let Some((short, long)) = line.strip_prefix("participant ").and_then(|it| it.split_once(" as ")) {
            names.push((short.trim(), long.trim()));
        } else if let Some(step) = step(line, &names) {
            steps.push_str(&format!("<li>{step}</li>\n"));
        }
    }
    Some(format!("<ol class=\"sequence\">\n{steps}</ol>\n"))
}

/// `A->>B: text` or `Note over A: text`.
fn step(line: &str, names: &[(&str, &str)]) -> Option<String> {
    let (way, text) = line.split_once(':')?;
    let text = escaped(text.trim());
    let name = |short: &str| {
        let long =
            names.iter().find(|(known, _)| *known == short.trim()).map_or(short.trim(), |(_, long)| long);
        format!("<b>{}</b>", escaped(long))
    };
    if let Some(places) = way.strip_prefix("Note over ").or_else(|| way.strip_prefix("Note right of ")) {
        let places: Vec<String> = places.split(',').map(name).collect();
        return Some(format!("{}: {text}", places.join(", ")));
    }
    let arrow = ["-->>", "->>", "-->", "->"].into_iter().find(|arrow| way.contains(arrow))?;
    let (from, to) = way.split_once(arrow)?;
    Some(format!("{} <span aria-label=\"to\">→</span> {}: {text}", name(from), name(to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_names_who_says_what_to_whom() {
        let html =
            list("sequenceDiagram\n  participant B as Browser\n  B->>R: <hello>\n  Note over R: waits")
                .unwrap();
        assert!(
            html.contains("<b>Browser</b> <span aria-label=\"to\">→</span> <b>R</b>: &lt;hello&gt;"),
            "{html}"
        );
        assert!(html.contains("<li><b>R</b>: waits</li>"), "{html}");
    }

    #[test]
    fn other_diagrams_are_left_alone() {
        assert_eq!(list("flowchart LR\n a --> b"), None);
    }
}
