//! The clusters of a simulation: the world's side and the registry's side of the same fleet.

use std::time::Duration;

use guard_domain::compatibility::Compatibility;
use guard_domain::{
    BatchId, ClusterId, ClusterMetadata, ClusterRecord, ClusterStatus, Component, Config, DatadogTags,
    FileContent, HistoryEntry, IstioVersion, manifest, upgrade_path,
};
use guard_world::{Answer, Person, WorldSpec, istio_files};
use jiff::SignedDuration;

/// Where the demonstration starts and where it leads, unless told otherwise.
const START: &str = "1.29.8";

/// How much of the past Datadog has.
const HISTORY: SignedDuration = SignedDuration::from_hours(36);

/// A Flux file that a person brought along.
#[derive(Debug, Clone)]
pub struct FluxFile {
    /// Its file name, for the repository.
    pub name: String,
    /// Its content, byte for byte.
    pub content: String,
}

/// A fleet that cannot be made, in words for the person who asked for it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FleetError(pub(crate) String);

/// World, registry and configuration that belong together.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The outside world.
    pub world: WorldSpec,
    /// The registry's rows.
    pub rows: Vec<ClusterRecord>,
    /// The configuration.
    pub config: Config,
    /// The batches, in their order.
    pub batches: Vec<BatchId>,
    /// The version that runs.
    pub start: IstioVersion,
    /// The version to go to.
    pub target: IstioVersion,
}

impl Fleet {
    /// `count` clusters in one batch. With a Flux file, its own version is the start and the world supplies the other
    /// components; the Kubernetes version and the default target fit both.
    pub fn new(
        count: usize,
        seed: u64,
        flux_file: Option<&FluxFile>,
        target: Option<IstioVersion>,
    ) -> Result<Self, FleetError> {
        if !(1..=guard_domain::MAX_CLUSTERS).contains(&count) {
            return Err(FleetError(format!(
                "{count} clusters: a batch has 1 to {}",
                guard_domain::MAX_CLUSTERS
            )));
        }
        let table =
            Compatibility::built_in().map_err(|error| FleetError(format!("compatibility table: {error}")))?;
        let own = flux_file.map(Own::read).transpose()?;
        let start = match &own {
            Some(own) => own.version.clone(),
            None => parse(START)?,
        };
        let target = match target {
            Some(target) => target,
            None => default_target(&table, &start, flux_file)?,
        };
        // An impossible target is for GUARD to refuse, not for the world: then the start alone decides.
        let kubernetes = table
            .newest_kubernetes_for(&start, &target)
            .or_else(|| table.newest_kubernetes_for(&start, &start))
            .ok_or_else(|| {
                FleetError(format!("Istio {start} is not in the compatibility table of {}", table.as_of))
            })?;

        let mut world = WorldSpec::healthy(count, &start.to_string());
        world.seed = seed;
        // Enough to judge a soak by, and little enough for many journeys.
        world.metrics_since = Some(world.start - HISTORY);
        world.person = Person {
            upgrade: Answer::Merge { after: Duration::from_mins(14) },
            rollback: Answer::Merge { after: Duration::from_mins(6) },
        };
        for cluster in &mut world.clusters {
            cluster.kubernetes_version.clone_from(&kubernetes);
        }
        if let (Some(own), Some(file)) = (&own, flux_file) {
            own.replace(&mut world, file);
        }

        let batches = vec![batch_name(0)?];
        let rows = world
            .clusters
            .iter()
            .map(|cluster| row(&world, cluster, &batches[0], &start))
            .collect::<Result<_, _>>()?;
        let mut config = Config::default();
        config.aws.region.clone_from(&world.region);
        "https://gitlab.example.com".clone_into(&mut config.gitlab.url);
        Ok(Self { world, rows, config, batches, start, target })
    }

    /// Small clusters that are quick to look at, and people who do not wait for days: for thousands of journeys. How often a
    /// loop turns is not what they ask.
    pub fn quick(count: usize, seed: u64) -> Result<Self, FleetError> {
        let mut fleet = Self::new(count, seed, None, None)?;
        fleet.config.validation.soak_period_minutes = 20;
        fleet.config.policy.canary_watch_minutes = 0;
        fleet.config.policy.restart_timeout_minutes = 1_440;
        fleet.config.policy.merge_timeout_hours = 2;
        fleet.config.policy.decision_timeout_hours = 2;
        fleet.world.metrics_since = Some(fleet.world.start - SignedDuration::from_hours(12));
        for cluster in &mut fleet.world.clusters {
            cluster.workloads.truncate(3);
            cluster.old_replica_sets = 0;
            cluster.other_definitions = 0;
        }
        Ok(fleet)
    }

