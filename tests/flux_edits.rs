//! The edit over real Flux files: every one of the collection gets the minimal edit, or a refusal by its real reason.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]

use std::path::Path;

use guard_domain::manifest::{self, Aim, Edited, Rules};
use guard_domain::{FileContent, Finding, IstioVersion};
use guard_tests::collected::helmreleases;

/// What is to come of a file.
enum Outcome {
    /// Scalars that change.
    Edit(usize),
    /// Codes of the findings.
    Refuse(&'static [&'static str]),
}

use Outcome::{Edit, Refuse};

/// Every file of the collection, and what comes of it with a target on the old hosts.
const COLLECTED: [(&str, Outcome); 44] = [
    ("01-solanyn-home-ops.yaml", Edit(1)),
    ("03-solanyn-home-ops.yaml", Edit(1)),
    ("05-solanyn-home-ops.yaml", Edit(1)),
    ("07-solanyn-home-ops.yaml", Edit(1)),
    ("09-solanyn-home-ops.yaml", Edit(1)),
    ("11-solanyn-home-ops.yaml", Edit(1)),
    ("13-solanyn-home-ops.yaml", Edit(1)),
    ("14-solanyn-home-ops.yaml", Refuse(&["VERSION_ELSEWHERE"])),
    ("15-solanyn-home-ops.yaml", Edit(1)),
    ("17-solanyn-home-ops.yaml", Edit(1)),
    ("19-solanyn-home-ops.yaml", Edit(1)),
    ("21-Gabrielmadrid73-gitops-istio-multi-cluster.yaml", Refuse(&["VERSION_RANGE", "VERSION_RANGE"])),
    ("25-DevOpsMaestro-homelab-gitops-k8s-2026.yaml", Refuse(&["VERSION_RANGE", "VERSION_RANGE"])),
    ("27-HaRsH020772-gitops-eks-istio-flux.yaml", Refuse(&["VERSION_RANGE"])),
    ("29-HaRsH020772-gitops-eks-istio-flux.yaml", Refuse(&["VERSION_RANGE"])),
    (
        "30-stefanprodan-gitops-istio.yaml",
        Refuse(&["VERSION_SUBSTITUTED", "VERSION_SUBSTITUTED", "VERSION_SUBSTITUTED"]),
    ),
    ("31-stefanprodan-gitops-istio.yaml", Refuse(&["VERSION_IN_CONFIG_MAP"])),
    ("33-mrhoads-arcbox-istio-helm.yaml", Refuse(&["VERSION_MISSING"])),
    ("35-enchantednatures-HomeCluster.yaml", Edit(1)),
    ("37-FreekingDean-homelab.yaml", Edit(1)),
    ("39-rwlove-home-ops.yaml", Refuse(&["UMBRELLA_CHART"])),
    ("41-ripple-transfer-ripple-infra.yaml", Refuse(&["VERSION_RANGE", "VERSION_RANGE"])),
    (
        "45-ImperialOps-gitops.yaml",
        Refuse(&["FOREIGN_CHART", "FOREIGN_CHART", "FOREIGN_CHART", "VERSION_RANGE"]),
    ),
    ("49-toni1991-gitops-lab.yaml", Refuse(&["VERSION_RANGE"])),
    ("51-eminent85-flagger-poc.yaml", Refuse(&["VERSION_RANGE"])),
    ("53-gcleroux-fleet-infra.yaml", Refuse(&["VERSION_MISSING"])),
    ("55-jupitermoons-flux-gitops.yaml", Edit(2)),
    ("59-kumar-ulab-flux-workbook.yaml", Edit(3)),
    ("61-gluk0-homelab-cluster.yaml", Edit(1)),
    ("63-danielscholl-gitops-helm.yaml", Refuse(&["CHART_FROM_GIT"])),
    ("65-mesosphere-kommander-applications.yaml", Refuse(&["FOREIGN_CHART"])),
    ("66-mesosphere-kommander-applications.yaml", Refuse(&["VERSION_IN_PATH"])),
    ("67-coolguy1771-home-ops.yaml", Refuse(&["IMAGE_TAG_OTHER"])),
    ("68-don-dotmodus-flux2-helm.yaml", Refuse(&["FOREIGN_CHART"])),
    ("70-ksivamuthu-flux-cd-demo.yaml", Refuse(&["ISTIO_OPERATOR"])),
    ("derived/D1-crlf-of-55.yaml", Edit(2)),
    ("derived/D4-json6902-overlay.yaml", Refuse(&["VERSION_IN_PATCH", "VERSION_IN_PATCH"])),
    ("derived/D6-flow-and-anchor.yaml", Edit(2)),
    ("pairs/P1-solanyn-home-ops.after.yaml", Edit(1)),
    ("pairs/P1-solanyn-home-ops.before.yaml", Edit(1)),
    ("pairs/P2-solanyn-home-ops.after.yaml", Edit(1)),
    ("pairs/P2-solanyn-home-ops.before.yaml", Edit(1)),
    ("pairs/P3-solanyn-home-ops.after.yaml", Edit(1)),
    ("pairs/P3-solanyn-home-ops.before.yaml", Edit(1)),
];

