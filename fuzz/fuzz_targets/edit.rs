//! Any text as a Flux file: nothing panics, and what is edited changes nothing else, once, with a way back.
#![no_main]

use guard_domain::manifest::{self, Aim, Rules};
use guard_domain::{FileContent, IstioVersion};
use libfuzzer_sys::fuzz_target;

/// Between two files of one input.
const NEXT_FILE: char = '\u{1e}';

fuzz_target!(|text: &str| {
    let files: Vec<FileContent> = text
        .split(NEXT_FILE)
        .take(3)
        .enumerate()
        .map(|(index, content)| FileContent { path: format!("{index}.yaml"), content: content.to_owned() })
        .collect();
    let to = IstioVersion::parse("1.31.1").expect("a version");
    let aim = Aim {
        from: None,
        to: &to,
        rules: Rules { allow_umbrella: true, trust_repositories_elsewhere: true, ..Rules::default() },
        check_path: false,
        settings: &[],
    };
    let _ = manifest::pins(&files);
    for edited in [manifest::edit(&files, &aim), manifest::move_repositories(&files)].into_iter().flatten() {
        let now: Vec<FileContent> = files
            .iter()
            .map(|old| edited.files.iter().find(|new| new.path == old.path).unwrap_or(old).clone())
            .collect();
        assert_eq!(manifest::holds(&now, &edited.changes), Ok(()));
        let back = manifest::revert(&now, &edited.changes).expect("a way back");
        for (old, new) in edited.files.iter().zip(&back.files) {
            let before = files.iter().find(|file| file.path == old.path).expect("an old file");
            assert_eq!((&new.path, &new.content), (&before.path, &before.content));
        }
        assert_eq!(edited.files.len(), back.files.len());
    }
    if let Ok(edited) = manifest::edit(&files, &aim) {
        let now: Vec<FileContent> = files
            .iter()
            .map(|old| edited.files.iter().find(|new| new.path == old.path).unwrap_or(old).clone())
            .collect();
        let again = manifest::edit(&now, &aim).expect("an edited file can be edited");
        assert_eq!(again.changes, []);
    }
});
