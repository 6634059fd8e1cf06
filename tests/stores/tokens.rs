//! Task tokens.

use guard_domain::{BatchId, Direction, RunId};
use guard_tasks::{Fence, Lease, OpenToken, WaitsFor};

use crate::subject::{Stores, contract, second};

contract! {
    a_token_is_open_until_it_is_dropped,
    a_newer_token_replaces_and_outlives_the_older,
    tokens_of_all_runs_are_open,
}

fn merge(direction: Direction) -> WaitsFor {
    WaitsFor::Merge { direction }
}

pub(crate) fn token(run_id: &str, secret: &str) -> OpenToken {
    OpenToken {
        lease: Lease {
            run_id: RunId::parse(run_id).unwrap(),
            batch_id: BatchId::parse("test").unwrap(),
            fence: Fence(7),
        },
        waits_for: merge(Direction::Upgrade),
        expires_at: second(99),
        token: secret.into(),
    }
}

async fn a_token_is_open_until_it_is_dropped(stores: &Stores<'_>) {
    assert_eq!(stores.open_tokens().await.unwrap(), []);
    let waiting = token("a", "t1");
    stores.keep(&waiting).await.unwrap();
    stores.keep(&waiting).await.unwrap();
    assert_eq!(stores.open_tokens().await.unwrap(), std::slice::from_ref(&waiting));
    stores.drop_token(&waiting).await.unwrap();
    assert_eq!(stores.open_tokens().await.unwrap(), []);
    stores.drop_token(&waiting).await.unwrap();
}

async fn a_newer_token_replaces_and_outlives_the_older(stores: &Stores<'_>) {
    let old = token("a", "t1");
    let new = OpenToken { waits_for: merge(Direction::Upgrade), ..token("a", "t2") };
    stores.keep(&old).await.unwrap();
    stores.keep(&new).await.unwrap();
    stores.drop_token(&old).await.unwrap();
    assert_eq!(stores.open_tokens().await.unwrap(), [new]);
}

async fn tokens_of_all_runs_are_open(stores: &Stores<'_>) {
    let asks = OpenToken { waits_for: WaitsFor::Decision, ..token("b", "t0") };
    let back = OpenToken { waits_for: merge(Direction::Rollback), ..token("b", "t2") };
    let all = [token("a", "t1"), asks, back, token("b", "t3"), token("c", &"T".repeat(1000))];
    for waiting in all.iter().rev() {
        stores.keep(waiting).await.unwrap();
    }
    assert_eq!(stores.open_tokens().await.unwrap(), all);
}
