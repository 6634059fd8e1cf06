//! The edit over generated Flux files of many styles: only the intended scalars' bytes differ, and there is a way back.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use guard_domain::manifest::{self, Aim, Change};
use guard_domain::{FileContent, IstioVersion};
use proptest::prelude::*;
use serde_json::Value;

/// Stands in a template where the version goes.
const HERE: char = '\u{1}';

fn v(text: &str) -> IstioVersion {
    IstioVersion::parse(text).unwrap()
}

/// How one release is written.
#[derive(Debug, Clone)]
struct Style {
    quote: &'static str,
    is_flow: bool,
    is_version_first: bool,
    indent: usize,
    comment_above: String,
    comment_beside: String,
    tag: Tag,
    values: Vec<(String, String)>,
}

/// Whether the images have a tag of their own.
#[derive(Debug, Clone, Copy)]
enum Tag {
    None,
    Own,
    Alias,
}

fn style() -> impl Strategy<Value = Style> {
    (
        prop_oneof![Just(""), Just("\""), Just("'")],
        any::<bool>(),
        any::<bool>(),
        1..5usize,
        "( *# [ -~éü✓]{0,20}\n){0,2}",
        "( {1,3}# [ -~é]{0,20})?",
        prop_oneof![Just(Tag::None), Just(Tag::Own), Just(Tag::Alias)],
        prop::collection::vec(("x[a-z]{0,5}[0-9]{3}", "[ -~éü✓]{0,12}"), 0..4),
    )
        .prop_map(
            |(quote, is_flow, is_version_first, indent, comment_above, comment_beside, tag, values)| Style {
                quote,
                is_flow,
                is_version_first,
                indent,
                comment_above,
                comment_beside,
                tag,
                values,
            },
        )
}

impl Style {
    /// A release of a chart, with [`HERE`] for each version.
    fn release(&self, chart: &str) -> String {
        let step = " ".repeat(self.indent);
        let pad = |depth: usize| step.repeat(depth);
        let quote = self.quote;
        let anchor = if matches!(self.tag, Tag::Alias) { "&v " } else { "" };
        let version = format!("version: {anchor}{quote}{HERE}{quote}");
        let (comment, above) = (&self.comment_beside, &self.comment_above);
        let mut parts = vec![format!(
            "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n{}name: my-{chart}\nspec:\n{above}",
            pad(1)
        )];
        if self.is_flow {
            let inside = if self.is_version_first {
                format!("{version}, chart: {chart}")
            } else {
                format!("chart: {chart}, {version}, x: 1.29.3")
            };
            parts.push(format!("{}chart: {{spec: {{{inside}}}}}{comment}\n", pad(1)));
        } else {
            let chart = format!("{}chart: {chart}\n", pad(3));
            let version = format!("{above}{}{version}{comment}\n", pad(3));
            let inside = if self.is_version_first { version + &chart } else { chart + &version };
            parts.push(format!("{}chart:\n{}spec:\n{inside}", pad(1), pad(2)));
        }
        parts.push(format!("{}values:\n{}was: 1.29.3\n", pad(1), pad(2)));
        let mut keys = Vec::new();
        for (key, value) in &self.values {
            if !keys.contains(key) {
                keys.push(key.clone());
                parts.push(format!("{}{key}: {} # 1.29.3\n", pad(2), Value::from(value.as_str())));
            }
        }
        match self.tag {
            Tag::None => {}
            Tag::Own => parts.push(format!("{}global: {{tag: {quote}{HERE}{quote}}}\n", pad(2))),
            Tag::Alias => parts.push(format!("{}global:\n{}tag: *v\n", pad(2), pad(3))),
        }
        parts.concat()
    }
}

/// A file of releases, as a template.
fn template() -> impl Strategy<Value = String> {
    let charts = prop::sample::subsequence(vec!["base", "istiod", "cni", "ztunnel", "gateway"], 1..5);
    (
        charts,
        prop::collection::vec(style(), 5),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(any::<bool>(), 40),
    )
        .prop_map(|(charts, styles, has_bom, ends_bare, line_ends)| {
            let mut text: String =
                charts.iter().zip(&styles).map(|(chart, style)| style.release(chart)).collect();
            text += "---\nkind: ConfigMap\napiVersion: v1\ndata: {version: 1.29.3}\n";
            if ends_bare {
                text.pop();
            }
            // Line ends of both kinds, one beside the other.
            let mut mixed = String::new();
            for (index, line) in text.split_inclusive('\n').enumerate() {
                match line.strip_suffix('\n') {
                    Some(bare) if line_ends[index % line_ends.len()] => mixed.extend([bare, "\r\n"]),
                    _ => mixed.push_str(line),
                }
            }
            if has_bom { format!("\u{feff}{mixed}") } else { mixed }
        })
}

fn file(content: String) -> FileContent {
    FileContent { path: "istio.yaml".into(), content }
}

fn go(content: &FileContent) -> Result<manifest::Edited, Vec<guard_domain::Finding>> {
    manifest::edit(std::slice::from_ref(content), &Aim::new(&v("1.29.3"), &v("1.30.12")))
}

/// What another reader of YAML sees.
fn data(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn only_the_versions_bytes_differ_and_back_they_are_the_same(template in template()) {
        let before = file(template.replace(HERE, "1.29.3"));
        let edited = go(&before).unwrap();
        prop_assert_eq!(&edited.files[0].content, &template.replace(HERE, "1.30.12"));
        prop_assert_eq!(go(&edited.files[0]).unwrap().changes, vec![]);
        prop_assert_eq!(manifest::holds(&edited.files, &edited.changes), Ok(()));
        prop_assert_eq!(manifest::revert(&edited.files, &edited.changes).unwrap().files, vec![before.clone()]);

        // As data, every version and every tag moved, and nothing else did.
        let (mut old, new) = (data(&before.content), data(&edited.files[0].content));
        for release in &mut old {
            for pointer in ["/spec/chart/spec/version", "/spec/values/global/tag"] {
                if let Some(version) = release.pointer_mut(pointer) {
                    *version = Value::from("1.30.12");
                }
            }
        }
        prop_assert_eq!(old, new);
    }

    #[test]
    fn what_is_bent_is_refused_or_edited_with_a_way_back(
        template in template(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..6usize, "[ -~\n\t\\r&*é]{0,4}"), 1..4),
    ) {
        let whole = file(template.replace(HERE, "1.29.3"));
        let changes: Vec<Change> = go(&whole).unwrap().changes;
        let mut text = whole.content.clone();
        for (at, length, put) in &cuts {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.floor_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end.max(start), put);
        }
        let bent = file(text);
        let _ = manifest::pins(std::slice::from_ref(&bent));
        let _ = manifest::move_repositories(std::slice::from_ref(&bent));
        let _ = manifest::holds(std::slice::from_ref(&bent), &changes);
        let _ = manifest::revert(std::slice::from_ref(&bent), &changes);
        if let Ok(edited) = go(&bent)
            && !edited.changes.is_empty()
        {
            prop_assert_eq!(manifest::revert(&edited.files, &edited.changes).unwrap().files, vec![bent]);
            prop_assert_eq!(go(&edited.files[0]).unwrap().changes, vec![]);
        }
    }

    #[test]
    fn no_text_panics(text in "[ -~\n\t\\ré✓:{}\\[\\]#&*|>-]{0,200}") {
        let file = file(text);
        let _ = go(&file);
        let _ = manifest::move_repositories(std::slice::from_ref(&file));
    }
}
