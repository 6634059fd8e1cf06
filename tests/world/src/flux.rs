//! Flux's objects in one cluster: what was fetched, applied, and released.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::flux_troubles::FluxTroubles;
use crate::git::Tree;

/// A Helm release's place: namespace, name.
pub(crate) type ReleaseKey = (String, String);

#[derive(Debug, Clone)]
pub(crate) struct Flux {
    /// Whether the Kustomization has `spec.suspend: true`.
    pub(crate) suspended: bool,
    /// The commit the GitRepository's artifact holds.
    pub(crate) fetched: String,
    pub(crate) fetched_at: Timestamp,
    /// The commit the Kustomization applied last.
    pub(crate) applied: String,
    pub(crate) applied_at: Timestamp,
    /// Why the last attempt to apply failed.
    pub(crate) apply_error: Option<String>,
    pub(crate) applying: bool,
    pub(crate) source_requested_at: Option<String>,
    pub(crate) kustomization_requested_at: Option<String>,
    /// Which second of the minute this cluster looks at the repository.
    pub(crate) offset: i64,
    pub(crate) releases: BTreeMap<ReleaseKey, Release>,
    /// The HelmRepository documents, as applied.
    pub(crate) repositories: BTreeMap<ReleaseKey, Value>,
    /// The OCIRepository documents, as applied.
    pub(crate) artifacts: BTreeMap<ReleaseKey, Value>,
    /// What is wrong with it.
    pub(crate) troubles: FluxTroubles,
}

/// What Helm remembers of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) chart: String,
    pub(crate) version: String,
    pub(crate) status: &'static str,
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
}

/// Where a release stands between what is asked and what runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// The helm-controller has nothing to do, or has not seen the change yet.
    Settled,
    /// It waits for another release.
    Blocked(String),
    /// Its chart cannot be had: reason and message.
    NoChart(&'static str, String),
    /// Helm is at work.
    Upgrading,
    /// An upgrade failed.
    Failed(Failure),
}

/// A failed upgrade, and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) why: String,
    /// It is tried again.
    pub(crate) retries: bool,
    /// What Helm says of the way back to the last release.
    pub(crate) rolled_back: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) spec: Value,
    /// The chart of `spec.chartRef` and its version, as the OCIRepository has them.
    pub(crate) by_reference: Option<(String, String)>,
    /// The OCIRepository has another version than the one that was released last: nothing in the release says so.
    pub(crate) is_renewed: bool,
    pub(crate) generation: u64,
    pub(crate) observed: u64,
    /// The generation Helm is or was last working on.
    pub(crate) working_on: u64,
    pub(crate) phase: Phase,
    pub(crate) since: Timestamp,
    pub(crate) failures: u64,
    /// Newest first.
    pub(crate) history: Vec<Snapshot>,
    pub(crate) requested_at: Option<String>,
    pub(crate) resource_version: u64,
    /// A person suspended it.
    pub(crate) held: bool,
    /// How often a person suspended or resumed it: each is a generation more.
    pub(crate) edits: u64,
    /// How many of these the controller has seen: it looks at nothing that is suspended.
    pub(crate) seen_edits: u64,
}

impl Release {
    pub(crate) fn new(spec: Value, now: Timestamp) -> Self {
        Self {
            spec,
            by_reference: None,
            is_renewed: false,
            generation: 1,
            observed: 0,
            working_on: 0,
            phase: Phase::Settled,
            since: now,
            failures: 0,
            history: Vec::new(),
            requested_at: None,
            resource_version: 1,
            held: false,
            edits: 0,
            seen_edits: 0,
        }
    }

    /// A person suspends or resumes it.
    pub(crate) fn suspend(&mut self, suspended: bool) {
        if std::mem::replace(&mut self.held, suspended) != suspended {
            self.edits += 1;
        }
        if !suspended {
            self.seen_edits = self.edits;
        }
    }

    /// The generations as they are shown: of the object, and of what was observed or worked on.
    pub(crate) fn shown_generation(&self) -> u64 {
        self.generation + self.edits
    }

    /// A generation that the controller has seen.
    pub(crate) fn seen(&self, generation: u64) -> u64 {
        generation + self.seen_edits
    }

    /// What is deployed now is what a remediation went back to, and also what is asked for.
    pub(crate) fn is_back_already(&self) -> bool {
        let is_back = matches!(&self.phase, Phase::Failed(failure) if failure.rolled_back.is_some());
        let last = self.history.first();
        is_back && last.is_some_and(|last| last.version == self.wanted() && last.chart == self.chart())
    }

    /// The chart, which says what the release is; its name may say anything.
    pub(crate) fn chart(&self) -> &str {
        match &self.by_reference {
            Some((chart, _)) => chart,
            None => text(&self.spec, "/chart/spec/chart"),
        }
    }

    /// The chart version asked for. A range has no one version, so what runs stays.
    pub(crate) fn wanted(&self) -> String {
        let asked = match &self.by_reference {
            Some((_, version)) => version,
            None => text(&self.spec, "/chart/spec/version"),
        };
        let exact = asked.split('.').count() == 3
            && asked.starts_with(|c: char| c.is_ascii_digit())
            && !asked.contains(['x', 'X', '*', ' ']);
        if exact { asked.to_owned() } else { self.deployed().unwrap_or(asked).to_owned() }
    }

