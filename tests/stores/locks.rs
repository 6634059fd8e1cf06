//! Locks.

use guard_domain::ClusterStatus as S;
use guard_tasks::{ErrorName, Fence, HeldLease, Lease, LockOutcome, TaskError};

use crate::subject::{Stores, batch, by, contract, lease, row, run, step, take, take_batch, taken};

contract! {
    one_holder_and_a_fence_that_only_grows,
    a_dead_holder_is_replaced_by_name_only,
    all_that_a_dead_holder_of_the_batch_holds_is_taken_over,
    the_first_that_is_taken_is_named,
    a_batch_that_is_refused_takes_nothing,
    a_name_given_twice_is_one_lock,
    a_run_that_asks_for_more_gets_a_new_fence_for_all,
    fences_are_above_those_of_every_row,
    only_the_lease_itself_releases,
    a_renewed_lease_refuses_the_old_one,
    a_lease_that_was_never_given_is_confirmed_by_nobody,
    whoever_holds_a_batch_is_listed_with_the_newest_lease,
    two_hundred_clusters_are_taken_and_freed,
    a_thousand_clusters_in_five_batches_are_listed_by_their_batches,
    of_two_at_once_exactly_one_wins,
    of_two_batches_that_share_clusters_exactly_one_wins,
}

async fn one_holder_and_a_fence_that_only_grows(stores: &Stores<'_>) {
    let first = lease(take(stores, "a", &["c1", "c2"], None).await);
    assert_eq!(lease(take(stores, "a", &["c1", "c2"], None).await), first, "the same run keeps its lease");
    assert_eq!(lease(take(stores, "a", &["c2"], None).await), first, "for fewer clusters too");
    assert_eq!(taken(take(stores, "b", &["c1"], None).await), by("batch#test", "arn:a"));
    stores.confirm(&first).await.unwrap();

    stores.release(&first).await.unwrap();
    stores.release(&first).await.unwrap();
    let freed = stores.confirm(&first).await.unwrap_err();
    assert_eq!(freed.name, ErrorName::Conflict);
    assert!(
        freed.to_string().contains("run a with fence 1 does not hold batch#test; nobody does"),
        "{freed}"
    );

    let second = lease(take(stores, "b", &["c1"], None).await);
    assert!(second.fence > first.fence);
    let lost = stores.confirm(&first).await.unwrap_err();
    assert!(lost.to_string().contains("arn:b does"), "{lost}");
    stores.confirm(&second).await.unwrap();
}

async fn a_dead_holder_is_replaced_by_name_only(stores: &Stores<'_>) {
    let dead = lease(take(stores, "a", &["c1"], None).await);
    assert_eq!(taken(take(stores, "b", &["c1"], Some("arn:z")).await), by("batch#test", "arn:a"));
    let new = lease(take(stores, "b", &["c1"], Some("arn:a")).await);
    assert!(new.fence > dead.fence);
    assert_eq!(stores.confirm(&dead).await.unwrap_err().name, ErrorName::Conflict);
    stores.release(&dead).await.unwrap();
    stores.confirm(&new).await.unwrap();
}

async fn all_that_a_dead_holder_of_the_batch_holds_is_taken_over(stores: &Stores<'_>) {
    lease(take(stores, "a", &["c1", "c2", "c3"], None).await);
    // Another batch took one of them over: that one stays with it.
    take_batch(stores, "o", "other", &["c3"], Some("arn:a")).await;
    let new = lease(take(stores, "b", &["c1"], Some("arn:a")).await);
    let wants = async |id| taken(take_batch(stores, "x", "third", &[id], None).await);
    assert_eq!(wants("c2").await, by("cluster#c2", "arn:b"));
    assert_eq!(wants("c3").await, by("cluster#c3", "arn:o"));
    assert_eq!(lease(take(stores, "b", &["c1"], None).await), new, "the same run keeps its lease");
    stores.release(&new).await.unwrap();
    lease(take_batch(stores, "x", "third", &["c1", "c2"], None).await);
}

