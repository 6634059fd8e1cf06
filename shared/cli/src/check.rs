//! `guard check`: may this cluster be upgraded? It reads the cluster of a kubeconfig, and nothing else.

mod live;
mod report;

use guard_domain::checks::{ALL, Answer, Check, Source, Subject};
use guard_domain::compatibility::Compatibility;
use guard_domain::retirement::Retirement;
use guard_domain::skew::Skew;
use guard_domain::{
    BatchId, ClusterFacts, ClusterId, ClusterMetadata, ClusterRecord, ClusterStatus, Config, DatadogTags,
    Finding, InvalidName, IstioVersion, PlannedCluster, Unread, Verdict, upgrade_path,
};
use guard_kubernetes::kubeconfig::{OneCluster, Place};
use guard_tasks::{Clock as _, ErrorName, TaskError};
use jiff::Timestamp;

use crate::args::CheckOptions;
use crate::check::live::Live;
use crate::check::report::{Line, Outcome, Report};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::print;
use crate::surroundings::SystemClock;

/// The code of a step that no upgrade takes.
const PATH: &str = "UPGRADE_PATH";

pub(crate) async fn run(options: &CheckOptions) -> Result<Exit, Failure> {
    let place = Place { file: options.kubeconfig.clone(), context: options.context.clone() };
    let cluster = OneCluster::open(&place).await.map_err(|error| not_opened(&error))?;
    print::progress(&format!("context {}, {}", cluster.context(), cluster.server()));
    let judge = Judge::new(cluster.context(), &options.target_version)?;
    let live = Live::begin();
    let within = judge.config.policy.cluster_read();
    let facts = Box::pin(cluster.facts(within, &|facts, read| live.saw(&judge, facts, read))).await;
    live.end();

    let report = judge.report(cluster.context(), cluster.server(), &facts);
    if options.json {
        print::json(&report)?;
    } else {
        report.print();
    }
    Ok(match report.verdict {
        Verdict::Pass => Exit::Done,
        Verdict::Fail => Exit::Refused,
        Verdict::Unknown => Exit::Unknown,
    })
}

/// A kubeconfig that is wrong is an error; a cluster that cannot be entered is one of which nothing is known.
fn not_opened(error: &TaskError) -> Failure {
    let exit = match error.name {
        ErrorName::Rejected | ErrorName::Internal | ErrorName::Conflict => Exit::Error,
        ErrorName::Denied | ErrorName::Transient | ErrorName::Throttled => Exit::Unknown,
    };
    Failure::new(exit, error.chain())
        .next("look whether kubectl gets in with the same kubeconfig and context")
}

/// What decides, beside the facts.
pub(crate) struct Judge {
    record: ClusterRecord,
    target: IstioVersion,
    config: Config,
    compatibility: Compatibility,
    skew: Skew,
    retirement: Retirement,
    now: Timestamp,
}

impl Judge {
    fn new(context: &str, target: &IstioVersion) -> Result<Self, Failure> {
        let compatibility = Compatibility::built_in()
            .map_err(|error| Failure::error(format!("compatibility table: {error}")))?;
        let skew = Skew::built_in().map_err(|error| Failure::error(format!("skew table: {error}")))?;
        let retirement = Retirement::built_in()
            .map_err(|error| Failure::error(format!("table of hosts that go away: {error}")))?;
        let now = SystemClock.now();
        let record = record(context, target).map_err(|error| Failure::error(error.to_string()))?;
        Ok(Self {
            record,
            target: target.clone(),
            config: Config::default(),
            compatibility,
            skew,
            retirement,
            now,
        })
    }

