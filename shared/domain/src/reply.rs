//! A person's answer in the conversation of a merge request.

/// What a person decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The clusters are well enough; otherwise they are taken back.
    pub approves: bool,
    /// Why, in their words.
    pub reason: String,
}

/// Longest reason, in characters: it travels through the state machine's data and into the audit log.
pub const LONGEST_REASON: usize = 1_000;

/// `guard approve: reason` or `guard reject: reason`, as the first line of what somebody wrote. Everything else is talk:
/// an answer is never guessed.
pub fn reply(text: &str) -> Option<Reply> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let line = line.trim_start_matches('`').trim_end_matches('`');
    let (head, reason) = line.split_once(':')?;
    let mut words = head.split_whitespace().map(str::to_lowercase);
    let (guard, verb, rest) = (words.next()?, words.next()?, words.next());
    if guard.trim_start_matches('@') != "guard" || rest.is_some() {
        return None;
    }
    let approves = match verb.as_str() {
        "approve" => true,
        "reject" => false,
        _ => return None,
    };
    let reason: String = reason.trim().chars().take(LONGEST_REASON).collect();
    (!reason.is_empty()).then_some(Reply { approves, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_said_in_full_and_has_a_reason() {
        let said = |text: &str| reply(text).map(|reply| (reply.approves, reply.reason));
        assert_eq!(said("guard approve: p95 is fine"), Some((true, "p95 is fine".into())));
        assert_eq!(
            said("\n  @Guard  REJECT : errors: too many\nmore"),
            Some((false, "errors: too many".into()))
        );
        assert_eq!(said("`guard approve: ok`"), Some((true, "ok".into())));
        for talk in [
            "",
            "approve: fine",
            "guard approve",
            "guard approve:  ",
            "I would guard approve: it",
            "guard approve later: when it is calm",
            "guard approved: yes",
            "> guard approve: quoted",
            "Should we say `guard approve: x`?",
        ] {
            assert_eq!(said(talk), None, "{talk}");
        }
        let long = format!("guard reject: {}", "x".repeat(5_000));
        assert_eq!(reply(&long).unwrap().reason.chars().count(), LONGEST_REASON);
    }
}
