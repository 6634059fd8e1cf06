//! Update and condition expressions. Every name goes through a placeholder: `status`, `value` and `token` are among
//! DynamoDB's reserved words, and no one should have to know which of ours are.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// What an update sets and removes, and what must hold for it. Paths are written with dots: `metadata.mr_url`.
#[derive(Debug, Clone, Default)]
pub(super) struct Expression {
    sets: Vec<String>,
    removes: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    pub(super) fn set(mut self, path: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.name(path), self.value(value));
        self.sets.push(format!("{path} = {value}"));
        self
    }

    /// Adds to the end of a list, which is made if it is not there.
    pub(super) fn append(mut self, path: &str, values: Vec<AttributeValue>) -> Self {
        let path = self.name(path);
        let (none, new) = (self.value(AttributeValue::L(Vec::new())), self.value(AttributeValue::L(values)));
        self.sets.push(format!("{path} = list_append(if_not_exists({path}, {none}), {new})"));
        self
    }

    pub(super) fn remove(mut self, path: &str) -> Self {
        let path = self.name(path);
        self.removes.push(path);
        self
    }

    pub(super) fn when_is(mut self, path: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.name(path), self.value(value));
        self.conditions.push(format!("{path} = {value}"));
        self
    }

    pub(super) fn when_is_or_absent(mut self, path: &str, value: AttributeValue) -> Self {
        let (path, value) = (self.name(path), self.value(value));
        self.conditions.push(format!("({path} = {value} OR attribute_not_exists({path}))"));
        self
    }

    pub(super) fn when_starts(mut self, path: &str, prefix: AttributeValue) -> Self {
        let (path, prefix) = (self.name(path), self.value(prefix));
        self.conditions.push(format!("begins_with({path}, {prefix})"));
        self
    }

    pub(super) fn when_there(mut self, path: &str) -> Self {
        let path = self.name(path);
        self.conditions.push(format!("attribute_exists({path})"));
        self
    }

    pub(super) fn when_absent(mut self, path: &str) -> Self {
        let path = self.name(path);
        self.conditions.push(format!("attribute_not_exists({path})"));
        self
    }

    /// The attribute still is what was read: this value, or not there.
    pub(super) fn when_still(self, path: &str, read: Option<&AttributeValue>) -> Self {
        match read {
            Some(value) => self.when_is(path, value.clone()),
            None => self.when_absent(path),
        }
    }

    pub(super) fn update(&self) -> String {
        let clause = |word: &str, parts: &[String]| {
            if parts.is_empty() { String::new() } else { format!("{word} {}", parts.join(", ")) }
        };
        format!("{} {}", clause("SET", &self.sets), clause("REMOVE", &self.removes)).trim().to_owned()
    }

    pub(super) fn condition(&self) -> Option<String> {
        (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "))
    }

    pub(super) fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    /// `None` when there is none: an empty map is refused.
    pub(super) fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }

    fn name(&mut self, path: &str) -> String {
        let aliases: Vec<String> = path
            .split('.')
            .map(|segment| {
                let alias = format!("#{segment}");
                self.names.insert(alias.clone(), segment.to_owned());
                alias
            })
            .collect();
        aliases.join(".")
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let alias = format!(":v{}", self.values.len());
        self.values.insert(alias.clone(), value);
        alias
    }
}

#[cfg(test)]
mod tests {
    use super::super::attributes::{number, text};
    use super::*;

    #[test]
    fn an_expression_reads_as_dynamodb_wants_it() {
        let expression = Expression::default()
            .set("metadata.mr_url", text("u"))
            .append("history", vec![number(1)])
            .remove("target")
            .when_is_or_absent("status", text("pending"))
            .when_there("cluster_id")
            .when_still("fence", None);
        assert_eq!(
            expression.update(),
            "SET #metadata.#mr_url = :v0, #history = list_append(if_not_exists(#history, :v1), :v2) REMOVE #target"
        );
        assert_eq!(
            expression.condition().unwrap(),
            "(#status = :v3 OR attribute_not_exists(#status)) AND attribute_exists(#cluster_id) AND \
             attribute_not_exists(#fence)"
        );
        assert_eq!(expression.names().unwrap()["#mr_url"], "mr_url");
        assert_eq!(expression.values().unwrap().len(), 4);
    }

    #[test]
    fn nothing_asked_is_nothing_said() {
        let expression = Expression::default().remove("holder");
        assert_eq!(expression.update(), "REMOVE #holder");
        assert_eq!((expression.condition(), expression.values()), (None, None));
    }
}
