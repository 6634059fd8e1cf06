//! Keys that end, and are asked for again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use guard_aws::{OwnKeys, Secrets, TimedKeys};
use guard_tasks::{Clock, ErrorName};
use jiff::Timestamp;
use serde_json::json;

use crate::account::{REGION, answering, keys};

/// Seconds since 1970.
#[derive(Default)]
struct Moving(AtomicI64);

impl Clock for Moving {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

#[tokio::test]
async fn keys_are_asked_for_again_shortly_before_they_end() {
    let clock = Arc::new(Moving::default());
    let asked = Arc::new(AtomicUsize::new(0));
    let ends = |second| TimedKeys { keys: keys(), expires_at: Some(Timestamp::from_second(second).unwrap()) };
    let (count, first) = (Arc::clone(&asked), ends(3600));
    let identity = OwnKeys::renewed(Arc::<Moving>::clone(&clock), first, move || {
        count.fetch_add(1, Ordering::SeqCst);
        if count.load(Ordering::SeqCst) < 3 { Ok(ends(7200)) } else { Err("log in again".to_owned()) }
    });
    let (transport, _) = answering(200, &json!({"SecretString": "x"}));
    let secrets = Secrets::new(transport, identity, Arc::<Moving>::clone(&clock), REGION, None);
    for (second, times) in [(0, 0), (3299, 0), (3300, 1), (6899, 1), (6900, 2)] {
        clock.0.store(second, Ordering::SeqCst);
        secrets.read("s").await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), times, "at {second}");
    }
    clock.0.store(6_901, Ordering::SeqCst);
    let error = secrets.read("s").await.unwrap_err();
    assert_eq!(error.name, ErrorName::Denied, "{error}");
}
