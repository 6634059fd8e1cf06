//! What tasks write into the process's log beside the audit log. The boundary's span adds which invocation and which run.

use guard_domain::Finding;

/// A line for each finding, to be searched by its code.
pub(crate) fn findings(findings: &[Finding]) {
    for finding in findings {
        tracing::info!(finding.code = finding.code, "{finding}");
    }
}
