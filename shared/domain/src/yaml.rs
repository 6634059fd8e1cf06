//! YAML with the place of every scalar: what the byte-preserving edit needs and serde cannot give.

mod compare;
mod path;
mod scalar;

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Tag, options};
use serde_json::Value;

pub(crate) use compare::first_difference;
pub use path::{InvalidPath, Path, Step};
pub(crate) use scalar::{Style, written};

/// One node of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// 1-based line of its start.
    pub(crate) line: usize,
    /// Number of its anchor in the text; 0 for none.
    pub(crate) anchor: usize,
    /// A tag that somebody wrote.
    pub(crate) tag: Option<String>,
    /// What it is.
    pub(crate) content: Content,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// A scalar.
    Scalar {
        /// Decoded.
        value: String,
        /// How it is written.
        style: Style,
        /// Its bytes in the text, quotes included, anchor and tag not.
        bytes: Range<usize>,
    },
    /// A mapping, in the order of the text.
    Map(Vec<(Node, Node)>),
    /// A sequence.
    Seq(Vec<Node>),
    /// A reference to the anchor of this number.
    Alias(usize),
}

impl Node {
    /// Value of a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Content::Map(entries) = &self.content else { return None };
        entries.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// Value at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Value at a path; no alias is followed.
    pub(crate) fn at_path(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => match &node.content {
                Content::Seq(items) => items.get(*index),
                _ => None,
            },
            Step::Where { key, value } => {
                let Content::Seq(items) = &node.content else { return None };
                let mut matching =
                    items.iter().filter(|item| item.get(key).and_then(Self::as_str) == Some(value));
                matching.next().filter(|_| matching.next().is_none())
            }
        })
    }

    /// A scalar's value.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { value, .. } => Some(value),
            Content::Map(_) | Content::Seq(_) | Content::Alias(_) => None,
        }
    }

    /// A scalar as data; text where a tag says what it is.
    pub(crate) fn data(&self) -> Option<Value> {
        match &self.content {
            Content::Scalar { value, style, .. } if self.tag.is_none() => Some(scalar::data(value, *style)),
            Content::Scalar { value, .. } => Some(Value::from(value.as_str())),
            Content::Map(_) | Content::Seq(_) | Content::Alias(_) => None,
        }
    }

    /// The bytes of a scalar in the text it was read from, quotes included. `None` for what is no scalar, a block, or
    /// written over several lines: there is no one place to put a new value.
    pub(crate) fn bytes(&self, text: &str) -> Option<Range<usize>> {
        let Content::Scalar { value, style, bytes } = &self.content else { return None };
        let own = text.get(bytes.clone())?;
        let is_whole = match style {
            Style::Plain => own == value,
            Style::Single => own.len() > 1 && own.starts_with('\'') && own.ends_with('\''),
            Style::Double => own.len() > 1 && own.starts_with('"') && own.ends_with('"'),
            Style::Block => false,
        };
        (is_whole && !own.contains(['\n', '\r'])).then(|| bytes.clone())
    }
}

/// Every alias by which something else reads the scalar at a path: aliases of its own anchor, and of the anchor of a
/// collection that holds it. With their lines.
pub(crate) fn readers(document: &Node, path: &Path) -> Vec<(Path, usize)> {
    let mut anchors = vec![document.anchor];
    for length in 1..=path.0.len() {
        anchors.extend(document.at_path(&Path(path.0[..length].to_vec())).map(|node| node.anchor));
    }
    anchors.retain(|anchor| *anchor != 0);
    let mut found = Vec::new();
    if !anchors.is_empty() {
        aliases(document, &anchors, &mut Vec::new(), &mut found);
    }
    found
}

fn aliases(node: &Node, of: &[usize], at: &mut Vec<Step>, found: &mut Vec<(Path, usize)>) {
    match &node.content {
        Content::Alias(anchor) if of.contains(anchor) => found.push((Path(at.clone()), node.line)),
        Content::Alias(_) | Content::Scalar { .. } => {}
        Content::Map(entries) => {
            for (position, (key, value)) in entries.iter().enumerate() {
                at.push(Step::Key(key.as_str().map_or_else(|| format!("?{position}"), str::to_owned)));
                aliases(key, of, at, found);
                aliases(value, of, at, found);
                at.pop();
            }
        }
        Content::Seq(items) => {
            for (position, item) in items.iter().enumerate() {
                at.push(Step::Index(position));
                aliases(item, of, at, found);
                at.pop();
            }
        }
    }
}

