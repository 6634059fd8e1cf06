//! Shares of cases.

use crate::dense::{Case, FACTORS};

/// The publisher, in a word.
pub(crate) fn short(source: &str) -> &str {
    source.split([' ', '/']).next().unwrap_or(source)
}

/// A factor in words.
pub(crate) fn factor_names() -> String {
    FACTORS.iter().skip(1).map(|factor| format!("x{factor}")).collect::<Vec<_>>().join(" | ")
}

/// Weight of a case: sources count as in the official set, however dense they are.
pub(crate) fn share(cases: &[Case], of: impl Fn(&Case) -> bool, failed: impl Fn(&Case) -> bool) -> f64 {
    let (mut all, mut hit) = (0.0, 0.0);
    for case in cases.iter().filter(|case| of(case)) {
        all += case.weight;
        if failed(case) {
            hit += case.weight;
        }
    }
    if all > 0.0 { hit / all * 100.0 } else { 0.0 }
}
