//! Is an alarm on?

use super::{Check, Source, Subject, blocks, warns};
use crate::Finding;

pub(super) const CHECK: Check = Check {
    asks: "Is no monitor of the cluster firing?",
    because: "What is ill already cannot be told from what the upgrade makes ill. A muted monitor and one without data are \
              not healthy ones (Datadog API, monitors).",
    reads: &[Source::Monitors],
    codes: &[
        blocks("MONITOR_FIRING", "a monitor is in Alert or Warn"),
        warns("MONITOR_MUTED", "a monitor that is not OK is muted"),
        warns("MONITOR_NO_ANSWER", "a monitor has no data, or another state"),
    ],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let monitors = subject.monitors.as_ref().ok()?;
    let found = monitors.iter().map(|monitor| {
        let name = format!("{}: monitor {} {}", subject.name(), monitor.id, monitor.name);
        if monitor.is_muted {
            let seen = format!("{}, muted", monitor.state);
            Finding::warning("MONITOR_MUTED", name, seen, "a muted monitor protects nobody")
        } else if monitor.state == "Alert" || monitor.state == "Warn" {
            Finding::blocking("MONITOR_FIRING", name, &monitor.state, "resolve it before changing the mesh")
        } else {
            Finding::warning("MONITOR_NO_ANSWER", name, &monitor.state, "find out why it has no data")
        }
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::MonitorFacts;
    use crate::checks::tests::finds;

    #[test]
    fn each_state_has_its_weight() {
        for (state, is_muted, code) in [
            ("Alert", false, "MONITOR_FIRING"),
            ("Warn", false, "MONITOR_FIRING"),
            ("Alert", true, "MONITOR_MUTED"),
            ("No Data", false, "MONITOR_NO_ANSWER"),
            ("Ignored", false, "MONITOR_NO_ANSWER"),
        ] {
            let monitor = MonitorFacts { id: 1, name: "5xx".into(), state: state.into(), is_muted };
            finds(&CHECK, code, |scene| scene.monitors = Ok(vec![monitor]));
        }
    }
}
