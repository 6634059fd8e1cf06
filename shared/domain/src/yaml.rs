//! YAML with the place of every scalar: what the byte-preserving edit needs and serde cannot give.

mod compare;
mod path;
mod scalar;

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Tag, options};
use serde_json::Value;

pub(crate) use compare::first_difference;
pub use path::{InvalidPath, Path, Step};
pub(crate) use scalar::{Style, type_of, written};

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
            Step::Where { .. } => match &node.content {
                Content::Seq(items) => items.get(node.position(step)?),
                _ => None,
            },
        })
    }

    /// The position of an element of a list. Two that a selector fits are none.
    pub(crate) fn position(&self, step: &Step) -> Option<usize> {
        let Content::Seq(items) = &self.content else { return None };
        match step {
            Step::Index(index) => Some(*index).filter(|index| *index < items.len()),
            Step::Where { key, value } => {
                let mut matching = items
                    .iter()
                    .enumerate()
                    .filter(|(_, item)| item.get(key).and_then(Self::as_str) == Some(value));
                matching.next().filter(|_| matching.next().is_none()).map(|(index, _)| index)
            }
            Step::Key(_) => None,
        }
    }

    /// Takes a key out of the mapping that holds it.
    pub(crate) fn remove(&mut self, path: &Path) {
        let Some((last, above)) = path.0.split_last() else { return };
        let parent = above.iter().try_fold(self, |node, step| match (&mut node.content, step) {
            (Content::Map(entries), Step::Key(key)) => {
                entries.iter_mut().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
            }
            (Content::Seq(items), Step::Index(index)) => items.get_mut(*index),
            _ => None,
        });
        if let (Some(Content::Map(entries)), Step::Key(key)) = (parent.map(|node| &mut node.content), last) {
            entries.retain(|(k, _)| k.as_str() != Some(key));
        }
    }

    /// Where the aliases of an anchor stand.
    fn aliases(&self, of: usize, at: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, usize)>) {
        if self.content == Content::Alias(of) {
            found.push((at.clone(), self.line));
        }
        if let Content::Map(entries) = &self.content {
            // A key may be an alias too; then it is read where the key is.
            for (key, _) in entries {
                key.aliases(of, at, found);
            }
        }
        for (step, child) in self.children() {
            at.push(step);
            child.aliases(of, at, found);
            at.pop();
        }
    }

    /// Everything one step below, keys aside.
    pub(crate) fn children(&self) -> Vec<(Step, &Self)> {
        match &self.content {
            Content::Map(entries) => entries
                .iter()
                .enumerate()
                .map(|(position, (key, value))| {
                    // A key that is no scalar has no name; its position is enough to tell where.
                    let name = key.as_str().map_or_else(|| format!("?{position}"), str::to_owned);
                    (Step::Key(name), value)
                })
                .collect(),
            Content::Seq(items) => {
                items.iter().enumerate().map(|(at, item)| (Step::Index(at), item)).collect()
            }
            Content::Scalar { .. } | Content::Alias(_) => Vec::new(),
        }
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

    /// True for a scalar whose bytes are one piece: no block.
    pub(crate) fn is_plain_data(&self) -> bool {
        matches!(&self.content, Content::Scalar { style, .. } if *style != Style::Block)
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

/// More readers of one scalar than this are not told apart any more.
const MAX_READERS: usize = 256;

/// Every other path by which the scalar at a path is read, with the line of the alias: aliases of its own anchor, of the
/// anchor of a collection that holds it, and of collections that hold such an alias.
pub(crate) fn readers(document: &Node, path: &Path) -> Vec<(Path, usize)> {
    let mut found: Vec<(Path, usize)> = Vec::new();
    let mut ways = vec![path.0.clone()];
    while let Some(way) = ways.pop() {
        for length in 0..=way.len() {
            let (above, below) = way.split_at(length);
            let anchor = match document.at_path(&Path(above.to_vec())) {
                Some(node) if node.anchor != 0 => node.anchor,
                _ => continue,
            };
            let mut aliases = Vec::new();
            document.aliases(anchor, &mut Vec::new(), &mut aliases);
            for (alias, line) in aliases {
                let way: Vec<Step> = alias.into_iter().chain(below.iter().cloned()).collect();
                if found.len() < MAX_READERS && !found.iter().any(|(known, _)| known.0 == way) {
                    found.push((Path(way.clone()), line));
                    ways.push(way);
                }
            }
        }
    }
    found
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
                Some((Open::Map(entries, _), head)) => {
                    if let Some((twice, line)) = twice(&entries) {
                        return Err(format!("line {line}: the key `{twice}` is there twice"));
                    }
                    Node { content: Content::Map(entries), ..head }
                }
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
                    entries.push((name, done));
                }
            },
        }
    }
    Ok(documents)
}

/// A key that is there twice, and the line of the second. Readers differ in which of them counts.
fn twice(entries: &[(Node, Node)]) -> Option<(&str, usize)> {
    let mut keys: Vec<(&str, usize)> =
        entries.iter().filter_map(|(key, _)| Some((key.as_str()?, key.line))).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1])
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
    fn every_reader_of_a_scalar_is_found() {
        let read = |text: &str, path: &str| -> Vec<String> {
            let document = documents(text).unwrap().remove(0);
            let mut found: Vec<String> = readers(&document, &Path::parse(path).unwrap())
                .iter()
                .map(|(path, _)| path.to_string())
                .collect();
            found.sort();
            found
        };
        assert_eq!(read("a: &x 1\nb: *x\nc: [*x]\nd: &x 2\ne: *x\n", "a"), ["b", "c[0]"]);
        assert_eq!(read("a: &x {b: {c: 1}}\nd: *x\ne: {<<: *x}\n", "a.b.c"), ["d.b.c", "e.<<.b.c"]);
        assert_eq!(read("v: &v 1\na: &x {b: *v}\nd: *x\n", "v"), ["a.b", "d.b"]);
        assert_eq!(read("a: &x 1\n? *x\n: 2\n", "a").len(), 1);
        assert_eq!(read("a: &x 1\nb: *x\n", "b"), Vec::<String>::new());
        // As many readers as two to the tenth: enough are told.
        let laughs = (1..10).fold("l0: &l0 1\n".to_owned(), |text, n| {
            format!("{text}l{n}: &l{n} [*l{}, *l{}]\n", n - 1, n - 1)
        });
        assert_eq!(read(&laughs, "l0").len(), MAX_READERS);
    }

    #[test]
    fn bad_yaml_is_an_error_with_a_line() {
        let error = documents("a: b\n c: [\n").unwrap_err();
        assert!(error.starts_with("line "), "{error}");
        assert_eq!(documents("a: 1\nb: 2\na: 3\n").unwrap_err(), "line 3: the key `a` is there twice");
    }
}
