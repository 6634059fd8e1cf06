//! The plan of the house, asserted: which package may use which, read from every Cargo.toml.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read the tree has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

/// Vendor libraries, and the one package that may name each. A trailing `*` stands for any ending.
const VENDORS: [(&str, &str); 7] = [
    ("lambda_runtime", "guard-lambda"),
    ("kube", "guard-kubernetes"),
    ("k8s-openapi", "guard-kubernetes"),
    ("reqwest", "guard-http"),
    ("aws-sdk-*", "guard-aws"),
    // Processes, and files on the disk: istioctl needs both, and nobody else.
    ("rustix", "guard-istioctl"),
    ("tempfile", "guard-istioctl"),
];

/// What the domain is free of: runtimes, sockets, vendors, logging.
const NOT_IN_DOMAIN: [&str; 12] = [
    "tokio", "futures", "async-*", "http", "http-*", "hyper*", "reqwest", "kube*", "k8s-*", "aws-*",
    "tracing*", "lambda_*",
];

/// Words that the manifest of the tasks does not hold: no vendor is named there.
const NOT_IN_TASKS: [&str; 9] =
    ["kube", "aws", "gitlab", "datadog", "lambda", "reqwest", "hyper", "tokio", "istioctl"];

#[derive(Debug, Clone)]
struct Package {
    /// From the root of the workspace, with slashes.
    folder: String,
    name: String,
    manifest: String,
    table: Table,
}

impl Package {
    fn read(folder: &str, manifest: &str) -> Self {
        let table: Table = manifest.parse().unwrap();
        let name = table["package"]["name"].as_str().unwrap().to_owned();
        Self { folder: folder.to_owned(), name, manifest: manifest.to_owned(), table }
    }

    /// Every dependency with its table, whatever its kind and target.
    fn dependencies(&self) -> Vec<(String, &Value)> {
        let targets = self.table.get("target").and_then(Value::as_table);
        let tables = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        tables
            .chain([&self.table])
            .flat_map(|table| {
                ["dependencies", "dev-dependencies", "build-dependencies"].map(|kind| table.get(kind))
            })
            .flatten()
            .filter_map(Value::as_table)
            .flatten()
            .map(|(key, value)| {
                let renamed = value.get("package").and_then(Value::as_str);
                (renamed.unwrap_or(key).to_owned(), value)
            })
            .collect()
    }

    fn names(&self) -> Vec<String> {
        self.dependencies().into_iter().map(|(name, _)| name).collect()
    }

