//! Whether what one place holds may go to another.

use super::value::{Object, Strings, Type};
use serde_json::Value;
use std::collections::BTreeMap;

/// A place inside of a type that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// The way down to it: `.clusters[].child`.
    pub(super) way: String,
    /// Whether a field is unknown or missing, and not of another type.
    pub(super) is_key: bool,
    /// What is wrong and what would be right.
    pub(super) message: String,
}

impl Type {
    /// Whether every value it holds is one that `other` holds.
    pub fn fits(&self, other: &Self) -> bool {
        self.misfits(other).is_empty()
    }

    /// Whether it holds this value.
    pub fn admits(&self, value: &Value) -> bool {
        // Numbers beyond u64 are kept as floats, which no whole number holds: JSON of ours has none.
        Self::of(value).fits(self)
    }

    pub(super) fn misfits(&self, other: &Self) -> Vec<Misfit> {
        let mut found = Vec::new();
        self.compare(other, "", &mut found);
        found
    }

    fn compare(&self, other: &Self, way: &str, found: &mut Vec<Misfit>) {
        if other.anything {
            return;
        }
        let strings = match (&self.string, &other.string) {
            (None, _) | (Some(_), Some(Strings::Any)) => true,
            (Some(Strings::Constants(mine)), Some(Strings::Constants(theirs))) => mine.is_subset(theirs),
            (Some(_), _) => false,
        };
        let is_scalar_right = !self.anything
            && (other.null || !self.null)
            && self.booleans.is_subset(&other.booleans)
            && self.number <= other.number
            && strings;
        let is_kind_right = is_scalar_right
            && (self.array.is_none() || other.array.is_some())
            && (self.object.is_none() || other.object.is_some());
        if !is_kind_right {
            let message = format!("is {self}, and must be {other}");
            found.push(Misfit { way: way.to_owned(), is_key: false, message });
            return;
        }
        if let (Some(mine), Some(theirs)) = (&self.array, &other.array) {
            mine.compare(theirs, &format!("{way}[]"), found);
        }
        if let (Some(mine), Some(theirs)) = (&self.object, &other.object) {
            compare_objects(mine, theirs, way, found);
        }
    }
}

fn compare_objects(mine: &Object, theirs: &Object, way: &str, found: &mut Vec<Misfit>) {
    let mut key = |name: &str, message: String| {
        found.push(Misfit { way: format!("{way}.{name}"), is_key: true, message });
    };
    for name in mine.fields.keys() {
        if !theirs.fields.contains_key(name) && theirs.others.is_none() {
            key(name, format!("is unknown there; known are {}", names(&theirs.fields)));
        }
    }
    for (name, field) in &theirs.fields {
        match mine.fields.get(name) {
            Some(other) if field.required && !other.required => {
                key(name, "is required, and not there on every route".to_owned());
            }
            None if field.required => key(name, "is required, and missing".to_owned()),
            Some(_) | None => {}
        }
    }
    if mine.others.is_some() && theirs.others.is_none() {
        key("*", format!("any field may stand there; known are {}", names(&theirs.fields)));
    }
    for (name, field) in &mine.fields {
        let wanted = theirs.fields.get(name).map(|field| field.of.as_ref()).or(theirs.others.as_deref());
        if let Some(wanted) = wanted {
            field.of.compare(wanted, &format!("{way}.{name}"), found);
        }
    }
    if let Some(others) = &mine.others {
        for (name, field) in theirs.fields.iter().filter(|(name, _)| !mine.fields.contains_key(*name)) {
            others.compare(&field.of, &format!("{way}.{name}"), found);
        }
        if let Some(wanted) = &theirs.others {
            others.compare(wanted, &format!("{way}.*"), found);
        }
    }
}

fn names<T>(fields: &BTreeMap<String, T>) -> String {
    fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