async fn the_first_that_is_taken_is_named(stores: &Stores<'_>) {
    take_batch(stores, "a", "first", &["c2"], None).await;
    take_batch(stores, "b", "second", &["c1"], None).await;
    assert_eq!(taken(take(stores, "c", &["c3", "c2", "c1"], None).await), by("cluster#c1", "arn:b"));
    // One dead holder named, the other still stands in the way.
    assert_eq!(taken(take(stores, "c", &["c2", "c1"], Some("arn:b")).await), by("cluster#c2", "arn:a"));
}

async fn a_batch_that_is_refused_takes_nothing(stores: &Stores<'_>) {
    take_batch(stores, "a", "other", &["c2"], None).await;
    taken(take(stores, "b", &["c1", "c2"], None).await);
    lease(take(stores, "c", &["c1"], None).await);
}

async fn a_name_given_twice_is_one_lock(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1", "c1"], None).await);
    stores.release(&held).await.unwrap();
    lease(take(stores, "b", &["c1"], None).await);
}

async fn a_run_that_asks_for_more_gets_a_new_fence_for_all(stores: &Stores<'_>) {
    let less = lease(take(stores, "a", &["c1"], None).await);
    let more = lease(take(stores, "a", &["c1", "c2"], None).await);
    assert!(more.fence > less.fence);
    stores.confirm(&more).await.unwrap();
    stores.confirm(&less).await.unwrap_err();
    stores.write_rows(&[row("c1")]).await;
    let checks = step(S::Pending, S::PreCheckRunning, None);
    stores.move_status(&less, &checks).await.unwrap_err();
    stores.move_status(&more, &checks).await.unwrap();
    assert_eq!(taken(take_batch(stores, "b", "other", &["c2"], None).await), by("cluster#c2", "arn:a"));
}

async fn fences_are_above_those_of_every_row(stores: &Stores<'_>) {
    let mut last = Fence(0);
    for who in ["a", "b", "c"] {
        let held = lease(take_batch(stores, who, "other", &["c2"], None).await);
        assert!(held.fence > last);
        last = held.fence;
        stores.release(&held).await.unwrap();
    }
    let held = lease(take(stores, "d", &["c1", "c2"], None).await);
    assert!(held.fence > last, "c2 has seen {last:?}");
    stores.release(&held).await.unwrap();
    assert!(lease(take_batch(stores, "e", "third", &["c1"], None).await).fence > held.fence);
}

async fn only_the_lease_itself_releases(stores: &Stores<'_>) {
    let held = lease(take(stores, "a", &["c1"], None).await);
    stores.release(&Lease { fence: Fence(held.fence.0 + 1), ..held.clone() }).await.unwrap();
    stores.release(&Lease { run_id: run("b"), ..held.clone() }).await.unwrap();
    stores.confirm(&held).await.unwrap();
    assert_eq!(taken(take_batch(stores, "b", "other", &["c1"], None).await), by("cluster#c1", "arn:a"));
    stores.release(&held).await.unwrap();
    lease(take_batch(stores, "b", "other", &["c1"], None).await);
}

async fn a_renewed_lease_refuses_the_old_one(stores: &Stores<'_>) {
    stores.write_rows(&[row("c1")]).await;
    let old = lease(take(stores, "a", &["c1", "c2"], None).await);
    let new = stores.renew(&old).await.unwrap();
    assert!(new.fence > old.fence && new.run_id == old.run_id && new.batch_id == old.batch_id);
    let checks = step(S::Pending, S::PreCheckRunning, None);
    for refused in [
        stores.confirm(&old).await,
        stores.move_status(&old, &checks).await,
        stores.put(&old, "plan", None, &serde_json::json!(1)).await,
        stores.renew(&old).await.map(|_| ()),
    ] {
        assert_eq!(refused.unwrap_err().name, ErrorName::Conflict);
    }
    stores.release(&old).await.unwrap();
    stores.confirm(&new).await.unwrap();
    stores.move_status(&new, &checks).await.unwrap();
    let held = HeldLease { lease: new.clone(), execution_arn: "arn:a".to_owned() };
    assert_eq!(stores.leases().await.unwrap(), [Ok(held)]);
    assert_eq!(taken(take_batch(stores, "b", "other", &["c2"], None).await), by("cluster#c2", "arn:a"));
    stores.release(&new).await.unwrap();
    assert!(lease(take_batch(stores, "b", "other", &["c2"], None).await).fence > new.fence);
    assert_eq!(stores.renew(&new).await.unwrap_err().name, ErrorName::Conflict);
}

