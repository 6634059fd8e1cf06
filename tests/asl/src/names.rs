//! Names and ARNs of machines and executions.

use rand::Rng;
use std::fmt::Write as _;

/// The region in every ARN of the local service.
pub const REGION: &str = "eu-west-1";
/// The account in every ARN of the local service.
pub const ACCOUNT: &str = "123456789012";

/// `arn:aws:states:eu-west-1:123456789012:stateMachine:<name>`.
pub fn machine_arn(machine: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{machine}")
}

/// `arn:aws:states:eu-west-1:123456789012:execution:<machine>:<name>`.
pub fn execution_arn(machine: &str, name: &str) -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}")
}

/// The machine's name in a machine ARN; a text that is no ARN is taken as the name itself.
pub(crate) fn machine_name(arn_or_name: &str) -> &str {
    arn_or_name.strip_prefix(&machine_arn("")).unwrap_or(arn_or_name)
}

/// StartExecution's rule: 1 to 80 characters, none of white space, brackets, wildcards, `"#%\^|~`$&,;:/`,
/// control characters.
pub(crate) fn is_execution_name(name: &str) -> bool {
    let is_refused = |letter: char| {
        letter.is_whitespace() || letter.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(letter)
    };
    (1..=80).contains(&name.chars().count()) && !name.chars().any(is_refused)
}

/// A name in the form of a UUID, as the service gives to an execution started without one.
pub(crate) fn random_name(random: &mut impl Rng) -> String {
    let mut name = String::with_capacity(36);
    for (index, byte) in
        random.next_u64().to_be_bytes().iter().chain(&random.next_u64().to_be_bytes()).enumerate()
    {
        if matches!(index, 4 | 6 | 8 | 10) {
            name.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::{is_execution_name, machine_arn, machine_name, random_name};
    use rand::SeedableRng;

    #[test]
    fn refused_characters_are_refused() {
        for name in ["a", "prod-eu-1_1.29.4-1.30.5", &"x".repeat(80), "é"] {
            assert!(is_execution_name(name), "{name}");
        }
        for name in ["", &"x".repeat(81), "a b", "a:b", "a/b", "a*", "a\n", "a[0]", "<a>", "a\"", "50%"] {
            assert!(!is_execution_name(name), "{name}");
        }
    }

    #[test]
    fn a_random_name_is_a_legal_one_and_follows_the_seed() {
        let name = |seed| random_name(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
        assert!(is_execution_name(&name(1)));
        assert_eq!((name(1).len(), name(1)), (36, name(1)));
        assert_ne!(name(1), name(2));
    }

    #[test]
    fn a_machine_is_found_by_arn_and_by_name() {
        assert_eq!(machine_name(&machine_arn("rollout")), "rollout");
        assert_eq!(machine_name("rollout"), "rollout");
    }
}
