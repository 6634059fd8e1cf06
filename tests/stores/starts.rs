//! Starts that name a request.

use guard_domain::RequestId;
use guard_tasks::{FirstStart, Start};

use crate::subject::{Stores, batch, contract, second};

contract! {
    the_first_execution_is_noted_and_stays,
    machine_batch_and_request_tell_requests_apart,
}

pub(crate) fn start(who: &str, at: i64) -> Start {
    Start {
        machine: "batch-upgrade",
        batch_id: Some(batch("test")),
        request_id: RequestId::parse("2026-11-28T03:00:00Z").unwrap(),
        execution_arn: format!("arn:{who}"),
        at: second(at),
    }
}

fn first(who: &str, at: i64) -> FirstStart {
    FirstStart { execution_arn: format!("arn:{who}"), at: second(at) }
}

async fn the_first_execution_is_noted_and_stays(stores: &Stores<'_>) {
    assert_eq!(stores.note(&start("a", 1)).await.unwrap(), first("a", 1));
    assert_eq!(stores.note(&start("b", 2)).await.unwrap(), first("a", 1));
    assert_eq!(stores.note(&start("a", 3)).await.unwrap(), first("a", 1), "a retried task finds itself");
}

async fn machine_batch_and_request_tell_requests_apart(stores: &Stores<'_>) {
    let requests = [
        start("a", 1),
        Start { machine: "batch-rollback", ..start("b", 2) },
        Start { batch_id: Some(batch("test-2")), ..start("c", 3) },
        Start { machine: "rollout", batch_id: None, ..start("d", 4) },
        Start { request_id: RequestId::parse("2026-11-29T03:00:00Z").unwrap(), ..start("e", 5) },
    ];
    for request in &requests {
        assert_eq!(stores.note(request).await.unwrap().execution_arn, request.execution_arn);
    }
}
