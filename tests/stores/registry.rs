//! Reading the registry.

use guard_domain::{ClusterRecord, ClusterStatus};
use serde_json::{Value, json};

use crate::subject::{Stores, batch, cluster, contract, row, row_of, with};

contract! {
    a_row_is_there_or_is_not,
    a_batch_is_in_order_of_its_names_and_holds_no_other,
    batches_are_counted,
    a_row_of_the_first_tool_is_pending,
    a_batch_of_250_rows_is_whole,
    more_than_one_megabyte_is_read_to_the_end,
    a_thousand_clusters_are_all_there,
}

fn ids(rows: &[ClusterRecord]) -> Vec<&str> {
    rows.iter().map(|row| row.cluster_id.as_str()).collect()
}

async fn a_row_is_there_or_is_not(stores: &Stores<'_>) {
    assert_eq!(stores.cluster(&cluster("c1")).await.unwrap(), None);
    let written = with(row("c1"), "target_istio_version", json!("1.30.5"));
    stores.write_rows(std::slice::from_ref(&written)).await;
    let expected: ClusterRecord = serde_json::from_value(written).unwrap();
    assert_eq!(stores.cluster(&cluster("c1")).await.unwrap(), Some(expected));
}

async fn a_batch_is_in_order_of_its_names_and_holds_no_other(stores: &Stores<'_>) {
    stores.write_rows(&[row("c3"), row_of("x", "other"), row("c1"), row("c2")]).await;
    assert_eq!(ids(&stores.batch(&batch("test")).await.unwrap()), ["c1", "c2", "c3"]);
    assert!(stores.batch(&batch("nobody")).await.unwrap().is_empty());
    // Moved by a person.
    stores.write_rows(&[row_of("c2", "other")]).await;
    assert_eq!(ids(&stores.batch(&batch("test")).await.unwrap()), ["c1", "c3"]);
    assert_eq!(ids(&stores.batch(&batch("other")).await.unwrap()), ["c2", "x"]);
}

async fn batches_are_counted(stores: &Stores<'_>) {
    assert!(stores.batches().await.unwrap().is_empty());
    stores.write_rows(&[row("c1"), row("c2"), row_of("x", "other")]).await;
    let sizes: Vec<_> = stores.batches().await.unwrap().into_iter().collect();
    assert_eq!(sizes, [(batch("other"), 1), (batch("test"), 2)]);
}

async fn a_row_of_the_first_tool_is_pending(stores: &Stores<'_>) {
    let old = with(with(row("c1"), "version", json!(3)), "metadata", json!({"mesh_id": null}));
    stores.write_rows(&[old]).await;
    let read = stores.cluster(&cluster("c1")).await.unwrap().unwrap();
    assert_eq!(read.status, ClusterStatus::Pending);
    assert!(read.upgrade_history.is_empty() && read.metadata.mesh_id.is_none());
    assert_eq!(read.datadog_tags.service, "istio-system");
}

async fn a_batch_of_250_rows_is_whole(stores: &Stores<'_>) {
    let names: Vec<String> = (0..250).map(|number| format!("c{number:03}")).collect();
    let rows: Vec<Value> = names.iter().map(|name| row(name)).collect();
    stores.write_rows(&rows).await;
    assert_eq!(ids(&stores.batch(&batch("test")).await.unwrap()), names);
}

/// A page of DynamoDB ends at 1 MB of what it read, not of what it gives.
async fn more_than_one_megabyte_is_read_to_the_end(stores: &Stores<'_>) {
    let names: Vec<String> = (0..24).map(|number| format!("c{number:03}")).collect();
    for name in &names {
        stores.write_rows(&[with(row(name), "notes", json!("n".repeat(100_000)))]).await;
    }
    assert_eq!(ids(&stores.batch(&batch("test")).await.unwrap()), names);
    assert_eq!(stores.batches().await.unwrap()[&batch("test")], names.len());
}

async fn a_thousand_clusters_are_all_there(stores: &Stores<'_>) {
    let rows: Vec<Value> = (0..1_000)
        .map(|number| row_of(&format!("c{number:04}"), &format!("wave-{:02}", number % 20)))
        .collect();
    stores.write_rows(&rows).await;
    let batches = stores.batches().await.unwrap();
    assert_eq!((batches.len(), batches.values().sum::<usize>()), (20, 1_000));
    let mut seen = Vec::new();
    for name in batches.keys() {
        seen.extend(stores.batch(name).await.unwrap().into_iter().map(|row| row.cluster_id));
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 1_000);
}
