//! User data inside of Markdown.

/// Punctuation that means something to GitLab's Markdown: emphasis, code, links, HTML, tables, emoji and addresses, and
/// the marks before a reference (`@user`, `#1`, `!1`, `$1`, `%1`, `~label`, `&1`, `^alert`). A backslash takes the meaning
/// away from each (CommonMark, backslash escapes; GitLab's filter for escaped references).
const SPECIAL: &str = "\\`*_{}[]()<>#+!|~@$%&^:=\"'/";

/// Characters that end a line, or are not seen: they could make a new line of Markdown, or hide what is written.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// The text as a person typed it and nothing else: no markup, no mention, no new line, no quick action. `<` becomes an
/// entity, so that not even a tool that reads the raw text finds a comment in it.
pub fn escape(raw: &str) -> String {
    let mut clean = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '<' => clean.push_str("&lt;"),
            c if is_unseen(c) => clean.push(' '),
            c if SPECIAL.contains(c) => {
                clean.push('\\');
                clean.push(c);
            }
            c => clean.push(c),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_means_something_to_gitlab_means_nothing_any_more() {
        let table = [
            ("@all and @group/sub", "\\@all and \\@group\\/sub"),
            ("fixes #7, see !8", "fixes \\#7, see \\!8"),
            ("/merge", "\\/merge"),
            ("a\n/merge\r\n/close", "a \\/merge  \\/close"),
            ("<!-- guard:run-9:upgrade#001 -->", "&lt;\\!-- guard\\:run-9\\:upgrade\\#001 --\\>"),
            ("a | b `c` **d**", "a \\| b \\`c\\` \\*\\*d\\*\\*"),
            ("https://evil.example", "https\\:\\/\\/evil.example"),
            ("\u{202e}live\u{2028}/close", " live \\/close"),
        ];
        for (raw, expected) in table {
            assert_eq!(escape(raw), expected);
        }
    }

    proptest! {
        #[test]
        fn no_text_keeps_a_mark_a_line_or_a_comment(raw in "\\PC{0,80}|[@#!/<>|`\\n\\r\\\\ -]{0,40}|(?s).{0,60}") {
            let clean = escape(&raw);
            prop_assert!(!clean.contains('<') && !clean.chars().any(is_unseen), "{clean:?}");
            let mut chars = clean.chars().peekable();
            let mut back = String::new();
            while let Some(c) = chars.next() {
                match c {
                    // Each backslash has something to take the meaning from.
                    '\\' => {
                        let next = chars.next();
                        prop_assert!(next.is_some_and(|next| SPECIAL.contains(next)), "{clean:?}");
                        back.extend(next);
                    }
                    '&' => {
                        let entity: String = chars.by_ref().take(3).collect();
                        prop_assert_eq!(entity, "lt;");
                        back.push('<');
                    }
                    c => {
                        prop_assert!(!SPECIAL.contains(c), "{clean:?}");
                        back.push(c);
                    }
                }
            }
            let expected: String = raw.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect();
            prop_assert_eq!(back, expected, "nothing is lost");
        }
    }
}