    /// What this check says of what is known.
    fn answer(&self, check: &Check, facts: &ClusterFacts) -> Outcome {
        if let Some(what) = check.needs_beside_the_cluster() {
            return Outcome::NotAsked(what);
        }
        let from = running(facts).unwrap_or(&self.target);
        let planned = PlannedCluster {
            record: self.record.clone(),
            old: from.clone(),
            new: self.target.clone(),
            undoes: None,
        };
        let not_asked = || Unread::for_good("only the cluster is asked");
        let subject = Subject {
            planned: &planned,
            facts,
            base: &Err(not_asked()),
            baseline: &Err(not_asked()),
            memory: &Err(not_asked()),
            integration: &Err(not_asked()),
            monitors: &Err(not_asked()),
            config: &self.config,
            compatibility: &self.compatibility,
            skew: &self.skew,
            retirement: &self.retirement,
            now: self.now,
        };
        match subject.answer(check) {
            Answer::Found(found) => Outcome::Answered(found),
            // Only a run has the namespace for it; a person who looks at a cluster need not make one.
            Answer::Open(_) if check.reads.contains(&Source::Injection) => {
                Outcome::NotAsked("a pod as a dry run, in the namespace guard-probe of docs/rbac.yaml")
            }
            Answer::Open(why) => Outcome::Open(why),
        }
    }

    /// May the target follow what runs? The plan of a run asks that of the registry.
    fn step(&self, facts: &ClusterFacts) -> Outcome {
        let Some(from) = running(facts) else {
            let why = facts.istiod.as_ref().err().map(|unread| unread.why.clone());
            return Outcome::Open(why.unwrap_or_else(|| "no pod of istiod tells its version".to_owned()));
        };
        match upgrade_path::step(from, &self.target, false) {
            Ok(_) => Outcome::Answered(Vec::new()),
            Err(refusal) => Outcome::Answered(vec![Finding::blocking(
                PATH,
                self.record.cluster_id.as_str(),
                refusal.to_string(),
                "choose another --target-version",
            )]),
        }
    }

    fn report(&self, context: &str, server: &str, facts: &ClusterFacts) -> Report {
        let step = Line::new("May this version follow the one that runs?", PATH, self.step(facts));
        let checks = ALL.into_iter().map(|check| {
            let code = check.codes.first().map_or("", |code| code.code);
            Line::new(check.asks, code, self.answer(check, facts))
        });
        let checks: Vec<Line> = std::iter::once(step).chain(checks).collect();
        Report::new(context, server, running(facts), &self.target, checks)
    }
}

/// The row that a registry would have. Nothing that is asked here looks at more of it than its name.
fn record(context: &str, version: &IstioVersion) -> Result<ClusterRecord, InvalidName> {
    Ok(ClusterRecord {
        cluster_id: name_of(context)?,
        batch_id: BatchId::parse("none")?,
        environment: String::new(),
        region: String::new(),
        gitlab_repo: String::new(),
        flux_config_path: String::new(),
        aws_role_arn: String::new(),
        current_istio_version: version.clone(),
        target_istio_version: None,
        datadog_tags: DatadogTags { cluster: String::new(), service: String::new(), env: String::new() },
        owner_team: String::new(),
        owner_handle: String::new(),
        status: ClusterStatus::Pending,
        last_updated: Timestamp::UNIX_EPOCH,
        upgrade_history: Vec::new(),
        metadata: ClusterMetadata::default(),
    })
}

/// The version that most pods of istiod run.
fn running(facts: &ClusterFacts) -> Option<&IstioVersion> {
    let pods = facts.istiod.as_ref().ok()?.pods.iter();
    pods.filter_map(|(version, pods)| Some((version.as_ref()?, pods)))
        .max_by_key(|one| one.1)
        .map(|one| one.0)
}

/// `arn:aws:eks:eu-west-1:111111111111:cluster/prod` is `prod`.
fn name_of(context: &str) -> Result<ClusterId, InvalidName> {
    let last = context.rsplit('/').next().unwrap_or_default();
    let legal = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let name: String = last.chars().map(legal).skip_while(|letter| *letter == '-').take(60).collect();
    ClusterId::parse(if name.is_empty() { "cluster" } else { &name })
}

/// Everything that a check reads is there, and the version that runs.
fn is_readable(check: &Check, read: &[Source]) -> bool {
    read.contains(&Source::Istiod) && check.reads.iter().all(|source| read.contains(source))
}
