//! Markdown to HTML: headings with ids, tables that fit narrow screens, links between the pages, no raw HTML.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::escape::escaped;
use super::{links, sequence, settings};

/// A rendered document.
pub(super) struct Document {
    /// The text of the first heading, which is not in the body.
    pub(super) title: String,
    /// The first sentence of the first paragraph.
    pub(super) summary: String,
    /// The headings of the second and third level, in order.
    pub(super) headings: Vec<Heading>,
    /// HTML.
    pub(super) body: String,
}

/// A heading below the title.
pub(super) struct Heading {
    /// 2 for a section, 3 for a part of one.
    pub(super) level: u8,
    /// The anchor that leads there.
    pub(super) id: String,
    pub(super) title: String,
}

/// Code of more characters than this may be broken into lines, at other places than spaces too.
const LONG_CODE: usize = 24;

/// The names of the settings; each has an anchor on the page of the settings.
static SETTINGS: LazyLock<BTreeSet<String>> = LazyLock::new(|| settings::names().collect());

/// Renders Markdown. `more` is syntax beside that of CommonMark and of tables.
pub(super) fn render(text: &str, more: Options) -> Document {
    let events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES | more).collect();
    let mut writer = Writer::default();
    let mut at = 0;
    while at < events.len() {
        at += writer.take(&events[at..]);
    }
    let mut body = String::with_capacity(text.len() * 2);
    html::push_html(&mut body, writer.out.into_iter());
    Document { title: writer.title, summary: writer.summary, headings: writer.headings, body }
}

/// Takes a document's events one after the other and keeps those that `push_html` shall write.
#[derive(Default)]
struct Writer<'a> {
    out: Vec<Event<'a>>,
    title: String,
    summary: String,
    headings: Vec<Heading>,
    /// How often each anchor has been given out.
    anchors: HashMap<String, usize>,
    /// The texts in the header of the table that is being written, and the number of the next cell below it.
    columns: Vec<String>,
    column: usize,
    /// For each link around the place: whether it is written, or its text alone.
    links: Vec<bool>,
    is_in_heading: bool,
}

