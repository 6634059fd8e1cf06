//! `guard validate`: is everything there that GUARD needs? Every problem at once.

pub(crate) mod document;
mod systems;

use console::style;
use guard_domain::{BatchId, ClusterRecord, Config, in_order};
use guard_tasks::{ErrorName, TaskError};

use crate::args::{Target, ValidateOptions};
use crate::deployment::{Deployment, Machine};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::list::apart;
use crate::print;
use crate::surroundings::Surroundings;

/// What came of one question.
enum Found {
    Fine(String),
    Problem(String),
    /// No answer was to be had. Never taken for a yes.
    Unknown(String),
    /// Not asked, and why.
    Skipped(String),
}

/// The answers so far; each is printed when it comes.
#[derive(Default)]
struct Report {
    problems: usize,
    unknown: usize,
}

impl Report {
    fn add(&mut self, what: &str, found: Found) {
        let (word, text) = match found {
            Found::Fine(text) => (style("ok     ").green(), text),
            Found::Problem(text) => {
                self.problems += 1;
                (style("problem").red().bold(), text)
            }
            Found::Unknown(text) => {
                self.unknown += 1;
                (style("unknown").yellow().bold(), text)
            }
            Found::Skipped(text) => (style("skipped").dim(), text),
        };
        print::out(&format!("{word}  {what}: {text}"));
    }

    /// `problems`, or that there are none.
    fn add_all(&mut self, what: &str, problems: Vec<String>, fine: &str) {
        if problems.is_empty() {
            self.add(what, Found::Fine(fine.to_owned()));
        }
        for problem in problems {
            self.add(what, Found::Problem(problem));
        }
    }

    /// Problems, or why they could not be found out.
    fn add_answer(&mut self, what: &str, answer: Result<Vec<String>, TaskError>, fine: &str) {
        match answer {
            Ok(problems) => self.add_all(what, problems, fine),
            Err(error) => self.add(what, not_answered(&error)),
        }
    }

    fn exit(&self) -> Exit {
        match (self.problems, self.unknown) {
            (0, 0) => {
                print::out("everything that was asked is well");
                return Exit::Done;
            }
            (0, unknown) => print::note(&format!("{unknown} questions found no answer; ask again later")),
            (problems, 0) => print::note(&format!("{problems} problems")),
            (problems, unknown) => {
                print::note(&format!("{problems} problems, and {unknown} questions found no answer"));
            }
        }
        if self.problems > 0 { Exit::Refused } else { Exit::Unknown }
    }
}

/// A refusal is a problem of the set-up; silence is no answer.
fn not_answered(error: &TaskError) -> Found {
    match error.name {
        ErrorName::Denied | ErrorName::Rejected => Found::Problem(error.chain()),
        ErrorName::Transient | ErrorName::Throttled | ErrorName::Conflict | ErrorName::Internal => {
            Found::Unknown(error.chain())
        }
    }
}

pub(crate) async fn run(target: &Target, options: &ValidateOptions) -> Result<Exit, Failure> {
    let surroundings = Surroundings::read();
    let mut report = Report::default();
    let file = options.config.clone().or_else(|| surroundings.get("GUARD_CONFIG_FILE").map(Into::into));
    if options.offline {
        let file = file.ok_or_else(|| {
            Failure::usage("--offline needs a file to look at").next("guard validate --offline --config FILE")
        })?;
        let text = read_file(&file)?;
        check_document(&mut report, &file.display().to_string(), &text);
        return Ok(report.exit());
    }
    let deployment = Deployment::open(target, surroundings)?;
    let config = match &file {
        Some(file) => check_document(&mut report, &file.display().to_string(), &read_file(file)?),
        None => parameter(&mut report, &deployment).await?,
    };
    for check in deployment.stores.check_tables().await {
        report.add_answer(
            &format!("table {}", check.table),
            check.problems,
            "there, with its keys and indexes",
        );
    }
    machines(&mut report, &deployment).await;
    let rows = registry(&mut report, &deployment, config.as_ref()).await;
    systems::check(&mut report, &deployment, config.as_ref(), &rows).await?;
    Ok(report.exit())
}

fn read_file(path: &std::path::Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::error(format!("{}: {error}", path.display())))
}

fn check_document(report: &mut Report, name: &str, text: &str) -> Option<Config> {
    let (config, mut problems) = document::read(text);
    if config.as_ref().is_some_and(|config| config.gitlab.url.is_empty()) {
        problems.push("config gitlab.url is empty: name the GitLab that people open".to_owned());
    }
    report.add_all(&format!("configuration {name}"), problems, "every key is known and every value can work");
    config
}

/// The document that the functions read.
async fn parameter(report: &mut Report, deployment: &Deployment) -> Result<Option<Config>, Failure> {
    let name = deployment.config_parameter();
    match deployment.config_text(&name).await? {
        Ok(text) => Ok(check_document(report, &format!("parameter {name}"), &text)),
        Err(error) => {
            report.add(&format!("configuration parameter {name}"), not_answered(&error));
            Ok(None)
        }
    }
}

async fn machines(report: &mut Report, deployment: &Deployment) {
    let known = match deployment.known_machines().await {
        Ok(known) => known,
        Err(error) => return report.add("state machines", not_answered(&error)),
    };
    for machine in Machine::ALL {
        let name = format!("{}-{}", deployment.prefix, machine.as_str());
        let problems = if known.iter().any(|(known, _)| *known == name) {
            Vec::new()
        } else {
            vec![format!("it does not exist in {}", deployment.region)]
        };
        report.add_all(&format!("state machine {name}"), problems, "there");
    }
}

/// Every row, and whether the configuration's order fits the batches.
async fn registry(
    report: &mut Report,
    deployment: &Deployment,
    config: Option<&Config>,
) -> Vec<ClusterRecord> {
    let fleet = match deployment.ask(|| deployment.stores.fleet()).await {
        Ok(fleet) => fleet,
        Err(error) => {
            report.add("registry", not_answered(&error));
            return Vec::new();
        }
    };
    let (rows, broken) = apart(fleet);
    report.add_all("registry", broken, &format!("{} clusters", rows.len()));
    let mut sizes = std::collections::BTreeMap::<BatchId, usize>::new();
    for row in &rows {
        *sizes.entry(row.batch_id.clone()).or_default() += 1;
    }
    if let Some(config) = config {
        let order = in_order(&config.batch_order, &sizes);
        let problems = order.err().map(|error| error.to_string()).into_iter().collect();
        report.add_all("order of the batches", problems, "every batch is known, and none waits for itself");
    }
    rows
}
