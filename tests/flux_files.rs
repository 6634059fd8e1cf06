//! Real Flux files go the whole way, and the merge request changes only the version's bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::path::Path;

use guard_simulation::{FluxFile, Scenario, Story};
use guard_tests::collected::helmreleases;

/// Files of our own, one property each; they stand in for the collection where it is not there.
const OWN: [&str; 4] = [
    "several-documents.yaml",
    "crlf-no-final-newline.yaml",
    "quoted-after-comment.yaml",
    "gateway-elsewhere.yaml",
];

/// Of the collection: real files whose simple exact pins are edited today.
const COLLECTED: [&str; 8] =
    ["01-", "03-", "05-", "09-", "37-", "55-", "61-", "pairs/P1-solanyn-home-ops.before"];

async fn goes_the_whole_way(path: &Path) {
    let content = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let file = FluxFile { name: name.clone(), content: content.clone() };
    let story = Story::with_options(Scenario::Clean, 2, 1, Some(&file), None).unwrap();
    let report = story.play().await.unwrap();
    assert_eq!(report.surprises, Vec::<String>::new(), "{name}: {:?}", report.cause);

    let (start, target) = (&report.start_version, &report.target_version);
    let requests = story.house().world.merge_requests();
    let changed: Vec<_> = requests[0].diffs.iter().filter(|(path, ..)| path.ends_with(&name)).collect();
    assert_eq!(changed.len(), 2, "{name}: one copy a cluster");
    for (_, before, after) in changed {
        assert_eq!(before.as_deref(), Some(content.as_str()), "{name}");
        assert_only_versions_differ(&name, &content, after.as_deref().unwrap(), start, target);
    }
}

/// Walks both texts byte by byte: where they part, the one has the old version and the other the new.
fn assert_only_versions_differ(name: &str, before: &str, after: &str, start: &str, target: &str) {
    let (mut old, mut new, mut changes) = (before, after, 0);
    while !old.is_empty() {
        if old.starts_with(start) && new.starts_with(target) {
            (old, new, changes) = (&old[start.len()..], &new[target.len()..], changes + 1);
        } else {
            let (a, b) = (old.chars().next(), new.chars().next());
            assert_eq!(a, b, "{name}: parts at {:?}", &old[..old.len().min(40)]);
            let width = a.unwrap().len_utf8();
            (old, new) = (&old[width..], &new[width..]);
        }
    }
    assert_eq!(new, "", "{name}");
    assert!(changes > 0, "{name}: nothing changed");
}

#[tokio::test(flavor = "current_thread")]
async fn our_own_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/flux");
    for name in OWN {
        goes_the_whole_way(&folder.join(name)).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_collected_files() {
    let Some(folder) = helmreleases() else { return };
    for prefix in COLLECTED {
        let (parent, start) =
            prefix.rsplit_once('/').map_or((folder.clone(), prefix), |(sub, rest)| (folder.join(sub), rest));
        let path = std::fs::read_dir(&parent)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start)))
            .unwrap_or_else(|| parent.join(format!("{start}* is missing")));
        goes_the_whole_way(&path).await;
    }
}

/// A real bump by a bot: our edit is the same to the byte.
#[test]
fn the_edit_equals_a_real_bump() {
    let Some(folder) = helmreleases() else { return };
    let read = |name: &str| std::fs::read_to_string(folder.join("pairs").join(name)).unwrap();
    let before =
        guard_domain::FileContent { path: "p1".into(), content: read("P1-solanyn-home-ops.before.yaml") };
    let v = |s: &str| guard_domain::IstioVersion::parse(s).unwrap();
    let edited = guard_domain::manifest::edit(
        &[before],
        &guard_domain::manifest::Aim::new(&v("1.24.3"), &v("1.25.1")),
    )
    .unwrap();
    assert_eq!(edited.files[0].content, read("P1-solanyn-home-ops.after.yaml"));
}

/// Every file of the collection gets an answer: pins or a coded refusal, and never a panic.
#[test]
fn every_collected_file_gets_an_answer() {
    let Some(folder) = helmreleases() else { return };
    let mut seen = 0;
    for sub in ["", "pairs", "derived"] {
        for entry in std::fs::read_dir(folder.join(sub)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "yaml") {
                continue;
            }
            let content = std::fs::read_to_string(&path).unwrap();
            let file = guard_domain::FileContent { path: path.display().to_string(), content };
            match guard_domain::manifest::pins(std::slice::from_ref(&file)) {
                Ok(_) => {}
                Err(findings) => {
                    assert!(findings.iter().all(|f| !f.code.is_empty() && !f.remedy.is_empty()), "{path:?}");
                }
            }
            seen += 1;
        }
    }
    assert!(seen >= 40, "only {seen} files");
}