    /// The same clusters, in `count` batches that wait for each other.
    pub fn in_batches(mut self, count: usize) -> Result<Self, FleetError> {
        if !(1..=self.rows.len()).contains(&count) {
            return Err(FleetError(format!(
                "{count} batches of {} clusters: each needs one",
                self.rows.len()
            )));
        }
        self.batches = (0..count).map(batch_name).collect::<Result<_, _>>()?;
        let size = self.rows.len().div_ceil(count);
        // The last batches give up a cluster each where the clusters do not divide evenly.
        let full = self.rows.len() - (size - 1) * count;
        for (n, row) in self.rows.iter_mut().enumerate() {
            let batch = if n < full * size { n / size } else { full + (n - full * size) / (size - 1) };
            row.batch_id.clone_from(&self.batches[batch]);
        }
        let order = self.batches.windows(2).map(|pair| (pair[1].clone(), vec![pair[0].clone()]));
        self.config.batch_order = order.collect();
        Ok(self)
    }

    /// The same clusters, in turn in `count` GitLab projects: `platform/fleet`, `platform/fleet-2`, ...
    #[must_use]
    pub fn in_projects(mut self, count: usize) -> Self {
        let first = self.world.gitlab_project.clone();
        for (n, cluster) in self.world.clusters.iter_mut().enumerate().filter(|(n, _)| n % count != 0) {
            let project = format!("{first}-{}", n % count + 1);
            let prefix = format!("{}/", cluster.flux_path);
            let (own, rest) = std::mem::take(&mut self.world.files)
                .into_iter()
                .partition(|(path, _)| path.starts_with(&prefix));
            self.world.files = rest;
            let own: std::collections::BTreeMap<String, String> = own;
            self.world.more_projects.entry(project.clone()).or_default().extend(own);
            cluster.gitlab_project = Some(project.clone());
            if let Some(row) = self.rows.iter_mut().find(|row| row.cluster_id.as_str() == cluster.cluster_id)
            {
                row.gitlab_repo = project;
            }
        }
        self
    }

    /// Adds clusters of another batch, which the run does not touch: what the judge compares with.
    pub(crate) fn add_bystanders(&mut self, count: usize) -> Result<(), FleetError> {
        let first = self.rows.len();
        let wider = WorldSpec::healthy(first + count, &self.start.to_string());
        let batch = batch_name(self.batches.len())?;
        for mut cluster in wider.clusters.into_iter().skip(first) {
            cluster.kubernetes_version.clone_from(&self.world.clusters[0].kubernetes_version);
            self.rows.push(row(&self.world, &cluster, &batch, &self.start)?);
            let files =
                wider.files.iter().filter(|(path, _)| path.starts_with(&format!("{}/", cluster.flux_path)));
            self.world.files.extend(files.map(|(path, text)| (path.clone(), text.clone())));
            self.world.clusters.push(cluster);
        }
        Ok(())
    }

    /// Rows of the batch that goes first.
    pub fn first_batch(&self) -> impl Iterator<Item = &ClusterRecord> {
        self.rows.iter().filter(|row| row.batch_id == self.batches[0])
    }

    /// The clusters that a scenario hurts: every second one of the first batch, and its only one.
    pub fn victims(&self) -> Vec<String> {
        let ids: Vec<String> = self.first_batch().map(|row| row.cluster_id.to_string()).collect();
        if ids.len() == 1 { ids } else { ids.into_iter().skip(1).step_by(2).collect() }
    }

    /// Whether a cluster goes first.
    pub fn is_in_first_batch(&self, cluster_id: &str) -> bool {
        self.first_batch().any(|row| row.cluster_id.as_str() == cluster_id)
    }
}

