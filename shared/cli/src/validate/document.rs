//! The configuration document, with everything that is wrong in it.

use guard_domain::Config;
use guard_tasks::task;
use serde_json::Value;

/// Mistakes after which the rest of a document is no news any more.
const MISTAKES: usize = 50;

/// The configuration as far as it can be read, and every problem. Reading stops at the first mistake; so each mistake is
/// told, taken out, and the rest read again.
pub(crate) fn read(text: &str) -> (Option<Config>, Vec<String>) {
    let mut document: Value = match serde_saphyr::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            let told = error.to_string();
            let first = told.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            return (None, vec![format!("it is not YAML: {first}")]);
        }
    };
    let mut problems = Vec::new();
    while problems.len() < MISTAKES {
        let error = match task::decode::<Config>("config", document.clone()) {
            Ok(config) => {
                let values = config.problems();
                problems.extend(values.iter().map(ToString::to_string));
                return (Some(config), problems);
            }
            Err(error) => error.chain(),
        };
        let is_taken_out = place_of(&error).is_some_and(|place| take_out(&mut document, &place));
        problems.push(error);
        if !is_taken_out {
            break;
        }
    }
    (None, problems)
}

/// Where a mistake is: `config.policy.freeze_windows[1].from: ...` as its steps.
fn place_of(error: &str) -> Option<Vec<String>> {
    let path = error.split(": ").next()?.strip_prefix("config.")?;
    let steps = path.replace('[', ".").replace(']', "");
    Some(steps.split('.').map(str::to_owned).collect())
}

/// Takes the innermost thing on the way out. False when there is nothing.
fn take_out(document: &mut Value, place: &[String]) -> bool {
    let Some((first, rest)) = place.split_first() else { return false };
    match document {
        Value::Object(fields) => {
            if let Some(inner) = fields.get_mut(first)
                && !rest.is_empty()
                && take_out(inner, rest)
            {
                return true;
            }
            fields.remove(first).is_some()
        }
        Value::Array(items) => {
            let Some(index) = first.parse::<usize>().ok().filter(|index| *index < items.len()) else {
                return false;
            };
            // A list's element whose part is missing or wrong goes as a whole: the rest of it may need that part.
            items.remove(index);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_at_once() {
        let (config, problems) = read(
            "gitlab: {uri: https://gitlab.example.com}\n\
             polcy: {}\n\
             execution: {max_parallel_clusters: 41}\n\
             validation: {soak_period_minutes: an hour}\n\
             batch_order: {dev: [a b]}\n\
             policy:\n  freeze_windows:\n  - {from: 2026-12-24T00:00:00Z}\n  - 5\n",
        );
        let starts = [
            "config.gitlab.uri: unknown field `uri`",
            "config.polcy: unknown field `polcy`",
            "config.validation.soak_period_minutes: invalid type",
            "config.batch_order.dev[0]: batch_id `a b` is not valid",
            "config.policy.freeze_windows[0]: missing field `reason`",
            "config.policy.freeze_windows[0]: invalid type: integer `5`",
            "config execution.max_parallel_clusters: 41 is not between",
        ];
        assert_eq!(problems.len(), starts.len(), "{problems:#?}");
        for start in starts {
            assert!(problems.iter().any(|problem| problem.starts_with(start)), "{start}: {problems:#?}");
        }
        assert!(problems.iter().any(|problem| problem.ends_with("did you mean `policy`?")), "{problems:#?}");
        assert_eq!(config.unwrap().execution.max_parallel_clusters, 41);
    }

    #[test]
    fn what_is_no_document_is_told_once() {
        assert!(read("gitlab: [").1[0].starts_with("it is not YAML"));
        for text in ["", "- a", "text"] {
            let (config, problems) = read(text);
            assert!(config.is_none() && problems.len() == 1, "{problems:?}");
        }
        assert_eq!(read("{}").1, Vec::<String>::new());
    }
}