fn v(text: &str) -> IstioVersion {
    IstioVersion::parse(text).unwrap()
}

fn go(file: &FileContent, to: &IstioVersion) -> Result<Edited, Vec<Finding>> {
    let aim = Aim { from: None, to, rules: Rules::default(), check_path: false, settings: &[] };
    manifest::edit(std::slice::from_ref(file), &aim)
}

#[test]
fn every_collected_file_gets_the_edit_or_the_refusal_it_deserves() {
    let Some(folder) = helmreleases() else { return };
    let index = std::fs::read_to_string(folder.join("index.tsv")).unwrap();
    assert_eq!(index.lines().skip(1).count(), COLLECTED.len(), "index.tsv has other files now");
    let to = v("1.30.5");
    let mut wrong = Vec::new();
    println!("| file | what is special | outcome |\n|---|---|---|");
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let (name, special) = (columns[0], columns[4]);
        let (_, wanted) = COLLECTED.iter().find(|(known, _)| *known == name).unwrap();
        let file = read(&folder, name);
        let result = go(&file, &to);
        println!("| {name} | {special} | {} |", told(&result));
        let is_right = match (&result, wanted) {
            (Ok(edited), Edit(count)) => {
                assert_only_scalars_differ(&file, edited, &to);
                edited.changes.len() == *count
            }
            (Err(findings), Refuse(codes)) => codes_of(findings) == *codes,
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{name}: {}", told(&result)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A version and the release that it belongs to, in two files of one folder.
#[test]
fn collected_files_that_belong_together_are_judged_together() {
    let Some(folder) = helmreleases() else { return };
    let to = v("1.30.5");
    let aim = Aim { from: None, to: &to, rules: Rules::default(), check_path: false, settings: &[] };
    let (release, repository) =
        (read(&folder, "14-solanyn-home-ops.yaml"), read(&folder, "15-solanyn-home-ops.yaml"));
    let edited = manifest::edit(&[release, repository.clone()], &aim).unwrap();
    assert_only_scalars_differ(&repository, &edited, &to);
    assert_eq!(edited.files.len(), 1, "the release itself holds no version");
    let pair = ["30-stefanprodan-gitops-istio.yaml", "31-stefanprodan-gitops-istio.yaml"];
    let findings = manifest::edit(&pair.map(|name| read(&folder, name)), &aim).unwrap_err();
    let substituted: Vec<&Finding> = findings.iter().filter(|f| f.code == "VERSION_SUBSTITUTED").collect();
    assert_eq!(substituted.len(), 3, "{findings:?}");
    assert!(
        substituted.iter().all(|f| f.to_string().contains("31-stefanprodan-gitops-istio.yaml:")),
        "{findings:?}"
    );
}

/// The answer in one cell of a table.
fn told(result: &Result<Edited, Vec<Finding>>) -> String {
    match result {
        Ok(edited) => {
            let one = |c: &manifest::Change| format!("line {}: {} -> {}", c.line, c.from.text, c.to.text);
            let mut parts: Vec<String> = edited.changes.iter().map(one).collect();
            parts.extend(edited.notes.iter().map(|note| format!("note {}", note.code)));
            parts.join("; ")
        }
        Err(findings) => {
            let one = |f: &Finding| format!("{} {} ({})", f.code, f.subject, f.message);
            findings.iter().map(one).collect::<Vec<_>>().join("; ").replace('|', "\\|")
        }
    }
}

fn codes_of(findings: &[Finding]) -> Vec<&str> {
    let blocking = findings.iter().filter(|f| f.severity == guard_domain::Severity::Blocking);
    blocking.map(|finding| finding.code.as_str()).collect()
}

/// The file is the old one with each change's text in the place of the other, and another reader of YAML sees only the
/// wanted paths differ. Edited again it is the same, and led back it is what it was.
fn assert_only_scalars_differ(before: &FileContent, edited: &Edited, to: &IstioVersion) {
    let after = &edited.files[0];
    let mut lines: Vec<String> = before.content.split_inclusive('\n').map(str::to_owned).collect();
    for change in &edited.changes {
        let line = &mut lines[change.line - 1];
        assert_eq!(line.matches(&change.from.text).count(), 1, "{}", before.path);
        *line = line.replace(&change.from.text, &change.to.text);
    }
    assert_eq!(lines.concat(), after.content, "{}", before.path);
    let again = go(after, to).unwrap();
    assert_eq!((again.files, again.changes), (vec![], vec![]), "{}", before.path);
    assert_eq!(manifest::holds(&edited.files, &edited.changes), Ok(()));
    let back = manifest::revert(&edited.files, &edited.changes).unwrap();
    assert_eq!(back.files, std::slice::from_ref(before));
}

fn read(folder: &Path, name: &str) -> FileContent {
    let content = String::from_utf8(std::fs::read(folder.join(name)).unwrap()).unwrap();
    FileContent { path: name.to_owned(), content }
}
