//! Does Datadog count what GUARD asks for?

use super::{Check, Source, Subject, is_open};
use crate::{Finding, IntegrationMode};

pub(super) const CHECK: Check = Check {
    asks: "Does Datadog's Istio integration report requests as counts?",
    because: "In its older mode, which is its own default, istio.mesh.request.count is a gauge that only grows, and falls when \
              a proxy restarts: read as a count it says anything, most of all after the restarts of an upgrade. One agent in \
              that mode is enough to spoil the sum. Only that mode has istio.mesh.request.count.total (integrations-core, \
              istio).",
    reads: &[Source::Integration],
    codes: &[is_open("DATADOG_LEGACY", "it reports in the older mode, by some agents or all")],
    find,
};

fn find(subject: &Subject<'_>) -> Option<Vec<Finding>> {
    let found = match subject.integration.as_ref().ok()? {
        // That there are no requests at all is the baseline's to tell.
        IntegrationMode::OpenMetrics => None,
        IntegrationMode::Legacy => Some(Finding::unknown(
            "DATADOG_LEGACY",
            subject.name(),
            "there are series istio.mesh.request.count.total: the integration is in its older mode",
            "set use_openmetrics: true in the integration's configuration of every agent",
        )),
    };
    Some(found.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::IntegrationMode;
    use crate::checks::tests::finds;

    #[test]
    fn only_counts_can_be_compared() {
        finds(&CHECK, "DATADOG_LEGACY", |scene| scene.integration = Ok(IntegrationMode::Legacy));
    }
}
