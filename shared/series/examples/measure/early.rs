//! The early end: what two successive looks of a soak's first hour show where nothing was changed, and where all of it was
//! worse.

use guard_domain::judge::{EARLY, EARLY_MINUTES, Metric, Times, Tolerance, evidence};

use crate::dense::Case;

/// By so much all of the hour is worse; by the first it is as it was.
const FACTORS: [f64; 5] = [1.0, 1.5, 2.0, 3.0, 5.0];
const BARS: [f64; 6] = [4.0, 6.0, 8.0, 10.0, EARLY, 20.0];
/// The soak, seconds.
const HOUR: i64 = 3_600;

/// The most that any two successive looks of the hour both show, by factor: deviations of the mean, where the change is
/// more than intolerable.
pub(crate) fn reach(metric: &Metric<'_>, at: i64, tolerance: Tolerance) -> [f64; FACTORS.len()] {
    let step = i64::from(EARLY_MINUTES) * 60;
    let direction = metric.bad.each()[0];
    let looks = (1..=HOUR / step).map(|n| {
        let times = Times { change: at, settled: at, until: at + n * step };
        let Some(look) =
            evidence(metric, times, direction).and_then(|evidence| evidence.looks.last().cloned())
        else {
            return [0.0; FACTORS.len()];
        };
        FACTORS.map(|factor: f64| {
            let shift = look.shift[0] + factor.ln();
            if shift > tolerance.intolerable.ln_1p() { shift / look.scale[0] } else { 0.0 }
        })
    });
    let looks: Vec<_> = looks.collect();
    let mut most = [0.0_f64; FACTORS.len()];
    for pair in looks.windows(2) {
        for (n, most) in most.iter_mut().enumerate() {
            *most = pair.iter().map(|look| look[n]).fold(f64::INFINITY, f64::min).max(*most);
        }
    }
    most
}

pub(crate) fn print(cases: &[Case]) {
    println!(
        "| deviations | nothing changed | of them throughput | x1.5 | x2 | x3 | x5 |\n|---|---|---|---|---|---|---|"
    );
    for bar in BARS {
        let over = |n: usize| move |case: &Case| case.early.get(n).is_some_and(|reached| *reached > bar);
        let dense = |case: &Case| !case.is_official;
        let throughput =
            cases.iter().filter(|case| dense(case) && case.is_throughput && over(0)(case)).count();
        let all = cases.iter().filter(|case| dense(case) && over(0)(case)).count();
        let found: Vec<String> = (1..FACTORS.len())
            .map(|n| format!("{:.1}", crate::share::share(cases, dense, over(n))))
            .collect();
        println!(
            "| {bar} | {:.3} ({all}) | {throughput} | {} |",
            crate::share::share(cases, dense, over(0)),
            found.join(" | ")
        );
    }
}