    fn layer(&self) -> Layer {
        match self.folder.as_str() {
            "shared/judge" => Layer::Judge,
            "shared/domain" => Layer::Domain,
            "shared/series" => Layer::Series,
            "shared/tasks" => Layer::Tasks,
            "shared/http" => Layer::Http,
            "shared/lambda" => Layer::Lambda,
            "shared/cli" => Layer::Cli,
            "tests/asl" | "tests/world" => Layer::Stranger,
            "tests/simulation" => Layer::Simulation,
            "tests" | "tests/benchmarks" | "tests/world-server" => Layer::Tests,
            other if other.starts_with("shared/adapters/") => Layer::Adapter,
            other if other.starts_with("functions/") => Layer::Function,
            other => panic!("{other} has no place in the plan: give it one here and in ARCHITECTURE.md"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// A part of the domain that is compiled by itself, for it is run often: the domain gives it out as its own.
    Judge,
    Domain,
    Series,
    Tasks,
    Http,
    Adapter,
    Lambda,
    Function,
    Cli,
    /// Knows no other package of ours: it could be published alone.
    Stranger,
    Simulation,
    Tests,
}

impl Layer {
    /// May a package of this layer use this package?
    fn may_use(self, other: &Package) -> bool {
        let layer = other.layer();
        match self {
            Self::Judge | Self::Stranger => false,
            Self::Domain => layer == Self::Judge,
            Self::Series | Self::Tasks => layer == Self::Domain,
            Self::Http => matches!(layer, Self::Domain | Self::Tasks),
            Self::Adapter => matches!(layer, Self::Domain | Self::Tasks | Self::Http),
            // Stores and AWS belong to every function; the vendors that only some need stay out.
            Self::Lambda => {
                matches!(layer, Self::Domain | Self::Tasks | Self::Http) || other.name == "guard-aws"
            }
            Self::Function => {
                matches!(layer, Self::Domain | Self::Tasks | Self::Adapter | Self::Lambda | Self::Tests)
            }
            Self::Cli => !matches!(layer, Self::Function | Self::Tests | Self::Judge),
            Self::Simulation => {
                !matches!(layer, Self::Function | Self::Tests | Self::Cli | Self::Lambda | Self::Judge)
            }
            Self::Tests => true,
        }
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// Every rule that these packages break, as sentences.
fn violations(packages: &[Package], task_names: &BTreeSet<String>) -> Vec<String> {
    let mut broken = Vec::new();
    for package in packages {
        let name = &package.name;
        for used in package.names() {
            if let Some(other) = packages.iter().find(|other| other.name == used)
                && !package.layer().may_use(other)
            {
                broken.push(format!("{name} must not depend on {used}"));
            }
            for (pattern, home) in VENDORS {
                if fits(pattern, &used) && name != home {
                    broken.push(format!("{name} names {used}, which belongs to {home} alone"));
                }
            }
            if matches!(package.layer(), Layer::Domain | Layer::Judge)
                && NOT_IN_DOMAIN.iter().any(|pattern| fits(pattern, &used))
            {
                broken.push(format!("{name} decides and must not depend on {used}"));
            }
            let is_ours = packages.iter().any(|other| other.name == used);
            if package.layer() == Layer::Function
                && !is_ours
                && !["tokio", "serde_json"].contains(&used.as_str())
            {
                broken.push(format!("{name} only composes and must not depend on {used}"));
            }
        }
        if package.layer() == Layer::Tasks {
            let manifest = package.manifest.to_lowercase();
            for word in NOT_IN_TASKS.iter().filter(|word| manifest.contains(**word)) {
                broken.push(format!("the manifest of {name} names `{word}`"));
            }
        }
        if package.table.get("lints").and_then(|lints| lints.get("workspace")) != Some(&Value::Boolean(true))
        {
            broken.push(format!("{name} does not take the lints of the workspace"));
        }
        for (used, value) in package.dependencies() {
            if value.get("workspace") != Some(&Value::Boolean(true)) {
                broken.push(format!("{name} states a version of {used} itself, not in the workspace"));
            }
        }
        if package.layer() == Layer::Function && package.folder != format!("functions/{name}") {
            broken.push(format!("{name} lies in {}", package.folder));
        }
    }
    let functions: BTreeSet<String> = packages
        .iter()
        .filter(|package| package.layer() == Layer::Function)
        .map(|package| package.name.clone())
        .collect();
    broken.extend(functions.difference(task_names).map(|name| format!("function {name} has no task")));
    broken.extend(task_names.difference(&functions).map(|name| format!("task {name} has no function")));
    broken
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every package of the tree, found as the workspace's member globs find them.
fn packages() -> Vec<Package> {
    let table: Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = table["workspace"]["members"].as_array().unwrap();
    let mut folders = Vec::new();
    for member in members.iter().map(|member| member.as_str().unwrap()) {
        match member.strip_suffix("/*") {
            None => folders.push(member.to_owned()),
            Some(parent) => {
                for entry in fs::read_dir(root().join(parent)).unwrap() {
                    let name = entry.unwrap().file_name().into_string().unwrap();
                    if root().join(parent).join(&name).join("Cargo.toml").exists() {
                        folders.push(format!("{parent}/{name}"));
                    }
                }
            }
        }
    }
    let read = |folder: &String| {
        fs::read_to_string(root().join(folder).join("Cargo.toml")).map(|text| (folder.clone(), text))
    };
    folders
        .iter()
        .map(|folder| read(folder).unwrap())
        .map(|(folder, text)| Package::read(&folder, &text))
        .collect()
}

/// The value of every `const NAME` in the tasks' sources, tests left out.
fn task_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root().join("shared/tasks/src")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs::read_to_string(path).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        names.extend(
            code.lines()
                .filter_map(|line| line.trim().strip_prefix("const NAME: &'static str = \""))
                .filter_map(|rest| rest.strip_suffix("\";"))
                .map(str::to_owned),
        );
    }
    names
}

#[test]
fn dependencies_point_one_way() {
    let (packages, task_names) = (packages(), task_names());
    assert!(packages.len() > 20 && task_names.len() > 10, "{} packages, {task_names:?}", packages.len());
    let broken = violations(&packages, &task_names);
    assert!(broken.is_empty(), "rules of ARCHITECTURE.md are broken:\n{}", broken.join("\n"));
}

/// The rules themselves, tried on packages that break them.
#[test]
fn every_rule_can_be_broken() {
    let manifest = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n[dependencies]\n{rest}")
    };
    let package = |folder: &str, name: &str, used: &[&str]| {
        let lines: Vec<String> = used.iter().map(|used| format!("{used}.workspace = true")).collect();
        Package::read(folder, &manifest(name, &lines.join("\n")))
    };
    let sound = vec![
        package("shared/judge", "guard-judge", &["statrs"]),
        package("shared/domain", "guard-domain", &["serde", "guard-judge"]),
        package("shared/tasks", "guard-tasks", &["guard-domain"]),
        package("shared/http", "guard-http", &["guard-tasks", "reqwest"]),
        package("shared/lambda", "guard-lambda", &["guard-aws", "guard-tasks", "lambda_runtime"]),
        package("shared/adapters/aws", "guard-aws", &["guard-http", "aws-sdk-eks"]),
        package("shared/adapters/gitlab", "guard-gitlab", &["guard-http"]),
        package("shared/adapters/memory", "guard-memory", &["guard-tasks"]),
        package("tests/asl", "guard-asl", &["serde_json"]),
        package("functions/decide", "decide", &["guard-lambda", "guard-tasks", "tokio"]),
    ];
    let tasks = BTreeSet::from(["decide".to_owned()]);
    assert_eq!(violations(&sound, &tasks), Vec::<String>::new());

    let breaks = |folder: &str, name: &str, used: &[&str]| {
        let mut packages = sound.clone();
        packages.retain(|package| package.name != name);
        packages.push(package(folder, name, used));
        violations(&packages, &tasks).join("\n")
    };
    let table: [(&str, &str, &[&str], &str); 14] = [
        ("shared/judge", "guard-judge", &["guard-domain"], "must not depend on guard-domain"),
        ("shared/tasks", "guard-tasks", &["guard-judge"], "must not depend on guard-judge"),
        ("shared/domain", "guard-domain", &["tokio"], "must not depend on tokio"),
        ("shared/domain", "guard-domain", &["tracing"], "must not depend on tracing"),
        ("shared/tasks", "guard-tasks", &["guard-http"], "must not depend on guard-http"),
        ("shared/tasks", "guard-tasks", &["aws-types"], "names `aws`"),
        ("shared/adapters/gitlab", "guard-gitlab", &["guard-aws"], "must not depend on guard-aws"),
        ("shared/adapters/gitlab", "guard-gitlab", &["reqwest"], "belongs to guard-http alone"),
        ("shared/adapters/gitlab", "guard-gitlab", &["aws-sdk-s3"], "belongs to guard-aws alone"),
        ("shared/lambda", "guard-lambda", &["guard-gitlab"], "must not depend on guard-gitlab"),
        ("shared/lambda", "guard-lambda", &["guard-memory"], "must not depend on guard-memory"),
        ("tests/asl", "guard-asl", &["guard-domain"], "must not depend on guard-domain"),
        ("functions/decide", "decide", &["serde"], "only composes"),
        ("functions/decides", "decides", &["tokio"], "function decides has no task"),
    ];
    for (folder, name, used, expected) in table {
        let broken = breaks(folder, name, used);
        assert!(broken.contains(expected), "{name} with {used:?}: {broken}");
    }

    let mut stubborn = sound.clone();
    stubborn.push(Package::read(
        "shared/adapters/datadog",
        "[package]\nname = \"guard-datadog\"\n[target.'cfg(unix)'.dev-dependencies]\nk = { package = \"kube\", version = \"5\" }",
    ));
    let broken = violations(&stubborn, &BTreeSet::new()).join("\n");
    for expected in [
        "guard-datadog names kube",
        "guard-datadog does not take the lints",
        "guard-datadog states a version of kube itself",
        "function decide has no task",
    ] {
        assert!(broken.contains(expected), "{expected}: {broken}");
    }
    assert!(
        violations(&sound, &BTreeSet::from(["decide".into(), "settle".into()]))
            .join("")
            .contains("task settle")
    );
}

/// With two crypto providers in one process rustls cannot choose, and panics. Cargo.lock does not tell: it also lists
/// what optional features could bring, so the resolved tree is asked.
#[test]
fn there_is_one_crypto_provider() {
    let tree = |package: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args([
            "tree",
            "--offline",
            "--workspace",
            "--prefix",
            "none",
            "--invert",
            package,
        ]);
        let output = cargo.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(tree("aws-lc-rs").contains("guard-http"), "cargo tree shows who uses what");
    assert_eq!(tree("ring"), "", "ring came in");
}