/// `test`, `dev`, `staging`, and waves of production after that.
fn batch_name(n: usize) -> Result<BatchId, FleetError> {
    let name = match n {
        0 => "test".to_owned(),
        1 => "dev".to_owned(),
        2 => "staging".to_owned(),
        n => format!("prod-wave-{}", n - 2),
    };
    BatchId::parse(&name).map_err(|error| FleetError(error.to_string()))
}

fn parse(version: &str) -> Result<IstioVersion, FleetError> {
    IstioVersion::parse(version).map_err(|error| FleetError(error.to_string()))
}

/// The newest known patch of the next minor. Where the next minor needs another chart host than the file names, or is
/// unknown, the newest patch of the same minor.
fn default_target(
    table: &Compatibility,
    start: &IstioVersion,
    file: Option<&FluxFile>,
) -> Result<IstioVersion, FleetError> {
    let (major, next) = (start.major(), start.minor() + 1);
    let next_minor = match table.newest_patch(major, next) {
        Some(newest) => Some(newest),
        None if table.knows(major, next) => Some(parse(&format!("{major}.{next}.0"))?),
        None => None,
    };
    // From 1.31 on the charts live elsewhere; moving a file's repository is a change of its own.
    let fits = |target: &IstioVersion| {
        upgrade_path::step(start, target, false).is_ok()
            && (target.minor() < 31 || file.is_none())
            && table.newest_kubernetes_for(start, target).is_some()
    };
    next_minor
        .filter(fits)
        .or_else(|| table.newest_patch(major, start.minor()).filter(|newest| newest > start))
        .or_else(|| parse(&format!("{major}.{}.{}", start.minor(), start.patch() + 1)).ok())
        .ok_or_else(|| FleetError(format!("no version follows {start}; name one with --target-version")))
}

/// A brought file, read.
struct Own {
    version: IstioVersion,
    components: Vec<Component>,
    releases: Vec<String>,
}

impl Own {
    fn read(file: &FluxFile) -> Result<Self, FleetError> {
        let content = FileContent { path: file.name.clone(), content: file.content.clone() };
        let pins = manifest::pins(&[content]).map_err(|findings| {
            let words: Vec<String> = findings.iter().map(ToString::to_string).collect();
            FleetError(words.join("\n"))
        })?;
        let Some(first) = pins.first() else {
            return Err(FleetError(format!(
                "{}: no HelmRelease of an Istio chart (base, istiod, cni, ztunnel, gateway) with a version in it",
                file.name
            )));
        };
        if let Some(other) = pins.iter().find(|pin| pin.version != first.version) {
            return Err(FleetError(format!(
                "{}: chart {} is at {} but chart {} at {}; bring them to one version first",
                file.name, first.chart, first.version, other.chart, other.version
            )));
        }
        Ok(Self {
            version: first.version.clone(),
            components: pins.iter().filter_map(|pin| pin.component).collect(),
            releases: pins.iter().map(|pin| pin.release.clone()).collect(),
        })
    }

    /// Puts the file into every cluster's folder, in place of the world's files for the same components.
    fn replace(&self, world: &mut WorldSpec, file: &FluxFile) {
        let version = self.version.to_string();
        for cluster in &world.clusters {
            world.files.retain(|path, _| !path.starts_with(&format!("{}/", cluster.flux_path)));
            for (name, text) in istio_files(&cluster.cluster_id, &version) {
                let component = Component::of_chart(name.trim_end_matches(".yaml"));
                if component.is_none_or(|component| self.components.contains(&component)) {
                    continue;
                }
                world.files.insert(format!("{}/supplied-{name}", cluster.flux_path), self.supplied(&text));
            }
            world.files.insert(format!("{}/{}", cluster.flux_path, file.name), file.content.clone());
        }
    }

