//! Two texts as data: where do they differ?

use super::{Content, Node, Path, Step, Style};

/// The first place where two documents differ, but for the paths that may. Anchors, aliases, tags, order and whether a
/// scalar is quoted count: an edit has no business with any of them.
pub(crate) fn first_difference(before: &Node, after: &Node, may_differ: &[&Path]) -> Option<Path> {
    node(before, after, &mut Vec::new(), may_differ)
}

fn node(before: &Node, after: &Node, at: &mut Vec<Step>, may_differ: &[&Path]) -> Option<Path> {
    let here = |at: &[Step]| Some(Path(at.to_vec()));
    if before.anchor != after.anchor || before.tag != after.tag {
        return here(at);
    }
    match (&before.content, &after.content) {
        (Content::Map(old), Content::Map(new)) if old.len() == new.len() => {
            old.iter().zip(new).enumerate().find_map(|(position, ((old_key, old), (new_key, new)))| {
                // A key that is no scalar has no name; its position is enough to tell where.
                let name = old_key.as_str().map_or_else(|| format!("?{position}"), str::to_owned);
                at.push(Step::Key(name));
                let found = node(old_key, new_key, at, &[]).or_else(|| node(old, new, at, may_differ));
                at.pop();
                found
            })
        }
        (Content::Seq(old), Content::Seq(new)) if old.len() == new.len() => {
            old.iter().zip(new).enumerate().find_map(|(position, (old, new))| {
                at.push(Step::Index(position));
                let found = node(old, new, at, may_differ);
                at.pop();
                found
            })
        }
        (
            Content::Scalar { value: old, style: old_style, .. },
            Content::Scalar { value: new, style: new_style, .. },
        ) => {
            let is_same = old == new && (*old_style == Style::Plain) == (*new_style == Style::Plain);
            if is_same || may_differ.iter().any(|path| path.0 == *at) { None } else { here(at) }
        }
        (Content::Alias(old), Content::Alias(new)) if old == new => None,
        _ => here(at),
    }
}

#[cfg(test)]
mod tests {
    use super::super::documents;
    use super::*;

    fn difference(before: &str, after: &str, may: &[&str]) -> Option<String> {
        let paths: Vec<Path> = may.iter().map(|path| Path::parse(path).unwrap()).collect();
        let paths: Vec<&Path> = paths.iter().collect();
        let (before, after) = (documents(before).unwrap(), documents(after).unwrap());
        first_difference(&before[0], &after[0], &paths).map(|path| path.to_string())
    }

    #[test]
    fn comments_and_blanks_are_no_data() {
        assert_eq!(difference("a: 1 # x\n\nb: {c:   2}\n", "# y\na: 1\nb: {c: 2} # z\n", &[]), None);
    }

    #[test]
    fn every_other_difference_is_seen() {
        for (before, after, at) in [
            ("a: 1\n", "a: 2\n", "a"),
            ("a: 1\n", "a: '1'\n", "a"),
            ("a: {b: [1, 2]}\n", "a: {b: [1, 3]}\n", "a.b[1]"),
            ("a: {b: [1]}\n", "a: {b: [1, 3]}\n", "a.b"),
            ("a: {b: 1}\n", "a: {c: 1}\n", "a.b"),
            ("a: {b: 1, c: 2}\n", "a: {c: 2, b: 1}\n", "a.b"),
            ("a: 1\n", "a: &x 1\n", "a"),
            ("a: &x 1\nb: *x\n", "a: &x 1\nb: 1\n", "b"),
            ("a: x\n", "a: !!str x\n", "a"),
            ("a: x\n", "a: [x]\n", "a"),
        ] {
            assert_eq!(difference(before, after, &[]).as_deref(), Some(at), "{before} {after}");
        }
    }

    #[test]
    fn only_a_scalar_that_may_differ_differs() {
        assert_eq!(difference("a: {b: 1, c: 2}\n", "a: {b: 3, c: 2}\n", &["a.b"]), None);
        assert_eq!(difference("a: {b: 1, c: 2}\n", "a: {b: 3, c: 4}\n", &["a.b"]).as_deref(), Some("a.c"));
        assert_eq!(difference("a: {b: 1}\n", "a: {b: [1]}\n", &["a.b"]).as_deref(), Some("a.b"));
        assert_eq!(difference("a: {b: 1}\n", "a: {c: 1}\n", &["a.b", "a.c"]).as_deref(), Some("a.b"));
    }
}
