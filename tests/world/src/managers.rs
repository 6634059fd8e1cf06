//! Who wrote which annotation of a workload, as `metadata.managedFields` tells it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::state::stamp;

/// How a manager writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

/// Where an annotation is: in the object's own metadata, or in its pod template's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Metadata,
    Template,
}

/// An annotation.
pub(crate) type Field = (Place, String);

#[derive(Debug, Clone, PartialEq)]
struct Manager {
    fields: BTreeSet<Field>,
    /// When its fields or their values last changed.
    at: Timestamp,
}

/// All managers of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Managers(BTreeMap<(String, Operation), Manager>);

impl Managers {
    /// Who else than this one owns a field.
    pub(crate) fn others(&self, field: &Field, name: &str, operation: Operation) -> Vec<&str> {
        let is_other = |(who, how): &&(String, Operation)| who != name || *how != operation;
        let has = |(_, manager): &(&(String, Operation), &Manager)| manager.fields.contains(field);
        self.0.iter().filter(has).map(|(who, _)| who).filter(is_other).map(|(who, _)| who.as_str()).collect()
    }

    /// What a manager applied last.
    pub(crate) fn applied(&self, name: &str) -> BTreeSet<Field> {
        let found = self.0.get(&(name.to_owned(), Operation::Apply));
        found.map(|manager| manager.fields.clone()).unwrap_or_default()
    }

    /// A manager applied these fields, and no others; `changes` are those that got another value by it.
    pub(crate) fn apply(
        &mut self,
        name: &str,
        fields: BTreeSet<Field>,
        changes: &BTreeSet<Field>,
        now: Timestamp,
    ) {
        self.take_from_others(name, Operation::Apply, changes);
        let key = (name.to_owned(), Operation::Apply);
        let is_same = self.0.get(&key).is_some_and(|manager| manager.fields == fields);
        if !is_same || !changes.is_empty() {
            self.0.insert(key, Manager { fields, at: now });
        }
    }

    /// A manager wrote these fields beside those it has.
    pub(crate) fn update(&mut self, name: &str, changes: &BTreeSet<Field>, now: Timestamp) {
        if changes.is_empty() {
            return;
        }
        self.take_from_others(name, Operation::Update, changes);
        let key = (name.to_owned(), Operation::Update);
        let manager = self.0.entry(key).or_insert_with(|| Manager { fields: BTreeSet::new(), at: now });
        manager.fields.extend(changes.iter().cloned());
        manager.at = now;
    }

    /// Fields that are gone belong to nobody.
    pub(crate) fn forget(&mut self, gone: &BTreeSet<Field>) {
        for manager in self.0.values_mut() {
            manager.fields.retain(|field| !gone.contains(field));
        }
        self.0.retain(|_, manager| !manager.fields.is_empty());
    }

    /// Every field that somebody owns.
    pub(crate) fn fields(&self) -> BTreeSet<Field> {
        self.0.values().flat_map(|manager| manager.fields.iter().cloned()).collect()
    }

    /// Who writes another value owns the field from then on.
    fn take_from_others(&mut self, name: &str, operation: Operation, changes: &BTreeSet<Field>) {
        for ((who, how), manager) in &mut self.0 {
            if who != name || *how != operation {
                manager.fields.retain(|field| !changes.contains(field));
            }
        }
        self.0.retain(|(who, how), one| (who == name && *how == operation) || !one.fields.is_empty());
    }

    /// `metadata.managedFields`.
    pub(crate) fn json(&self) -> Value {
        let entry = |((name, operation), manager): (&(String, Operation), &Manager)| {
            let names = |place: Place| -> Map<String, Value> {
                let here = manager.fields.iter().filter(|(at, _)| *at == place);
                here.map(|(_, name)| (format!("f:{name}"), json!({}))).collect()
            };
            let (own, template) = (names(Place::Metadata), names(Place::Template));
            let mut fields = json!({});
            if !own.is_empty() {
                fields["f:metadata"] = json!({ "f:annotations": own });
            }
            if !template.is_empty() {
                fields["f:spec"] = json!({ "f:template": { "f:metadata": { "f:annotations": template } } });
            }
            let operation = match operation {
                Operation::Apply => "Apply",
                Operation::Update => "Update",
            };
            json!({ "manager": name, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "time": stamp(manager.at), "fieldsV1": fields })
        };
        self.0.iter().map(entry).collect()
    }
}
