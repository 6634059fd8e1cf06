//! Every call of the restarts, up and back, goes wrong once in every way: nobody is restarted twice for one direction, nothing
//! is away beyond policy, and the end is the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use guard_simulation::{Fault, Fleet, House, Occasion, What};
use guard_world::{Regression, Strategy, WorkloadKind, WorkloadSpec};
use serde_json::json;

use crate::{CLUSTER, Ended, deployment, with};

/// Every way in which a call goes wrong.
const WAYS: [Fault; 5] =
    [Fault::Fails("Transient"), Fault::LosesReply, Fault::ActsTwice, Fault::IsSlow, Fault::Dies];

fn fleet() -> Fleet {
    with(vec![
        deployment("cart", 2),
        deployment("native", 2).with_native_sidecar(),
        WorkloadSpec::new("data", "ledger", WorkloadKind::StatefulSet, 2).replaced_by(Strategy::OnDelete),
    ])
}

/// An upgrade that the soak takes back; the `at`-th call of the restarts goes wrong. Also the calls, in their order.
async fn play(fleet: &Fleet, at: usize, way: Fault) -> (Ended, Vec<String>) {
    let (seen, calls) = (AtomicUsize::new(0), Arc::new(Mutex::new(Vec::new())));
    let record = Arc::clone(&calls);
    let hook = move |occasion: &Occasion| -> Option<Fault> {
        let What::Call { operation, .. } = &occasion.what else { return None };
        if occasion.state.as_deref() != Some("RestartProxies") {
            return None;
        }
        record.lock().unwrap().push(operation.clone());
        (seen.fetch_add(1, Ordering::Relaxed) == at).then(|| way.clone())
    };
    let house = House::with_faults(fleet, hook).unwrap();
    let from_version = "1.30.5".to_owned();
    house.world.regress(CLUSTER, Regression { from_version, error_factor: 30.0, latency_factor: 1.3 });
    let input = json!({"batch_id": "test", "target_version": "1.30.5"});
    let arn = house.run_one("batch-upgrade", "run-1", input).await.unwrap();
    let ended = Ended::of(house, &arn);
    ended.holds(fleet);
    let calls = calls.lock().unwrap().clone();
    (ended, calls)
}

#[tokio::test(flavor = "current_thread")]
async fn no_call_that_goes_wrong_restarts_anybody_twice() {
    let fleet = fleet();
    let (usual, calls) = play(&fleet, usize::MAX, Fault::Dies).await;
    assert_eq!(usual.ending, "RolledBack", "{}", usual.cause);
    let is_write = |call: &str| call.starts_with("PATCH") || call.contains("/eviction");
    let writes = calls.iter().filter(|call| is_write(call)).count();
    assert_eq!(writes, 10, "three marks and two evictions, up and back: {calls:?}");
    let mut runs = 0;
    for (at, call) in calls.iter().enumerate() {
        // What only reads goes wrong in fewer ways, and every seventh time.
        let ways = match is_write(call) {
            true => &WAYS[..],
            false if at % 7 == 0 => &WAYS[..1],
            false => &[],
        };
        for way in ways {
            let (ended, _) = play(&fleet, at, way.clone()).await;
            assert_eq!(ended.ending, "RolledBack", "{way:?} at {call}: {}", ended.cause);
            assert_eq!(ended.restarted().len(), usual.restarted().len(), "{way:?} at {call}");
            assert_eq!(ended.proxies(), usual.proxies(), "{way:?} at {call}");
            runs += 1;
        }
    }
    assert!(runs > 60, "{runs}");
}
