//! The GUARD that is deployed in an account: its machines, its tables, its secrets.

mod outside;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use guard_aws::{DynamoDb, Execution, Identity, Secrets, StepFunctions, TableNames};
use guard_domain::BatchId;
use guard_http::{ReqwestTransport, Transport};
use guard_tasks::{Clock, ErrorName, TaskError};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::args::Target;
use crate::credentials;
use crate::failure::Failure;
use crate::surroundings::{Surroundings, SystemClock, pause};

/// Attempts at a call that reads: the first, and four more.
const ATTEMPTS: u32 = 5;

/// A machine of GUARD, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    Rollout,
    BatchUpgrade,
    BatchRollback,
    ClusterConverge,
}

impl Machine {
    pub(crate) const ALL: [Self; 4] =
        [Self::Rollout, Self::BatchUpgrade, Self::BatchRollback, Self::ClusterConverge];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rollout => "rollout",
            Self::BatchUpgrade => "batch-upgrade",
            Self::BatchRollback => "batch-rollback",
            Self::ClusterConverge => "cluster-converge",
        }
    }
}

/// A machine that was found, with what all its executions' ARNs begin with.
#[derive(Debug, Clone)]
pub(crate) struct FoundMachine {
    pub(crate) arn: String,
    executions: String,
}

impl FoundMachine {
    /// The ARN of the execution with this name.
    pub(crate) fn execution(&self, name: &str) -> String {
        format!("{}:{name}", self.executions)
    }
}

pub(crate) struct Deployment {
    pub(crate) prefix: String,
    pub(crate) region: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) identity: Identity,
    pub(crate) machines: StepFunctions,
    pub(crate) stores: DynamoDb,
    known: OnceCell<Vec<(String, String)>>,
    surroundings: Surroundings,
}

impl Deployment {
    /// Finds credentials and region. Nothing is called yet but, where it is needed for them, the AWS CLI.
    pub(crate) fn open(target: &Target, surroundings: Surroundings) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let profile = target.profile.as_deref();
        let region = target
            .region
            .clone()
            .or_else(|| surroundings.get("AWS_REGION").cloned())
            .or_else(|| surroundings.get("AWS_DEFAULT_REGION").cloned())
            .or_else(|| credentials::configured_region(profile))
            .ok_or_else(|| {
                Failure::error("no AWS region: nothing says where GUARD runs")
                    .next("set AWS_REGION, or name it: guard --region REGION")
            })?;
        let identity = credentials::provider(&surroundings, profile, Arc::clone(&clock))?;
        let transport: Arc<dyn Transport> = Arc::new(ReqwestTransport::new());
        let tables = tables(&surroundings, &target.prefix);
        let endpoint = |service| endpoint(&surroundings, service);
        let machines = StepFunctions::new(
            Arc::clone(&transport),
            identity.clone(),
            Arc::clone(&clock),
            &region,
            endpoint("SFN")?.as_ref(),
        );
        let stores = DynamoDb::new(
            Arc::clone(&transport),
            identity.clone(),
            Arc::clone(&clock),
            &region,
            endpoint("DYNAMODB")?.as_ref(),
            tables,
        );
        let prefix = target.prefix.clone();
        Ok(Self {
            prefix,
            region,
            clock,
            transport,
            identity,
            machines,
            stores,
            known: OnceCell::new(),
            surroundings,
        })
    }

    /// Secrets Manager.
    pub(crate) fn secrets(&self) -> Result<Secrets, Failure> {
        let endpoint = self.endpoint("SECRETS_MANAGER")?;
        let (transport, clock) = (Arc::clone(&self.transport), Arc::clone(&self.clock));
        Ok(Secrets::new(transport, self.identity.clone(), clock, &self.region, endpoint.as_ref()))
    }

    /// Where a service is, when it is not where AWS has it.
    pub(crate) fn endpoint(&self, service: &str) -> Result<Option<String>, Failure> {
        endpoint(&self.surroundings, service)
    }

    /// A variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&String> {
        self.surroundings.get(name)
    }

    /// Who is at the keyboard: as named, or as the environment knows.
    pub(crate) fn person(&self, named: Option<&String>) -> Result<String, Failure> {
        named.or_else(|| self.surroundings.person()).cloned().ok_or_else(|| {
            Failure::usage("nobody is named: the audit log keeps who decided").next("add --who YOUR-NAME")
        })
    }

    /// A machine by its name.
    pub(crate) async fn machine(&self, machine: Machine) -> Result<FoundMachine, Failure> {
        let name = format!("{}-{}", self.prefix, machine.as_str());
        let known = self.known_machines().await?;
        if let Some((_, arn)) = known.iter().find(|(known, _)| *known == name) {
            let executions = arn.replacen(":stateMachine:", ":execution:", 1);
            return Ok(FoundMachine { arn: arn.clone(), executions });
        }
        let end = format!("-{}", machine.as_str());
        let others: Vec<&str> = known.iter().filter_map(|(name, _)| name.strip_suffix(&end)).collect();
        let next = if others.is_empty() {
            "deploy GUARD there first, or name another region: guard --region REGION".to_owned()
        } else {
            format!("name its prefix: guard --prefix {}", others.join(" | "))
        };
        Err(Failure::error(format!("there is no state machine {name} in {}", self.region)).next(next))
    }

    /// Every machine of the account and region; asked once, for nobody deploys while a command runs.
    pub(crate) async fn known_machines(&self) -> Result<&[(String, String)], TaskError> {
        let known = self.known.get_or_try_init(|| self.ask(|| self.machines.machines())).await?;
        Ok(known)
    }

    /// One execution that must be there.
    pub(crate) async fn execution(&self, arn: &str) -> Result<Execution, Failure> {
        self.ask(|| self.machines.execution(arn)).await?.ok_or_else(|| {
            Failure::error(format!("there is no execution {arn}"))
                .next("look at what runs and ran: guard status")
        })
    }

    /// Asks until there is an answer, or it is clear that none will come. For what changes nothing, or may be repeated.
    pub(crate) async fn ask<T, F>(&self, call: impl Fn() -> F) -> Result<T, TaskError>
    where
        F: Future<Output = Result<T, TaskError>>,
    {
        let mut attempt = 1;
        loop {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let may_pass = matches!(error.name, ErrorName::Transient | ErrorName::Throttled);
            if !may_pass || attempt == ATTEMPTS {
                return Err(error);
            }
            // Full jitter: the nanoseconds of the clock are random enough to take two people apart.
            let most = 200 << attempt;
            let part = u64::from(self.clock.now().subsec_nanosecond().unsigned_abs()) % 1000;
            pause(Duration::from_millis(most * part / 1000)).await;
            attempt += 1;
        }
    }

    /// `--prefix` and `--region` as they must be repeated in a command that is proposed.
    pub(crate) fn same_target(&self) -> String {
        if self.prefix == crate::args::DEFAULT_PREFIX {
            String::new()
        } else {
            format!(" --prefix {}", self.prefix)
        }
    }
}

