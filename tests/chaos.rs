//! Stories by seed in which much goes wrong at once: whatever they end as, every invariant holds. A failure names its seed
//! and the shortest story that still fails; `guard simulate --faults --seed N` tells it again.
//!
//! `GUARD_CHAOS_SEEDS` says how many: some hundred in `make test`, ten thousand in `make chaos`.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its case should stop there")]
#![expect(clippy::print_stdout, reason = "the counts are what people want to see")]

use std::collections::BTreeMap;

use guard_simulation::{Chaos, invariants};

/// Seeds in `make test`, and so in CI.
const FEW: u64 = 400;

#[expect(clippy::disallowed_methods, reason = "the Makefile says how much is played")]
fn seeds() -> u64 {
    std::env::var("GUARD_CHAOS_SEEDS").ok().map_or(FEW, |count| count.parse().unwrap())
}

/// Every second seed, so that two processes share them.
async fn every_second(first: u64) {
    let (mut ends, mut failures, mut runs) = (BTreeMap::<String, usize>::new(), Vec::new(), 0);
    for seed in (first..=seeds()).step_by(2) {
        let chaos = Chaos::of(seed);
        let ended = chaos.play().await.unwrap();
        runs += 1;
        for (_, end) in ended.ends {
            *ends.entry(end).or_default() += 1;
        }
        if let Some(broken) = ended.broken.first() {
            // The first few are worth the time.
            let trace = if failures.len() < 3 {
                chaos.shortest(broken.invariant).await.unwrap().play().await.unwrap().trace
            } else {
                ended.trace
            };
            failures.push(format!(
                "seed {seed}: {}: {}\n    {}",
                broken.invariant,
                broken.what,
                trace.join("\n    ")
            ));
        }
    }
    println!("{runs} seeds from {first}, {} invariants; ends {ends:?}", invariants::ALL.len());
    assert!(
        failures.is_empty(),
        "{} of {runs} seeds broke something:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test(flavor = "current_thread")]
async fn odd_seeds_keep_every_invariant() {
    every_second(1).await;
}

#[tokio::test(flavor = "current_thread")]
async fn even_seeds_keep_every_invariant() {
    every_second(2).await;
}

/// The same seed is the same story, to the last line.
#[tokio::test(flavor = "current_thread")]
async fn a_seed_is_told_again_exactly() {
    for seed in [3, 7] {
        let (first, second) = (Chaos::of(seed).play().await.unwrap(), Chaos::of(seed).play().await.unwrap());
        assert_eq!((first.trace, first.ends), (second.trace, second.ends), "seed {seed}");
    }
}
