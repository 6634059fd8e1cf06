//! What a person can do about a refusal, beside what GitLab says. Source of the texts: GitLab's API documentation and
//! `lib/api`; they are matched in part and without regard to case, for their wording moves between versions.

use guard_tasks::ErrorName;
use http::StatusCode;

/// Status, words, and what helps.
const TABLE: [(u16, &str, &str); 8] = [
    (401, "", "the token is wrong, revoked or over: put a new one into the secret that GUARD reads"),
    (403, "insufficient_scope", "the token needs the scope `api`"),
    (
        403,
        "push into this branch",
        "a rule protects the branch: let the token's role push to `feature/istio-*` and `rollback/istio-*`",
    ),
    (
        403,
        "protected branch",
        "a rule protects the branch: let the token's role push to `feature/istio-*` and `rollback/istio-*`",
    ),
    (403, "", "the token's user needs the role Developer in this project"),
    (
        404,
        "project not found",
        "look at `gitlab_repo` of the registry's rows, and whether the token's user is a member",
    ),
    (400, "has changed since", "somebody changed the file since it was read: start again"),
    (400, "source branch", "the branch was deleted before its merge request was opened: start again"),
];

fn row(status: StatusCode, detail: &str) -> Option<&'static (u16, &'static str, &'static str)> {
    let detail = detail.to_lowercase();
    TABLE.iter().find(|(of, words, _)| *of == status.as_u16() && detail.contains(words))
}

/// GitLab's words and what helps.
pub(crate) fn with_remedy(status: StatusCode, detail: &str) -> String {
    match row(status, detail) {
        Some((_, _, remedy)) if detail.is_empty() => (*remedy).to_owned(),
        Some((_, _, remedy)) => format!("{}; {remedy}", guard_http::clip(detail)),
        None => detail.to_owned(),
    }
}

/// The name where the status alone says the wrong one: GitLab answers 400 when the world has moved under us.
pub(crate) fn name(status: StatusCode, detail: &str) -> Option<ErrorName> {
    let moved = status == StatusCode::BAD_REQUEST && row(status, detail).is_some();
    moved.then_some(ErrorName::Conflict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_refusal_says_what_helps() {
        let told = |status: u16, detail: &str| with_remedy(StatusCode::from_u16(status).unwrap(), detail);
        assert!(told(401, "").starts_with("the token is wrong"));
        assert!(told(403, "insufficient_scope: more").ends_with("the token needs the scope `api`"));
        assert!(told(403, "You are not allowed to push into this branch").contains("a rule protects"));
        assert!(told(403, "403 Forbidden").ends_with("role Developer in this project"));
        assert!(told(404, "404 Project Not Found").contains("`gitlab_repo`"));
        assert_eq!(told(404, "404 File Not Found"), "404 File Not Found");
        assert_eq!(told(500, "oops"), "oops");
    }

    #[test]
    fn what_moved_under_us_is_a_conflict_although_gitlab_says_400() {
        let named = |detail: &str| name(StatusCode::BAD_REQUEST, detail);
        assert_eq!(named("a file that has changed since you started"), Some(ErrorName::Conflict));
        assert_eq!(named("Source branch \"x\" does not exist"), Some(ErrorName::Conflict));
        assert_eq!(named("branch is missing"), None);
        assert_eq!(name(StatusCode::FORBIDDEN, "source branch"), None);
    }
}
