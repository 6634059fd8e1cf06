//! The report of a simulated run.

use comfy_table::{Cell, Color};
use console::{measure_text_width, style};
use guard_domain::ClusterStatus;
use guard_simulation::{Fleet, MergeRequestLine, Report, Scenario};

use super::{coloured, heading, say, table};

/// Lines of diff shown in full; the files after that are named with their changed lines only.
const DIFF_LINES: usize = 45;

/// What is about to happen.
pub(crate) fn opening(scenario: Scenario, fleet: &Fleet) {
    heading(&format!("Scenario {}: {}", scenario.name(), scenario.sentence()));
    let kubernetes = fleet.world.clusters.first().map_or("?", |cluster| cluster.kubernetes_version.as_str());
    let names: Vec<&str> = fleet.batches.iter().map(guard_domain::BatchId::as_str).collect();
    say!(
        "{} clusters in {}, Istio {} -> {}, Kubernetes {kubernetes}, seed {}, virtual time from {}",
        fleet.rows.len(),
        names.join(", "),
        fleet.start,
        fleet.target,
        fleet.world.seed,
        fleet.world.start
    );
}

/// The whole story.
pub(crate) fn report(report: &Report) {
    for request in &report.merge_requests {
        merge_request(request);
    }
    preview(report);
    soak(report);
    notifications(report);
    audit(report);
    bill(report);
    end(report);
}

fn merge_request(request: &MergeRequestLine) {
    heading(&format!("Merge request !{}: {}", request.iid, request.title));
    let merged = request.merged_at.map_or_else(String::new, |at| format!(", merged {at}"));
    say!("{}  {}  opened {}{merged}", request.state, request.web_url, request.created_at);
    for line in request.description.lines().filter(|line| !line.starts_with("<!--")) {
        say!("  {} {line}", style("|").dim());
    }
    let mut shown = 0;
    for file in &request.files {
        let lines: Vec<&str> = file.diff.lines().collect();
        if shown + lines.len() <= DIFF_LINES || shown == 0 {
            shown += lines.len();
            for line in &lines {
                diff_line(line);
            }
        } else {
            // Past the limit: the file and the lines that differ, without their surroundings.
            say!("{}", style(&file.path).bold());
            let is_change = |line: &&&str| {
                line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---")
            };
            lines.iter().filter(is_change).for_each(|line| diff_line(line));
        }
    }
}

fn diff_line(line: &str) {
    if line.starts_with("+++") || line.starts_with("---") {
        say!("{}", style(line).bold());
    } else if line.starts_with('+') {
        say!("{}", style(line).green());
    } else if line.starts_with('-') {
        say!("{}", style(line).red());
    } else {
        say!("{line}");
    }
}

/// What a dry run shows: its output holds the diff.
fn preview(report: &Report) {
    let output = report.output.as_ref().filter(|output| output["decision"] == "preview");
    if let Some(diff) = output.and_then(|output| output["summary"].as_str()) {
        heading("Preview: nothing was written");
        for line in diff.lines().take(DIFF_LINES) {
            diff_line(line);
        }
        let more = diff.lines().count().saturating_sub(DIFF_LINES);
        if more > 0 {
            say!("... and {more} lines more");
        }
    }
}

fn soak(report: &Report) {
    if report.soak.is_empty() {
        return;
    }
    heading("Soak verdicts");
    let width = report.soak.iter().map(|line| measure_text_width(&line.cluster_id)).max().unwrap_or(0);
    for line in &report.soak {
        let word = match line.outcome.as_str() {
            "pass" => style(&line.outcome).green(),
            "fail" => style(&line.outcome).red(),
            _ => style(&line.outcome).yellow(),
        };
        say!("{:<width$}  {word}", line.cluster_id);
        for reason in &line.reasons {
            say!("{:width$}    {reason}", "");
        }
    }
}

fn notifications(report: &Report) {
    if report.notifications.is_empty() {
        return;
    }
    heading("People were told");
    for line in &report.notifications {
        say!("{}  {:<13}  {}", line.at.strftime("%Y-%m-%d %H:%M:%S"), line.channel, line.text);
    }
}

fn audit(report: &Report) {
    if report.audit.is_empty() {
        return;
    }
    heading("Audit log");
    for entry in &report.audit {
        say!("{}  {:<18}  {}", entry.at.strftime("%Y-%m-%d %H:%M:%S"), entry.who, entry.what);
    }
}

fn bill(report: &Report) {
    heading("Bill");
    let mut lines = table(&[
        "machine",
        "executions",
        "transitions",
        "events",
        "longest history",
        "peak state data",
        "Lambda invocations",
    ]);
    for line in &report.bill {
        lines.add_row([
            line.machine.clone(),
            line.executions.to_string(),
            line.transitions.to_string(),
            line.events.to_string(),
            format!("{} % of 25,000", line.worst_history_percent),
            format!("{} bytes", line.peak_state_bytes),
            line.lambda_invocations.to_string(),
        ]);
    }
    say!("{lines}");
    let by_machines: u64 =
        report.bill.iter().filter(|line| line.machine != "all").map(|line| line.lambda_invocations).sum();
    let all = report.bill.iter().find(|line| line.machine == "all").map_or(0, |line| line.lambda_invocations);
    say!("{} Lambda invocations are watch-merges, called every minute", all.saturating_sub(by_machines));
    let calls: Vec<String> = report
        .calls
        .iter()
        .map(|(system, line)| match line.bytes_received / 1024 {
            0 => format!("{system} {}", line.calls),
            kilobytes => format!("{system} {} ({kilobytes} kB)", line.calls),
        })
        .collect();
    say!("calls: {}", calls.join(", "));
}

fn end(report: &Report) {
    let seconds = report.ended_at.duration_since(report.started_at).as_secs();
    heading(&format!(
        "After {}h{:02}m: {}",
        seconds / 3600,
        seconds / 60 % 60,
        report.error.as_deref().unwrap_or(&report.execution_status)
    ));
    if let Some(cause) = &report.cause {
        say!("{cause}");
    }
    let mut lines = table(&["cluster", "status", "registry", "istiod", "proxies", "restarts of a workload"]);
    for line in &report.clusters {
        let proxies: Vec<String> =
            line.proxies.iter().map(|(version, count)| format!("{count} x {version}")).collect();
        let colour = match line.status {
            ClusterStatus::Healthy => Color::Green,
            ClusterStatus::FailedUpgradeRolledBack => Color::Yellow,
            _ => Color::Red,
        };
        lines.add_row([
            Cell::new(&line.cluster_id),
            coloured(line.status, colour),
            Cell::new(&line.registry_version),
            Cell::new(line.istiod_version.as_deref().unwrap_or("mixed")),
            Cell::new(proxies.join(", ")),
            Cell::new(line.restarts),
        ]);
    }
    say!("{lines}");
    if report.surprises.is_empty() {
        say!("{}", style(format!("It ended as scenario {} says.", report.scenario)).green());
    } else {
        say!("{}", style(format!("It did not end as scenario {} says:", report.scenario)).red().bold());
        for surprise in &report.surprises {
            say!("  - {surprise}");
        }
        say!("Seed {} plays it again.", report.seed);
    }
}
