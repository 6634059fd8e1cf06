//! How waiting for merge requests ends: one decision over all requests of a change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Finding, Severity};

/// How one request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Waits for a person.
    Open,
    /// Ended unmerged. A person may still open it again.
    Closed,
    /// Landed, and the run may follow it.
    Merged,
    /// Landed as something that the run may not follow.
    Edited,
}

/// How waiting for the requests of a change ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeEnd {
    /// All landed.
    Merged,
    /// All landed, but the content is not what was proposed.
    Edited,
    /// Some landed, and others will not.
    Partly,
    /// One was closed, and none landed.
    Closed,
    /// Nobody answered in time, and none landed.
    Expired,
}

impl MergeEnd {
    /// `None` while it is worth waiting. One that was closed ends it for all: what belongs together lands together, and
    /// the others are taken back. What landed is never forgotten for that.
    pub fn of(stands: &[Stand], is_expired: bool) -> Option<Self> {
        let any = |wanted| stands.contains(&wanted);
        let has_landed = any(Stand::Merged) || any(Stand::Edited);
        if !any(Stand::Open) && !any(Stand::Closed) && has_landed {
            return Some(if any(Stand::Edited) { Self::Edited } else { Self::Merged });
        }
        if any(Stand::Closed) || any(Stand::Edited) || is_expired {
            return Some(match (has_landed, any(Stand::Closed)) {
                (true, _) => Self::Partly,
                (false, true) => Self::Closed,
                (false, false) => Self::Expired,
            });
        }
        None
    }
}

/// What is done about a request that a person edited before merging it, where what was proposed is there all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnEdited {
    /// The run stops and asks a person to look.
    Stop,
    /// It is told, and the run goes on.
    Accept,
}

/// What landed, compared with what was proposed.
#[derive(Debug, Clone, PartialEq)]
pub enum Landing {
    /// It is what was proposed.
    AsProposed,
    /// What was proposed is there, and a person changed something else, too. In words.
    WithEdits(String),
    /// What was proposed is not there.
    Otherwise(Vec<Finding>),
}

impl Landing {
    /// How the request stands, and what people should know. Where the proposed versions are not there, nobody's policy
    /// helps: the run would wait for what never comes.
    pub fn judge(self, subject: &str, policy: OnEdited) -> (Stand, Vec<Finding>) {
        match self {
            Self::AsProposed => (Stand::Merged, Vec::new()),
            Self::Otherwise(findings) => (Stand::Edited, findings),
            Self::WithEdits(what) => {
                let remedy = "look at the merge request's commits; `policy.on_edited_merge_request` decides";
                let finding = Finding::blocking("MERGED_WITH_EDITS", subject, what, remedy);
                match policy {
                    OnEdited::Stop => (Stand::Edited, vec![finding]),
                    OnEdited::Accept => {
                        (Stand::Merged, vec![Finding { severity: Severity::Warning, ..finding }])
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_ends_as_it_ended() {
        let of = |stand, is_expired| MergeEnd::of(&[stand], is_expired);
        assert_eq!(of(Stand::Open, false), None);
        assert_eq!(of(Stand::Open, true), Some(MergeEnd::Expired));
        for is_expired in [false, true] {
            assert_eq!(of(Stand::Merged, is_expired), Some(MergeEnd::Merged));
            assert_eq!(of(Stand::Edited, is_expired), Some(MergeEnd::Edited));
            assert_eq!(of(Stand::Closed, is_expired), Some(MergeEnd::Closed));
        }
    }

    #[test]
    fn several_wait_for_all_and_end_with_the_first_that_will_not_land() {
        use Stand::{Closed, Edited, Merged, Open};
        let table: [(&[Stand], bool, Option<MergeEnd>); 13] = [
            (&[Merged, Open], false, None),
            (&[Open, Open], false, None),
            (&[Merged, Merged], false, Some(MergeEnd::Merged)),
            (&[Merged, Edited], false, Some(MergeEnd::Edited)),
            // No use waiting for the rest of what cannot be followed.
            (&[Edited, Open], false, Some(MergeEnd::Partly)),
            (&[Closed, Open], false, Some(MergeEnd::Closed)),
            (&[Closed, Merged], false, Some(MergeEnd::Partly)),
            (&[Closed, Merged, Open], false, Some(MergeEnd::Partly)),
            (&[Closed, Edited], false, Some(MergeEnd::Partly)),
            (&[Closed, Closed], false, Some(MergeEnd::Closed)),
            (&[Merged, Open], true, Some(MergeEnd::Partly)),
            (&[Open, Open], true, Some(MergeEnd::Expired)),
            (&[Closed, Open], true, Some(MergeEnd::Closed)),
        ];
        for (stands, is_expired, expected) in table {
            assert_eq!(MergeEnd::of(stands, is_expired), expected, "{stands:?} {is_expired}");
        }
    }

    #[test]
    fn no_end_is_merged_unless_every_request_landed_as_proposed() {
        let all = [Stand::Open, Stand::Closed, Stand::Merged, Stand::Edited];
        for a in all {
            for b in all {
                for is_expired in [false, true] {
                    let end = MergeEnd::of(&[a, b], is_expired);
                    let both = a == Stand::Merged && b == Stand::Merged;
                    assert_eq!(end == Some(MergeEnd::Merged), both, "{a:?} {b:?}");
                    let has_landed = [a, b].iter().any(|one| matches!(one, Stand::Merged | Stand::Edited));
                    let forgets = matches!(end, Some(MergeEnd::Closed | MergeEnd::Expired));
                    assert!(!(has_landed && forgets), "{a:?} {b:?}: {end:?}");
                }
            }
        }
        assert_eq!(MergeEnd::of(&[], false), None);
        assert_eq!(MergeEnd::of(&[], true), Some(MergeEnd::Expired));
    }

    #[test]
    fn the_policy_decides_over_edits_but_not_over_other_versions() {
        let edits = || Landing::WithEdits("two more commits".into());
        let (stand, findings) = edits().judge("!7", OnEdited::Stop);
        assert_eq!((stand, findings[0].severity), (Stand::Edited, Severity::Blocking));
        let (stand, findings) = edits().judge("!7", OnEdited::Accept);
        assert_eq!((stand, findings[0].severity), (Stand::Merged, Severity::Warning));
        let other = || Landing::Otherwise(vec![Finding::blocking("MERGED_DIFFERENTLY", "x", "y", "z")]);
        for policy in [OnEdited::Stop, OnEdited::Accept] {
            assert_eq!(other().judge("!7", policy).0, Stand::Edited);
            assert_eq!(Landing::AsProposed.judge("!7", policy), (Stand::Merged, Vec::new()));
        }
    }
}
