//! Which version may follow which.

use crate::IstioVersion;

/// Why one version may not follow another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    /// The target is older.
    #[error("{to} is older than {from}; GUARD goes down only by a rollback (start batch-rollback)")]
    Downgrade {
        /// What runs.
        from: IstioVersion,
        /// What was asked for.
        to: IstioVersion,
    },
    /// More than one minor at once, or another major.
    #[error(
        "{to} is more than one minor above {from}; an in-place upgrade takes one minor at a time: go to {step}.x first"
    )]
    TooFar {
        /// What runs.
        from: IstioVersion,
        /// What was asked for.
        to: IstioVersion,
        /// The next minor line.
        step: String,
    },
    /// A pre-release that nobody asked for by policy.
    #[error("{to} is a pre-release; use a released version, or set policy.allow_pre_release")]
    PreRelease {
        /// What was asked for.
        to: IstioVersion,
    },
}

/// How the target relates to what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Already there.
    None,
    /// A later patch of the same minor.
    Patch,
    /// The next minor.
    Minor,
}

/// The allowed path of an in-place upgrade: a later patch of the same minor, or one minor up; never down, never
/// a pre-release unless asked. Source: istio.io, in-place upgrades take at most one minor.
pub fn step(from: &IstioVersion, to: &IstioVersion, allow_pre_release: bool) -> Result<Step, PathRefusal> {
    if from == to {
        return Ok(Step::None);
    }
    if to.is_pre_release() && !allow_pre_release {
        return Err(PathRefusal::PreRelease { to: to.clone() });
    }
    if to < from {
        return Err(PathRefusal::Downgrade { from: from.clone(), to: to.clone() });
    }
    if to.major() == from.major() && to.minor() == from.minor() {
        return Ok(Step::Patch);
    }
    if to.major() == from.major() && to.minor() == from.minor().saturating_add(1) {
        return Ok(Step::Minor);
    }
    let step = format!("{}.{}", from.major(), from.minor().saturating_add(1));
    Err(PathRefusal::TooFar { from: from.clone(), to: to.clone(), step })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v(s: &str) -> IstioVersion {
        IstioVersion::parse(s).unwrap()
    }

    #[test]
    fn a_later_patch_or_one_minor_up() {
        assert_eq!(step(&v("1.29.3"), &v("1.29.4"), false), Ok(Step::Patch));
        assert_eq!(step(&v("1.29.3"), &v("1.30.0"), false), Ok(Step::Minor));
        assert_eq!(step(&v("1.29.3"), &v("1.29.3"), false), Ok(Step::None));
    }

    #[test]
    fn refusals_name_both_versions_and_the_way_out() {
        let down = step(&v("1.29.3"), &v("1.29.2"), false).unwrap_err().to_string();
        assert!(down.contains("1.29.2 is older than 1.29.3") && down.contains("rollback"), "{down}");
        let far = step(&v("1.28.0"), &v("1.30.1"), false).unwrap_err().to_string();
        assert!(far.contains("go to 1.29.x first"), "{far}");
        assert!(matches!(step(&v("1.30.0"), &v("2.0.0"), false), Err(PathRefusal::TooFar { .. })));
    }

    #[test]
    fn a_pre_release_needs_a_word() {
        assert!(matches!(step(&v("1.30.0"), &v("1.31.0-rc.0"), false), Err(PathRefusal::PreRelease { .. })));
        assert_eq!(step(&v("1.30.0"), &v("1.31.0-rc.0"), true), Ok(Step::Minor));
    }

    proptest! {
        #[test]
        fn what_is_allowed_is_never_down_and_never_two_minors(a in 0u64..40, b in 0u64..20, c in 0u64..40, d in 0u64..20) {
            let from = v(&format!("1.{a}.{b}"));
            let to = v(&format!("1.{c}.{d}"));
            if step(&from, &to, true).is_ok() {
                prop_assert!(to >= from);
                prop_assert!(c == a || c == a + 1);
            } else {
                prop_assert!(to < from || c > a + 1);
            }
        }
    }
}
