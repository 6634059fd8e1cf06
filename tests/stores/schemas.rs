//! The number that each row of a run carries: rows of before it, and rows of a release to come.

use guard_tasks::{AuditEntry, ErrorName, RECORD_SCHEMA};
use serde_json::{Value, json};

use crate::dynamodb::Tables;
use crate::starts::start;
use crate::subject::{lease, over_tables, run, second, take, with};
use crate::tokens::token;

over_tables! {
    every_row_of_a_run_has_a_schema,
    a_row_of_before_the_schemas_is_read,
    a_newer_row_is_refused_with_both_numbers,
    a_newer_token_is_left_alone,
}

async fn every_row_of_a_run_has_a_schema(tables: &Tables) {
    fill(tables).await;
    tables.note(&start("e1", 1)).await.unwrap();
    let rows = tables.all(&tables.names.runs).await;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["schema"] == RECORD_SCHEMA), "{rows:?}");
}

async fn a_row_of_before_the_schemas_is_read(tables: &Tables) {
    let line = fill(tables).await;
    for mut row in tables.all(&tables.names.runs).await {
        row.as_object_mut().unwrap().remove("schema");
        tables.writing(&tables.names.runs, row).await;
    }
    assert_eq!(tables.entry(&run("a"), "plan").await.unwrap(), Some(json!(1)));
    assert_eq!(tables.audit_log(&run("a")).await.unwrap(), [line]);
    assert_eq!(tables.open_tokens().await.unwrap(), [token("a", "t1")]);
}

async fn a_newer_row_is_refused_with_both_numbers(tables: &Tables) {
    fill(tables).await;
    tables.note(&start("e1", 1)).await.unwrap();
    number_all(tables, json!(RECORD_SCHEMA + 1)).await;
    let said = "entry plan of run a has schema 2, and this release reads up to 1: a newer GUARD wrote it; deploy that \
                release again, or a later one";
    let refusals = [
        tables.entry(&run("a"), "plan").await.unwrap_err(),
        tables.entries(&run("a"), "").await.unwrap_err(),
        tables.audit_log(&run("a")).await.unwrap_err(),
        tables.note(&start("e2", 2)).await.unwrap_err(),
    ];
    assert!(refusals.iter().all(|refused| refused.name == ErrorName::Rejected), "{refusals:?}");
    assert_eq!((refusals[0].to_string(), refusals[1].to_string()), (said.to_owned(), said.to_owned()));
    assert!(refusals[2].to_string().starts_with("entry audit#"), "{}", refusals[2]);
    assert!(
        refusals[3].to_string().contains("of run start#batch-upgrade#test has schema 2"),
        "{}",
        refusals[3]
    );
    number_all(tables, json!("two")).await;
    let odd = tables.entry(&run("a"), "plan").await.unwrap_err().to_string();
    assert!(odd.contains("has schema that is no number"), "{odd}");
}

async fn a_newer_token_is_left_alone(tables: &Tables) {
    fill(tables).await;
    number_all(tables, json!(RECORD_SCHEMA + 1)).await;
    tables.keep(&token("b", "t2")).await.unwrap();
    assert_eq!(tables.open_tokens().await.unwrap(), [token("b", "t2")]);
    assert_eq!(tables.all(&tables.names.runs).await.len(), 4);
}

/// An entry, an audit line and a token of run `a`; the line.
async fn fill(tables: &Tables) -> AuditEntry {
    let held = lease(take(tables, "a", &["c1"], None).await);
    let line = AuditEntry { at: second(1), who: "w".into(), what: "x".into() };
    tables.put(&held, "plan", None, &json!(1)).await.unwrap();
    tables.audit(&held, &line).await.unwrap();
    tables.keep(&token("a", "t1")).await.unwrap();
    line
}

/// As another release would have written all rows.
async fn number_all(tables: &Tables, schema: Value) {
    for row in tables.all(&tables.names.runs).await {
        tables.writing(&tables.names.runs, with(row, "schema", schema.clone())).await;
    }
}
