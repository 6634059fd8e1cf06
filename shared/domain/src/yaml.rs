//! YAML with the place of every scalar: what the byte-preserving edit needs and serde cannot give.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// One node of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// A scalar: its value, how it is written, and its bytes in the text (quotes included).
    Scalar {
        /// Decoded value.
        value: String,
        /// True for single or double quotes.
        is_quoted: bool,
        /// Plain, quoted and nothing else can be edited in place.
        is_block: bool,
        /// Bytes in the text.
        bytes: Range<usize>,
        /// 1-based line.
        line: usize,
    },
    /// A mapping, in the order of the text.
    Map(Vec<(Node, Node)>),
    /// A sequence.
    Seq(Vec<Node>),
    /// A reference to an anchor.
    Alias,
}

impl Node {
    /// Value of a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// Value at a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// A scalar's value.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Scalar { value, .. } => Some(value),
            Self::Map(_) | Self::Seq(_) | Self::Alias => None,
        }
    }

    /// Every scalar as `path -> value`, for comparing two texts as data. Aliases and empty collections have a value of
    /// their own, so that one appearing or vanishing is seen.
    fn flatten(&self, path: &str, into: &mut BTreeMap<String, String>) {
        match self {
            Self::Scalar { value, is_quoted, .. } => {
                // A quoted `"1"` and a plain `1` are different data.
                into.insert(path.to_owned(), format!("{}{value}", if *is_quoted { "s:" } else { "p:" }));
            }
            Self::Map(entries) => {
                into.insert(path.to_owned(), format!("map of {}", entries.len()));
                for (index, (key, value)) in entries.iter().enumerate() {
                    let name = key.as_str().map_or_else(|| format!("?{index}"), str::to_owned);
                    value.flatten(&format!("{path}.{name}"), into);
                }
            }
            Self::Seq(items) => {
                into.insert(path.to_owned(), format!("list of {}", items.len()));
                for (index, item) in items.iter().enumerate() {
                    item.flatten(&format!("{path}[{index}]"), into);
                }
            }
            Self::Alias => {
                into.insert(path.to_owned(), "alias".to_owned());
            }
        }
    }
}

/// Every document of the text as `[index].path -> value`.
pub(crate) fn flatten(documents: &[Node]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (index, document) in documents.iter().enumerate() {
        document.flatten(&format!("[{index}]"), &mut all);
    }
    all
}

/// An unfinished collection while events come in.
enum Open {
    Map(Vec<(Node, Node)>, Option<Node>),
    Seq(Vec<Node>),
}

/// Reads every document of a text. The error says line and cause.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, String> {
    // The parser counts characters; an edit needs bytes.
    let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let byte = |index: usize| offsets.get(index).copied().unwrap_or(text.len());

    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| format!("line {}: {}", error.marker().line(), error.info()))?;
        let node = match event {
            Event::Scalar(value, style, ..) => Node::Scalar {
                value: value.into_owned(),
                is_quoted: matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted),
                is_block: matches!(style, ScalarStyle::Literal | ScalarStyle::Folded),
                bytes: byte(span.start.index())..byte(span.end.index()),
                line: span.start.line(),
            },
            Event::Alias(_) => Node::Alias,
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                continue;
            }
            Event::SequenceStart(..) => {
                open.push(Open::Seq(Vec::new()));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => match open.pop() {
                Some(Open::Map(entries, _)) => Node::Map(entries),
                Some(Open::Seq(items)) => Node::Seq(items),
                None => {
                    return Err(format!("line {}: a collection ends that never began", span.start.line()));
                }
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {
                continue;
            }
        };
        match open.last_mut() {
            None => documents.push(node),
            Some(Open::Seq(items)) => items.push(node),
            Some(Open::Map(entries, key)) => match key.take() {
                None => *key = Some(node),
                Some(name) => entries.push((name, node)),
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
        let docs = documents(text).unwrap();
        let Some(Node::Scalar { bytes, line, .. }) = docs[0].get("version") else { panic!("no scalar") };
        assert_eq!(&text[bytes.clone()], "1.2.3");
        assert_eq!(*line, 3);
        let Some(Node::Scalar { bytes, .. }) = docs[0].get("a") else { panic!("no scalar") };
        assert_eq!(&text[bytes.clone()], "\"ü\"");
    }

    #[test]
    fn bad_yaml_is_an_error_with_a_line() {
        let error = documents("a: b\n c: [\n").unwrap_err();
        assert!(error.starts_with("line "), "{error}");
    }
}
