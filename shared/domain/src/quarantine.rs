//! May a batch go on without the clusters whose pre-check said no?

use std::collections::BTreeMap;

use crate::{ClusterId, Finding, Severity};

/// Nothing when the batch may go on without the `failed` clusters, each with its findings; otherwise why not.
///
/// Few clusters, each with a cause of its own, are theirs alone. The same cause in two of them is the fleet's or the
/// release's, and would meet the others too. `others` is how many clusters would be left.
pub fn refusal(failed: &[(ClusterId, Vec<Finding>)], others: usize, budget: u32) -> Option<String> {
    if usize::try_from(budget).is_ok_and(|budget| failed.len() > budget) {
        return Some(format!("{} failed, policy.pre_check_failure_budget is {budget}", failed.len()));
    }
    if others == 0 {
        return Some("no cluster would be left".to_owned());
    }
    let mut seen: BTreeMap<&str, &ClusterId> = BTreeMap::new();
    for (id, findings) in failed {
        let mut codes: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Blocking)
            .map(|finding| finding.code.as_str())
            .collect();
        codes.sort_unstable();
        codes.dedup();
        if codes.is_empty() {
            return Some(format!("the record does not say why {id} failed"));
        }
        for code in codes {
            if let Some(other) = seen.insert(code, id) {
                return Some(format!("{code} was found in {other} and in {id}: not a matter of one cluster"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(id: &str, codes: &[&str]) -> (ClusterId, Vec<Finding>) {
        let finding = |code: &&str| Finding::blocking(code, id, "m", "r");
        (ClusterId::parse(id).unwrap(), codes.iter().map(finding).collect())
    }

    #[test]
    fn causes_of_their_own_within_the_budget_are_left_out() {
        let two = [failed("c1", &["NODE_NOT_READY", "NODE_NOT_READY"]), failed("c2", &["MONITOR_FIRING"])];
        assert_eq!(refusal(&two, 1, 2), None);
        let why = |failed: &[_], others, budget| refusal(failed, others, budget).unwrap();
        assert_eq!(why(&two, 1, 1), "2 failed, policy.pre_check_failure_budget is 1");
        assert_eq!(why(&two[..1], 9, 0), "1 failed, policy.pre_check_failure_budget is 0");
        assert_eq!(why(&two, 0, 2), "no cluster would be left");
    }

    #[test]
    fn one_cause_in_two_clusters_stops_the_line() {
        let two = [failed("c1", &["A", "MONITOR_FIRING"]), failed("c2", &["MONITOR_FIRING", "B"])];
        let why = refusal(&two, 5, 5).unwrap();
        assert_eq!(why, "MONITOR_FIRING was found in c1 and in c2: not a matter of one cluster");
    }

    /// Warnings and open questions are no cause that could be told apart.
    #[test]
    fn a_failure_without_a_cause_is_not_left_out() {
        let mut strange = failed("c1", &[]);
        strange.1.push(Finding::warning("W", "c1", "m", "r"));
        strange.1.push(Finding::unknown("U", "c1", "m", "r"));
        assert_eq!(refusal(&[strange], 5, 5).unwrap(), "the record does not say why c1 failed");
    }
}