/// The machine of an execution's ARN: `batch-upgrade` of `...:stateMachine:guard-batch-upgrade` and of what begins with
/// `...:execution:guard-batch-upgrade:`.
pub(crate) fn machine_of(arn: &str) -> Option<Machine> {
    let name = arn.split(':').nth(6)?;
    Machine::ALL
        .into_iter()
        .find(|machine| name == machine.as_str() || name.ends_with(&format!("-{}", machine.as_str())))
}

/// The batch that an execution was started for: of its input, or of its run when another machine started it.
pub(crate) fn batch_of(execution: &Execution) -> Option<BatchId> {
    let text = |pointer| execution.input.pointer(pointer).and_then(Value::as_str);
    let id = text("/batch_id").or_else(|| text("/run/batch_id"))?;
    BatchId::parse(id).ok()
}

/// Names as the deployment gives them, unless the environment says others.
fn tables(surroundings: &Surroundings, prefix: &str) -> TableNames {
    let name = |variable: &str, end: &str| {
        surroundings.get(variable).cloned().unwrap_or_else(|| format!("{prefix}-{end}"))
    };
    TableNames {
        registry: name("GUARD_REGISTRY_TABLE", "cluster-registry"),
        runs: name("GUARD_RUNS_TABLE", "runs"),
        locks: name("GUARD_LOCKS_TABLE", "locks"),
    }
}

fn endpoint(surroundings: &Surroundings, service: &str) -> Result<Option<String>, Failure> {
    let own = format!("AWS_ENDPOINT_URL_{service}");
    for name in [own.as_str(), "AWS_ENDPOINT_URL"] {
        let Some(url) = surroundings.get(name) else { continue };
        if url.starts_with("http://") || url.starts_with("https://") {
            return Ok(Some(url.clone()));
        }
        return Err(Failure::error(format!("{name} is `{url}`, which is no http or https URL")));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_known_by_the_end_of_its_name() {
        let arn = |kind, name| format!("arn:aws:states:eu-west-1:123456789012:{kind}:{name}");
        assert_eq!(machine_of(&arn("execution", "guard-batch-upgrade:x")), Some(Machine::BatchUpgrade));
        assert_eq!(machine_of(&arn("stateMachine", "my-guard-rollout")), Some(Machine::Rollout));
        assert_eq!(machine_of(&arn("execution", "other:x")), None);
        assert_eq!(machine_of("nonsense"), None);
    }

    #[test]
    fn tables_are_named_by_the_prefix_or_by_the_environment() {
        assert_eq!(tables(&Surroundings::default(), crate::args::DEFAULT_PREFIX), TableNames::default());
        let given = Surroundings::of([("GUARD_RUNS_TABLE".to_owned(), "history".to_owned())]);
        let names = tables(&given, "mesh");
        assert_eq!((names.registry.as_str(), names.runs.as_str()), ("mesh-cluster-registry", "history"));
    }

    #[test]
    fn an_endpoint_is_a_services_own_before_that_of_all() {
        let given = Surroundings::of(
            [("AWS_ENDPOINT_URL", "http://a"), ("AWS_ENDPOINT_URL_SFN", "http://b")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        assert_eq!(endpoint(&given, "SFN").unwrap().as_deref(), Some("http://b"));
        assert_eq!(endpoint(&given, "DYNAMODB").unwrap().as_deref(), Some("http://a"));
        let wrong = Surroundings::of([("AWS_ENDPOINT_URL".to_owned(), "localhost".to_owned())]);
        assert!(endpoint(&wrong, "SFN").unwrap_err().text.contains("no http or https URL"));
    }
}