async fn a_lease_that_was_never_given_is_confirmed_by_nobody(stores: &Stores<'_>) {
    let invented = Lease { run_id: run("a"), batch_id: batch("test"), fence: Fence(0) };
    assert_eq!(stores.confirm(&invented).await.unwrap_err().name, ErrorName::Conflict);
    stores.release(&invented).await.unwrap();
}

async fn whoever_holds_a_batch_is_listed_with_the_newest_lease(stores: &Stores<'_>) {
    assert_eq!(stores.leases().await.unwrap(), []);
    let held =
        |lease: &Lease, arn: &str| Ok(HeldLease { lease: lease.clone(), execution_arn: arn.to_owned() });
    let b = lease(take_batch(stores, "b", "second", &["c2"], None).await);
    let a = lease(take_batch(stores, "a", "first", &["c1"], None).await);
    assert_eq!(stores.leases().await.unwrap(), [held(&a, "arn:a"), held(&b, "arn:b")]);
    let c = lease(take_batch(stores, "c", "first", &["c1"], Some("arn:a")).await);
    stores.release(&b).await.unwrap();
    assert_eq!(stores.leases().await.unwrap(), [held(&c, "arn:c")]);
}

async fn two_hundred_clusters_are_taken_and_freed(stores: &Stores<'_>) {
    let names: Vec<String> = (0..200).map(|number| format!("c{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let held = lease(take(stores, "a", &names, None).await);
    assert_eq!(taken(take_batch(stores, "b", "other", &["c199"], None).await), by("cluster#c199", "arn:a"));
    stores.release(&held).await.unwrap();
    let next = lease(take_batch(stores, "b", "other", &names, None).await);
    assert!(next.fence > held.fence);
}

async fn a_thousand_clusters_in_five_batches_are_listed_by_their_batches(stores: &Stores<'_>) {
    let mut taken = Vec::new();
    for wave in ["w1", "w2", "w3", "w4", "w5"] {
        let names: Vec<String> = (0..200).map(|number| format!("{wave}-c{number:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        taken.push(lease(take_batch(stores, &format!("run-{wave}"), wave, &names, None).await));
    }
    let listed = |rows: Vec<Result<HeldLease, TaskError>>| -> Vec<Lease> {
        rows.into_iter().map(|row| row.unwrap().lease).collect()
    };
    assert_eq!(listed(stores.leases().await.unwrap()), taken);
    stores.release(&taken[2]).await.unwrap();
    taken.remove(2);
    assert_eq!(listed(stores.leases().await.unwrap()), taken);
}

/// The one of the two that holds; the other knows who.
fn winner(first: LockOutcome, second: LockOutcome) -> Lease {
    match (first, second) {
        (LockOutcome::Held(lease), LockOutcome::Taken { holder_arn, .. })
        | (LockOutcome::Taken { holder_arn, .. }, LockOutcome::Held(lease)) => {
            assert_eq!(holder_arn, format!("arn:{}", lease.run_id));
            lease
        }
        both => panic!("one must win: {both:?}"),
    }
}

async fn of_two_at_once_exactly_one_wins(stores: &Stores<'_>) {
    for _ in 0..10 {
        let (first, second) =
            tokio::join!(take(stores, "a", &["c1", "c2"], None), take(stores, "b", &["c2", "c1"], None));
        let held = winner(first, second);
        stores.confirm(&held).await.unwrap();
        stores.release(&held).await.unwrap();
    }
}

async fn of_two_batches_that_share_clusters_exactly_one_wins(stores: &Stores<'_>) {
    for _ in 0..10 {
        let (first, second) = tokio::join!(
            take_batch(stores, "a", "left", &["c1", "c2", "c3"], None),
            take_batch(stores, "b", "right", &["c3", "c2"], None)
        );
        let held = winner(first, second);
        stores.confirm(&held).await.unwrap();
        stores.release(&held).await.unwrap();
        // What the loser had claimed is free again.
        for of in ["left", "right"] {
            let all = lease(take_batch(stores, "c", of, &["c1", "c2", "c3"], None).await);
            stores.release(&all).await.unwrap();
        }
    }
}