    /// The version of the images: a pinned tag wins over the chart's.
    pub(crate) fn image_version(&self, chart_version: &str) -> String {
        let pins = ["/values/pilot/tag", "/values/global/tag"];
        let pin = pins.iter().map(|at| text(&self.spec, at)).find(|tag| !tag.is_empty());
        pin.unwrap_or(chart_version).to_owned()
    }

    /// The chart version that is deployed.
    pub(crate) fn deployed(&self) -> Option<&str> {
        self.history.iter().find(|one| one.status == "deployed").map(|one| one.version.as_str())
    }

    /// Whether nothing is left to do.
    pub(crate) fn done(&self) -> bool {
        self.phase == Phase::Settled && self.observed == self.generation && !self.is_renewed
    }

    pub(crate) fn suspended(&self) -> bool {
        self.held || self.spec.pointer("/suspend") == Some(&Value::Bool(true))
    }

    /// The releases it waits for.
    pub(crate) fn depends_on(&self, namespace: &str) -> Vec<ReleaseKey> {
        let list = self.spec.pointer("/dependsOn").and_then(Value::as_array);
        let one = |item: &Value| {
            let name = text(item, "/name").to_owned();
            let other = text(item, "/namespace");
            (if other.is_empty() { namespace.to_owned() } else { other.to_owned() }, name)
        };
        list.map(|items| items.iter().map(one).collect()).unwrap_or_default()
    }
}

/// The text at a JSON pointer, or nothing.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What a directory of the repository asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) releases: BTreeMap<ReleaseKey, Value>,
    pub(crate) repositories: BTreeMap<ReleaseKey, Value>,
    pub(crate) artifacts: BTreeMap<ReleaseKey, Value>,
}

impl Wanted {
    /// Chart and version of a release's `chartRef`.
    pub(crate) fn by_reference(&self, namespace: &str, spec: &Value) -> Option<(String, String)> {
        let name = text(spec, "/chartRef/name").to_owned();
        let own = text(spec, "/chartRef/namespace");
        let key = (if own.is_empty() { namespace.to_owned() } else { own.to_owned() }, name);
        let artifact = self.artifacts.get(&key)?;
        let chart = text(artifact, "/spec/url").rsplit('/').next()?;
        Some((chart.to_owned(), text(artifact, "/spec/ref/tag").to_owned()))
    }
}

/// Reads every YAML file below `directory`.
///
/// An error is the message the kustomize-controller would show.
pub(crate) fn read_directory(tree: &Tree, directory: &str) -> Result<Wanted, String> {
    let prefix = format!("{}/", directory.trim_matches('/'));
    let mut wanted = Wanted::default();
    let is_yaml = |path: &str| {
        let end = path.rsplit('.').next();
        matches!(end, Some("yaml" | "yml")) && !path.ends_with("kustomization.yaml")
    };
    let mut found = false;
    for (path, content) in tree.iter().filter(|(path, _)| path.starts_with(&prefix) && is_yaml(path)) {
        found = true;
        let content = String::from_utf8_lossy(content);
        let documents = serde_saphyr::from_multiple::<Value>(&content)
            .map_err(|error| format!("kustomize build failed: {path}: {error}"))?;
        for document in documents {
            let namespace = match text(&document, "/metadata/namespace") {
                "" => "istio-system",
                other => other,
            };
            let key = (namespace.to_owned(), text(&document, "/metadata/name").to_owned());
            match text(&document, "/kind") {
                "HelmRelease" => {
                    wanted.releases.insert(key, document.get("spec").cloned().unwrap_or_default())
                }
                "HelmRepository" => wanted.repositories.insert(key, document),
                "OCIRepository" => wanted.artifacts.insert(key, document),
                _ => None,
            };
        }
    }
    if found {
        Ok(wanted)
    } else {
        Err(format!("kustomization path not found: stat ./{directory}: no such file"))
    }
}

impl Flux {
    pub(crate) fn new(cluster_id: &str) -> Self {
        Self {
            suspended: false,
            fetched: String::new(),
            fetched_at: Timestamp::UNIX_EPOCH,
            applied: String::new(),
            applied_at: Timestamp::UNIX_EPOCH,
            apply_error: None,
            applying: false,
            source_requested_at: None,
            kustomization_requested_at: None,
            offset: crate::chance::between(7, &["poll", cluster_id], 0, 59),
            releases: BTreeMap::new(),
            repositories: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            troubles: FluxTroubles::default(),
        }
    }
}

impl Release {
    /// Where it stands, for a story.
    pub(crate) fn in_words(&self) -> String {
        match &self.phase {
            Phase::Settled => "deployed".to_owned(),
            Phase::Upgrading => "upgrading".to_owned(),
            Phase::Blocked(why) | Phase::NoChart(_, why) => format!("blocked: {why}"),
            Phase::Failed(failure) => format!("failed: {}", failure.why),
        }
    }
}