/// An unfinished collection while events come in.
enum Open {
    Map(Vec<(Node, Node)>, Option<Node>),
    Seq(Vec<Node>),
}

/// Reads every document of a text. The error says line and cause.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, String> {
    let mut documents = Vec::new();
    let mut open: Vec<(Open, Node)> = Vec::new();
    let options = options! { emit_comments: false };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) =
            event.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        let line = span.start.line();
        let node = |anchor: usize, tag: Option<std::borrow::Cow<'_, Tag>>, content| Node {
            line,
            anchor,
            tag: tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix())),
            content,
        };
        let done = match event {
            Event::Scalar(value, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                let bytes = span.byte_range().unwrap_or_default();
                node(anchor, tag, Content::Scalar { value: value.into_owned(), style, bytes })
            }
            Event::Alias(anchor) => node(0, None, Content::Alias(anchor)),
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Map(Vec::new());
                open.push((Open::Map(Vec::new(), None), node(anchor, tag, content)));
                continue;
            }
            Event::SequenceStart(_, anchor, tag) => {
                let content = Content::Seq(Vec::new());
                open.push((Open::Seq(Vec::new()), node(anchor, tag, content)));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => match open.pop() {
                Some((Open::Map(entries, _), head)) => Node { content: Content::Map(entries), ..head },
                Some((Open::Seq(items), head)) => Node { content: Content::Seq(items), ..head },
                None => return Err(format!("line {line}: a collection ends that never began")),
            },
            // Starts and ends of stream and documents; comments and anchors' names are not asked for.
            _ => {
                continue;
            }
        };
        match open.last_mut() {
            None => documents.push(done),
            Some((Open::Seq(items), _)) => items.push(done),
            Some((Open::Map(entries, key), _)) => match key.take() {
                None => *key = Some(done),
                Some(name) => {
                    if let Some(twice) = name.as_str()
                        && entries.iter().any(|(known, _)| known.as_str() == Some(twice))
                    {
                        return Err(format!("line {}: the key `{twice}` is there twice", name.line));
                    }
                    entries.push((name, done));
                }
            },
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_bytes_even_after_wide_characters() {
        let text = "# é ✓\na: \"ü\"\nversion: 1.2.3 # tail\n";
        let documents = documents(text).unwrap();
        let node = documents[0].get("version").unwrap();
        assert_eq!((&text[node.bytes(text).unwrap()], node.line), ("1.2.3", 3));
        assert_eq!(&text[documents[0].get("a").unwrap().bytes(text).unwrap()], "\"ü\"");
    }

    #[test]
    fn the_bytes_of_a_scalar_are_exactly_it() {
        for own in ["1.2.3", "'1.2.3'", "\"1.2.3\"", "'it''s'", r#""a\"b\\""#, "''", r#""\x31""#] {
            for (before, after) in [
                ("a: ", "\n"),
                ("a: ", ""),
                ("a: ", "   # tail \"x\" 'y'\n"),
                ("a: &x ", "\r\nb: 2\r\n"),
                ("a: !!str ", "\n"),
                ("\u{feff}a: ", "\n"),
                ("{a: ", ", b: 'x'}"),
                ("b: 'x'\na:   \t", " \t\n"),
                ("---\n# é\n---\n", "\n"),
            ] {
                let text = if before.contains("a:") {
                    format!("{before}{own}{after}")
                } else {
                    format!("a: b\n{before}a: {own}{after}")
                };
                let documents = documents(&text).unwrap();
                let node = documents.last().unwrap().get("a").unwrap();
                assert_eq!(node.bytes(&text).map(|bytes| &text[bytes]), Some(own), "{text:?}");
            }
        }
    }

    #[test]
    fn what_spans_lines_has_no_bytes_to_replace() {
        for text in
            ["a: |\n  x\n", "a: >-\n  x\n", "a: x\n  y\n", "a: \"x\n  y\"\n", "a: [1]\n", "b: &q 1\na: *q\n"]
        {
            let documents = documents(text).unwrap();
            assert_eq!(documents[0].get("a").unwrap().bytes(text), None, "{text:?}");
        }
    }

    #[test]
    fn bad_yaml_is_an_error_with_a_line() {
        let error = documents("a: b\n c: [\n").unwrap_err();
        assert!(error.starts_with("line "), "{error}");
        assert_eq!(documents("a: 1\nb: 2\na: 3\n").unwrap_err(), "line 3: the key `a` is there twice");
    }
}
