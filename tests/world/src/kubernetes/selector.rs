//! Selectors by label and by field.

use serde_json::Value;

use super::resources::Resource;

/// The fields that a kind is selected by, beside those of every kind:
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/field-selectors/>.
fn more_fields(resource: &Resource) -> &'static [&'static str] {
    match resource.plural {
        "pods" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "namespaces" => &["status.phase"],
        "replicasets" => &["status.replicas"],
        "nodes" => &["spec.unschedulable"],
        "events" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "type",
        ],
        _ => &[],
    }
}

/// A field that this kind is not selected by, as the API server refuses it.
pub(super) fn unknown_field(resource: &Resource, fields: &Selector) -> Option<String> {
    let known = |name: &str| {
        ["metadata.name", "metadata.namespace"].contains(&name) || more_fields(resource).contains(&name)
    };
    let name = fields.names().find(|name| !known(name))?;
    // Kinds with fields of their own say it in their own words.
    Some(if more_fields(resource).is_empty() {
        let all = r#"only "metadata.name", "metadata.namespace""#;
        format!(r#""{name}" is not a known field selector: {all}"#)
    } else {
        format!("field label not supported: {name}")
    })
}

/// The text at a dotted path.
pub(super) fn field(object: &Value, path: &str) -> Option<String> {
    let value = path.split('.').try_fold(object, |value, part| value.get(part))?;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        other => Some(other.to_string()),
    }
}

/// One demand of a selector: a name, the values allowed, and whether it is turned round.
#[derive(Debug)]
enum Demand {
    OneOf(String, Vec<String>, bool),
    Exists(String, bool),
}

#[derive(Debug)]
pub(super) struct Selector(Vec<Demand>);

impl Selector {
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = vec![String::new()];
        let mut depth = 0_i32;
        for letter in text.chars() {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            if letter == ',' && depth == 0 {
                parts.push(String::new());
            } else if let Some(last) = parts.last_mut() {
                last.push(letter);
            }
        }
        let demands = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(Self::demand);
        if depth == 0 { demands.collect::<Option<Vec<_>>>().map(Self) } else { None }
    }

    fn demand(part: &str) -> Option<Demand> {
        let trimmed = |text: &str| text.trim().to_owned();
        for (mark, negated) in [("!=", true), ("==", false), ("=", false)] {
            if let Some((name, value)) = part.split_once(mark) {
                return Some(Demand::OneOf(trimmed(name), vec![trimmed(value)], negated));
            }
        }
        for (mark, negated) in [(" notin ", true), (" in ", false)] {
            if let Some((name, values)) = part.split_once(mark) {
                let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
                return Some(Demand::OneOf(trimmed(name), values.split(',').map(trimmed).collect(), negated));
            }
        }
        let (name, negated) = part.strip_prefix('!').map_or((part, false), |name| (name, true));
        (!name.contains([' ', '(', ')'])).then(|| Demand::Exists(name.to_owned(), negated))
    }

    /// It asks for nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names it asks about.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|demand| match demand {
            Demand::OneOf(name, ..) | Demand::Exists(name, _) => name.as_str(),
        })
    }

    pub(super) fn matches(&self, value_of: impl Fn(&str) -> Option<String>) -> bool {
        self.0.iter().all(|demand| match demand {
            Demand::OneOf(name, values, negated) => {
                value_of(name).is_some_and(|value| values.contains(&value)) != *negated
            }
            Demand::Exists(name, negated) => value_of(name).is_some() != *negated,
        })
    }
}