impl<'a> Writer<'a> {
    /// Writes the first of these events, with those that belong to it; the result is their number.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most events are written as they are")]
    fn take(&mut self, events: &[Event<'a>]) -> usize {
        match &events[0] {
            Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }) if self.title.is_empty() => {
                let end = TagEnd::Heading(HeadingLevel::H1);
                self.title = text_of(&events[1..], end);
                return 1 + length(&events[1..], end);
            }
            Event::Start(Tag::Heading { level, id, .. }) => self.heading(*level, id.as_deref(), &events[1..]),
            Event::End(TagEnd::Heading(_)) => {
                self.is_in_heading = false;
                self.out.push(events[0].clone());
            }
            Event::Start(Tag::Paragraph) => self.paragraph(events),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) if &**language == "mermaid" => {
                return self.diagram(events);
            }
            Event::Start(Tag::Image { dest_url, .. }) => return self.image(dest_url, events),
            // Without alignments, which `push_html` would write as inline styles.
            Event::Start(Tag::Table(_)) => self.out.push(Event::Start(Tag::Table(Vec::new()))),
            Event::Start(Tag::TableHead) => return self.table_head(events),
            Event::Start(Tag::TableRow) => {
                self.column = 0;
                self.out.push(events[0].clone());
            }
            Event::Start(Tag::TableCell) => self.cell(),
            Event::End(TagEnd::TableCell) => self.html("</td>".to_owned()),
            Event::Start(Tag::Link { dest_url, .. }) => self.link(dest_url),
            Event::End(TagEnd::Link) => self.end_of_link(),
            Event::Code(text) if !self.is_in_heading => self.code(text),
            // Raw HTML becomes the text that it is.
            Event::Html(text) | Event::InlineHtml(text) => self.out.push(Event::Text(text.clone())),
            other => self.out.push(other.clone()),
        }
        1
    }

    fn html(&mut self, text: String) {
        self.out.push(Event::Html(text.into()));
    }

    /// `id` is the anchor that the document asks for.
    fn heading(&mut self, level: HeadingLevel, id: Option<&str>, inside: &[Event<'a>]) {
        let title = text_of(inside, TagEnd::Heading(level));
        let id = id.map_or_else(|| self.anchor(&title), str::to_owned);
        self.is_in_heading = true;
        self.out.push(Event::Start(Tag::Heading {
            level,
            id: Some(id.clone().into()),
            classes: Vec::new(),
            attrs: Vec::new(),
        }));
        let level = level as u8;
        if level == 2 || level == 3 {
            self.headings.push(Heading { level, id, title });
        }
    }

    /// The anchor that GitHub makes of a title; the same title again gets a number.
    fn anchor(&mut self, title: &str) -> String {
        let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
        let anchor = title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
        let before = self.anchors.entry(anchor.clone()).or_default();
        *before += 1;
        if *before == 1 { anchor } else { format!("{anchor}-{}", *before - 1) }
    }

    fn paragraph(&mut self, events: &[Event<'a>]) {
        if self.summary.is_empty() && !self.title.is_empty() {
            self.summary = first_sentence(&text_of(&events[1..], TagEnd::Paragraph));
        }
        self.out.push(events[0].clone());
    }

    fn diagram(&mut self, events: &[Event<'a>]) -> usize {
        let code = text_of(&events[1..], TagEnd::CodeBlock);
        let Some(list) = sequence::list(&code) else {
            self.out.push(events[0].clone());
            return 1;
        };
        self.html(list);
        1 + length(&events[1..], TagEnd::CodeBlock)
    }

    /// An image out of `static`; of any other the description alone.
    fn image(&mut self, target: &str, events: &[Event<'a>]) -> usize {
        let description = text_of(&events[1..], TagEnd::Image);
        match links::served(target).filter(|address| address.starts_with("/static/")) {
            Some(address) => self.html(format!(
                "<img src=\"{}\" alt=\"{}\" loading=\"lazy\">",
                escaped(&address),
                escaped(&description)
            )),
            None => self.out.push(Event::Text(description.into())),
        }
        1 + length(&events[1..], TagEnd::Image)
    }

    fn table_head(&mut self, events: &[Event<'a>]) -> usize {
        let length = 1 + length(&events[1..], TagEnd::TableHead);
        let head = &events[..length];
        let is_cell = |event: &Event<'_>| matches!(event, Event::Start(Tag::TableCell));
        let starts = (0..length).filter(|at| is_cell(&head[*at]));
        self.columns = starts.map(|at| text_of(&head[at + 1..], TagEnd::TableCell)).collect();
        self.out.extend_from_slice(head);
        length
    }

    /// A cell carries the title of its column: on narrow screens it stands before the cell.
    fn cell(&mut self) {
        let title = self.columns.get(self.column).map(|title| escaped(title)).unwrap_or_default();
        self.column += 1;
        self.html(if title.is_empty() { "<td>".to_owned() } else { format!("<td data-title=\"{title}\">") });
    }

    fn link(&mut self, target: &str) {
        let address = links::served(target);
        self.links.push(address.is_some());
        if let Some(address) = address {
            self.html(format!("<a href=\"{}\">", escaped(&address)));
        }
    }

    fn end_of_link(&mut self) {
        if self.links.pop() == Some(true) {
            self.html("</a>".to_owned());
        }
    }

    /// A setting leads to its place on the page of the settings. Long names may be broken where their parts meet.
    fn code(&mut self, text: &str) {
        let parts = escaped(text).replace('_', "_<wbr>").replace("::", "::<wbr>").replace('/', "/<wbr>");
        let code = if text.len() > LONG_CODE { parts } else { escaped(text) };
        let is_setting = self.links.is_empty() && SETTINGS.contains(text);
        self.html(match is_setting {
            true => format!("<a href=\"/docs/settings#{text}\"><code>{code}</code></a>"),
            false => format!("<code>{code}</code>"),
        });
    }
}

/// How many events there are up to this end, itself included.
fn length(events: &[Event<'_>], end: TagEnd) -> usize {
    events.iter().position(|event| *event == Event::End(end)).map_or(events.len(), |at| at + 1)
}

/// The text of the events up to this end, without what emphasises or links it.
fn text_of(events: &[Event<'_>], end: TagEnd) -> String {
    let mut text = String::new();
    for event in &events[..length(events, end)] {
        if let Event::Text(part) | Event::Code(part) = event {
            text.push_str(part);
        } else if matches!(event, Event::SoftBreak | Event::HardBreak) {
            text.push(' ');
        }
    }
    text
}

fn first_sentence(text: &str) -> String {
    text.find(". ").map_or(text, |at| &text[..=at]).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> String {
        render(text, Options::empty()).body
    }

    #[test]
    fn headings_have_the_anchors_of_the_repository_s_page() {
        let document =
            render("# T\n\nFirst. Second.\n\n## `/users`, *twice*\n\n## A b\n\n### A b\n", Options::empty());
        let ids: Vec<&str> = document.headings.iter().map(|heading| heading.id.as_str()).collect();
        assert_eq!(ids, ["users-twice", "a-b", "a-b-1"]);
        assert_eq!((document.title.as_str(), document.summary.as_str()), ("T", "First."));
        assert!(document.body.contains("<h3 id=\"a-b-1\">"), "{}", document.body);
    }

    #[test]
    fn raw_html_is_text() {
        assert_eq!(body("a <b onclick=\"x\">c"), "<p>a &lt;b onclick=\"x\"&gt;c</p>\n");
        assert!(!body("<script>alert(1)</script>\n").contains("<script"));
    }

    #[test]
    fn tables_have_no_inline_styles_and_their_cells_name_their_column() {
        let html = body("| A & B | |\n|:--|--:|\n| 1 | 2 |\n");
        assert!(html.contains("<td data-title=\"A &amp; B\">1</td><td>2</td>"), "{html}");
        assert!(!html.contains("style"), "{html}");
    }

    #[test]
    fn a_setting_leads_to_its_place_and_a_file_that_is_not_served_nowhere() {
        assert!(body("`server.listen`").contains("<a href=\"/docs/settings#server.listen\"><code>"));
        assert_eq!(body("[tests](../../tests/it) and `x.y`"), "<p>tests and <code>x.y</code></p>\n");
        assert_eq!(body("[*a*](b.md#c)"), "<p><a href=\"/docs/b#c\"><em>a</em></a></p>\n");
    }

    #[test]
    fn images_come_from_this_server() {
        let here = "<p><img src=\"/static/docs/a.png\" alt=\"The page\" loading=\"lazy\"></p>\n";
        assert_eq!(body("![The *page*](a.png)"), here);
        assert_eq!(body("![x](https://example.org/a.png)"), "<p>x</p>\n");
    }
}
