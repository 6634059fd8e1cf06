//! Label selectors, as Kubernetes means them.

use std::collections::BTreeMap;

/// `matchLabels` and `matchExpressions`: all of them must hold. One without any selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// Labels that must have these values.
    pub labels: BTreeMap<String, String>,
    /// What else must hold.
    pub expressions: Vec<Requirement>,
}

/// One expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What is asked of it.
    pub operator: Operator,
    /// The values of `In` and `NotIn`.
    pub values: Vec<String>,
}

/// What an expression asks of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// It is there, with one of the values.
    In,
    /// It has none of the values; one that is not there has none.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
    /// Something that Kubernetes did not know when this was written: it may hold.
    Other,
}

impl Operator {
    /// The operator of this name.
    pub fn parse(name: &str) -> Self {
        match name {
            "In" => Self::In,
            "NotIn" => Self::NotIn,
            "Exists" => Self::Exists,
            "DoesNotExist" => Self::DoesNotExist,
            _ => Self::Other,
        }
    }
}

impl LabelSelector {
    /// Does it select an object with these labels?
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |(name, value): (&String, &String)| labels.get(name) == Some(value);
        self.labels.iter().all(has) && self.expressions.iter().all(|one| one.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let found = labels.get(&self.key);
        match self.operator {
            Operator::In => found.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => found.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
            Operator::Other => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn asks(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let requirement = Requirement { key: key.into(), operator: Operator::parse(operator), values };
        LabelSelector { expressions: vec![requirement], ..LabelSelector::default() }
    }

    #[test]
    fn every_label_must_have_its_value() {
        let selector =
            LabelSelector { labels: labels(&[("app", "web"), ("tier", "front")]), expressions: vec![] };
        assert!(selector.selects(&labels(&[("app", "web"), ("tier", "front"), ("x", "y")])));
        assert!(!selector.selects(&labels(&[("app", "web")])));
        assert!(!selector.selects(&labels(&[("app", "web"), ("tier", "back")])));
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        assert!(LabelSelector::default().selects(&labels(&[])));
        assert!(LabelSelector::default().selects(&labels(&[("app", "web")])));
    }

    #[test]
    fn expressions_hold_as_kubernetes_documents_them() {
        let web = labels(&[("app", "web")]);
        for (selector, holds) in [
            (asks("app", "In", &["api", "web"]), true),
            (asks("app", "In", &["api"]), false),
            (asks("tier", "In", &["web"]), false),
            (asks("app", "NotIn", &["api"]), true),
            (asks("app", "NotIn", &["web"]), false),
            (asks("tier", "NotIn", &["web"]), true),
            (asks("app", "Exists", &[]), true),
            (asks("tier", "Exists", &[]), false),
            (asks("app", "DoesNotExist", &[]), false),
            (asks("tier", "DoesNotExist", &[]), true),
            (asks("tier", "Gt", &["1"]), true),
        ] {
            assert_eq!(selector.selects(&web), holds, "{selector:?}");
        }
    }

    #[test]
    fn labels_and_expressions_must_hold_together() {
        let mut selector = asks("canary", "DoesNotExist", &[]);
        selector.labels = labels(&[("app", "web")]);
        assert!(selector.selects(&labels(&[("app", "web")])));
        assert!(!selector.selects(&labels(&[("app", "web"), ("canary", "1")])));
        assert!(!selector.selects(&labels(&[("app", "api")])));
    }
}
