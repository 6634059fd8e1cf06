//! Whole fleets, each in a process of its own: wall time, peak memory, and what AWS and the others would count. Prints
//! the tables of docs/performance.md.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up its case should stop there")]
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::Command;
use std::time::Instant;

use guard_benchmarks::peak_memory_kb;
use guard_simulation::{Fleet, Report, Scenario, Story};
use serde_json::{Value, json};

/// Scenario, clusters, batches.
const FLEETS: [(&str, usize, usize); 7] = [
    ("clean", 5, 1),
    ("regression", 5, 1),
    ("external-cause", 5, 1),
    ("marginal-asks-a-person", 5, 1),
    ("clean", 75, 6),
    ("regression", 75, 6),
    ("clean", 200, 1),
];

fn main() {
    // `cargo bench` adds `--bench`; a row comes as three words.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.as_slice() {
        [scenario, clusters, batches] => row(scenario, clusters.parse().unwrap(), batches.parse().unwrap()),
        _ => table(),
    }
}

/// Plays one fleet in this process, and prints what it took.
fn row(scenario: &str, clusters: usize, batches: usize) {
    let scenario = Scenario::ALL.into_iter().find(|known| known.name() == scenario).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let started = Instant::now();
    // A fleet of several batches is larger than one batch may be.
    let fleet = Fleet::new(clusters, 1, None, None).unwrap().in_batches(batches).unwrap();
    let story = Story::new(scenario, fleet).unwrap();
    let report = runtime.block_on(story.play()).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(report.surprises, Vec::<String>::new());
    println!("{}", json!({"seconds": seconds, "memory_kb": peak_memory_kb(), "report": shown(&report)}));
}

fn shown(report: &Report) -> Value {
    json!({"bill": report.bill, "calls": report.calls})
}

fn table() {
    println!(
        "| scenario | clusters | batches | wall time | peak memory | transitions | events | longest history | largest state data | Lambda invocations |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for (scenario, clusters, batches) in FLEETS {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([scenario, &clusters.to_string(), &batches.to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let row: Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = row["report"]["bill"].as_array().unwrap().last().unwrap();
        println!(
            "| {scenario} | {clusters} | {batches} | {:.2} s | {} MB | {} | {} | {} % of 25,000 | {} bytes | {} |",
            row["seconds"].as_f64().unwrap(),
            row["memory_kb"].as_u64().unwrap() / 1024,
            all["transitions"],
            all["events"],
            all["worst_history_percent"],
            all["peak_state_bytes"],
            all["lambda_invocations"],
        );
        rows.push((format!("{scenario}, {clusters} clusters, {batches} batches"), row));
    }
    for (title, row) in &rows {
        println!(
            "\n{title}\n\n| machine | executions | transitions | events | largest state data |\n|---|---|---|---|---|"
        );
        for line in row["report"]["bill"].as_array().unwrap() {
            println!(
                "| {} | {} | {} | {} | {} bytes |",
                line["machine"].as_str().unwrap(),
                line["executions"],
                line["transitions"],
                line["events"],
                line["peak_state_bytes"]
            );
        }
        println!("\n| system | calls | bytes sent | bytes received |\n|---|---|---|---|");
        for (system, line) in row["report"]["calls"].as_object().unwrap() {
            println!(
                "| {system} | {} | {} | {} |",
                line["calls"], line["bytes_sent"], line["bytes_received"]
            );
        }
    }
}