    /// A file of the world's that stands beside the brought one: it waits for no release that the brought file may call
    /// otherwise, and shares no release's name with it.
    fn supplied(&self, text: &str) -> String {
        let mut kept = String::new();
        let mut in_depends_on = false;
        for line in text.lines() {
            let is_deeper = line.starts_with("    ");
            in_depends_on = line.starts_with("  dependsOn:") || (in_depends_on && is_deeper);
            if !in_depends_on {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        for release in &self.releases {
            for name in [format!("name: {release}\n"), format!("name: &app {release}\n")] {
                kept = kept.replace(&format!("\n  {name}"), &format!("\n  {}-supplied\n", name.trim_end()));
            }
        }
        kept
    }
}

fn row(
    world: &WorldSpec,
    cluster: &guard_world::ClusterSpec,
    batch_id: &BatchId,
    version: &IstioVersion,
) -> Result<ClusterRecord, FleetError> {
    Ok(ClusterRecord {
        cluster_id: ClusterId::parse(&cluster.cluster_id).map_err(|error| FleetError(error.to_string()))?,
        batch_id: batch_id.clone(),
        environment: cluster.environment.clone(),
        region: world.region.clone(),
        gitlab_repo: cluster.gitlab_project.clone().unwrap_or_else(|| world.gitlab_project.clone()),
        flux_config_path: cluster.flux_path.clone(),
        aws_role_arn: cluster.role_arn.clone(),
        current_istio_version: version.clone(),
        target_istio_version: None,
        datadog_tags: DatadogTags {
            cluster: cluster.datadog_cluster_tag.clone(),
            service: "istio-system".to_owned(),
            env: cluster.environment.clone(),
        },
        owner_team: "mesh".to_owned(),
        owner_handle: "mesh-team".to_owned(),
        status: ClusterStatus::Healthy,
        last_updated: world.start,
        upgrade_history: vec![HistoryEntry {
            version: version.clone(),
            date: world.start,
            status: ClusterStatus::Healthy,
            run_id: None,
        }],
        metadata: ClusterMetadata::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: &str, chart: &str) -> FluxFile {
        FluxFile {
            name: "istio.yaml".into(),
            content: format!(
                "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: istiod\nspec:\n  chart:\n    spec:\n      chart: {chart}\n      version: {version}\n"
            ),
        }
    }

    #[test]
    fn a_brought_file_decides_start_target_and_kubernetes() {
        let fleet = Fleet::new(2, 1, Some(&file("1.24.3", "base")), None).unwrap();
        assert_eq!(
            (fleet.start.to_string().as_str(), fleet.target.to_string().as_str()),
            ("1.24.3", "1.25.0")
        );
        assert_eq!(fleet.world.clusters[0].kubernetes_version, "1.31");
        let paths: Vec<&str> =
            fleet.world.files.keys().map(String::as_str).filter(|p| p.contains("euw1-1/")).collect();
        assert_eq!(
            paths,
            [
                "clusters/test-euw1-1/istio/istio.yaml",
                "clusters/test-euw1-1/istio/supplied-gateway.yaml",
                "clusters/test-euw1-1/istio/supplied-istiod.yaml"
            ]
        );
        let istiod = &fleet.world.files["clusters/test-euw1-1/istio/supplied-istiod.yaml"];
        assert!(istiod.contains("name: &app istiod-supplied\n") && !istiod.contains("dependsOn"), "{istiod}");
    }

    #[test]
    fn the_default_target_keeps_away_from_another_chart_host() {
        let fleet = Fleet::new(1, 1, Some(&file("1.30.4", "ztunnel")), None).unwrap();
        assert_eq!(fleet.target.to_string(), "1.30.5");
    }

    #[test]
    fn batches_share_the_clusters_evenly_and_wait_for_each_other() {
        for (clusters, count) in [(75, 6), (4, 4), (7, 3), (5, 1), (6, 3)] {
            let fleet = Fleet::new(clusters, 1, None, None).unwrap().in_batches(count).unwrap();
            let size = |batch: &BatchId| fleet.rows.iter().filter(|row| row.batch_id == *batch).count();
            let sizes: Vec<usize> = fleet.batches.iter().map(size).collect();
            assert_eq!(sizes.iter().sum::<usize>(), clusters);
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
            assert_eq!(fleet.config.batch_order.len(), count - 1);
        }
        assert!(Fleet::new(2, 1, None, None).unwrap().in_batches(3).is_err());
    }

    #[test]
    fn what_cannot_be_simulated_is_said_in_words() {
        let refusal = |f: FluxFile| Fleet::new(1, 1, Some(&f), None).unwrap_err().to_string();
        assert!(refusal(file("1.24.x", "base")).contains("VERSION_RANGE"));
        assert!(refusal(file("1.24.3", "nginx")).contains("no HelmRelease of an Istio chart"));
        assert!(Fleet::new(0, 1, None, None).is_err() && Fleet::new(201, 1, None, None).is_err());
    }
}
