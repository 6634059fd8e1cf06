//! Where a value is inside a document, in words that people can write: `spec.values.global.tag`,
//! `spec.values.hosts[0].name`, `spec.values.env[name=A].value`, `metadata.annotations."a.b/c"`.

use std::fmt;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A key of a mapping.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
    /// The one element of a list whose key has this value.
    Where {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
}

/// A path from the top of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

/// Text that is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a path: {reason}; write it like spec.values.pilot.env[name=A].value")]
pub struct InvalidPath {
    /// The text as it came, shortened.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Path {
    /// The steps of keys.
    pub fn of_keys(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    /// This path and one step more.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// This path and another below it.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// Reads a path. Keys stand between dots; a key that holds a dot, a bracket, a quote or blanks stands in double
    /// quotes, where `\` takes the next character as it is. An element of a list is `[0]`, or `[key=value]` for the one
    /// whose key has that value.
    pub fn parse(text: &str) -> Result<Self, InvalidPath> {
        Reader { rest: text, steps: Vec::new() }
            .path()
            .map_err(|reason| InvalidPath { text: text.chars().take(120).collect(), reason })
    }
}

struct Reader<'a> {
    rest: &'a str,
    steps: Vec<Step>,
}

impl Reader<'_> {
    fn path(mut self) -> Result<Path, String> {
        let key = self.word(&['.', '['])?;
        self.steps.push(Step::Key(key));
        while let Some(first) = self.rest.chars().next() {
            self.rest = &self.rest[first.len_utf8()..];
            let step = if first == '.' { Step::Key(self.word(&['.', '['])?) } else { self.element()? };
            self.steps.push(step);
        }
        Ok(Path(self.steps))
    }

    /// What stands between `[` and `]`; the first is read already.
    fn element(&mut self) -> Result<Step, String> {
        let first = self.word(&['=', ']'])?;
        if let Some(rest) = self.rest.strip_prefix('=') {
            self.rest = rest;
            let value = self.word(&[']'])?;
            self.close()?;
            return Ok(Step::Where { key: first, value });
        }
        self.close()?;
        let index = first.parse().map_err(|_| format!("[{first}] is neither a position nor key=value"))?;
        Ok(Step::Index(index))
    }

    fn close(&mut self) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(']').ok_or("a `[` has no `]`")?;
        match self.rest.chars().next() {
            None | Some('.' | '[') => Ok(()),
            Some(other) => Err(format!("`{other}` follows a `]`")),
        }
    }

    /// A key or a value, up to one of these characters or the end.
    fn word(&mut self, ends: &[char]) -> Result<String, String> {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let mut word = String::new();
            let mut characters = quoted.char_indices();
            while let Some((at, c)) = characters.next() {
                match c {
                    '"' => {
                        self.rest = &quoted[at + 1..];
                        return match self.rest.chars().next() {
                            Some(next) if !ends.contains(&next) => {
                                Err(format!("`{next}` follows a closing quote"))
                            }
                            _ => Ok(word),
                        };
                    }
                    '\\' => word.push(characters.next().ok_or("a quote is not closed")?.1),
                    _ => word.push(c),
                }
            }
            return Err("a quote is not closed".to_owned());
        }
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.is_empty() {
            return Err("a part is empty".to_owned());
        }
        if let Some(odd) = word.chars().find(|c| is_odd(*c)) {
            return Err(format!("`{odd}` must stand in double quotes"));
        }
        Ok(word.to_owned())
    }
}

fn is_odd(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '.' | '[' | ']' | '"' | '\\' | '=')
}

/// A word as the reader reads it back.
fn quoted(word: &str) -> String {
    if !word.is_empty() && !word.contains(is_odd) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("(top)");
        }
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(&quoted(key))?,
                Step::Key(key) => write!(f, ".{}", quoted(key))?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Where { key, value } => write!(f, "[{}={}]", quoted(key), quoted(value))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> Step {
        Step::Key(text.into())
    }

    #[test]
    fn keys_positions_selectors_and_quotes_are_read() {
        let path = Path::parse(r#"spec.values."a.b/c".list[2].env[name=A.B].x["k=]"="v"]"#);
        assert_eq!(path.unwrap_err().reason, "`.` must stand in double quotes");
        let path = Path::parse(r#"spec.values."a.b\"/c".list[2].env[name="A.B"].x["k=]"=v]"#).unwrap();
        assert_eq!(
            path.0,
            [
                key("spec"),
                key("values"),
                key("a.b\"/c"),
                key("list"),
                Step::Index(2),
                key("env"),
                Step::Where { key: "name".into(), value: "A.B".into() },
                key("x"),
                Step::Where { key: "k=]".into(), value: "v".into() },
            ]
        );
    }

    #[test]
    fn what_is_no_path_is_told() {
        for (text, reason) in [
            ("", "a part is empty"),
            (".a", "a part is empty"),
            ("a.", "a part is empty"),
            ("a..b", "a part is empty"),
            ("a. b", "` ` must stand in double quotes"),
            ("a[", "a part is empty"),
            ("a[x]", "[x] is neither a position nor key=value"),
            ("a[-1]", "[-1] is neither a position nor key=value"),
            ("a[1", "a `[` has no `]`"),
            ("a[1]b", "`b` follows a `]`"),
            ("\"a", "a quote is not closed"),
            ("\"a\"b", "`b` follows a closing quote"),
            ("[0]", "a part is empty"),
        ] {
            assert_eq!(Path::parse(text).unwrap_err().reason, reason, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(keys in prop::collection::vec("\\PC{0,6}", 1..4), index in 0usize..9, value in "\\PC{0,6}") {
            let mut steps: Vec<Step> = keys.iter().map(|k| Step::Key(k.clone())).collect();
            steps.push(Step::Index(index));
            steps.push(Step::Where { key: keys[0].clone(), value });
            let path = Path(steps);
            prop_assert_eq!(Path::parse(&path.to_string()).unwrap(), path);
        }

        #[test]
        fn no_text_panics(text in "[ab.\\[\\]\"\\\\=0-9 é]{0,20}") {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(Path::parse(&path.to_string()).unwrap(), path);
            }
        }
    }
}
