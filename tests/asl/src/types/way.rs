//! Ways down into a type: reading, placing, narrowing.

use super::value::{Field, Object, Type};
use crate::path::PathStep;
use std::collections::BTreeMap;

/// For references to types that stand nowhere else.
static NOTHING: Type = Type::plain(false);
static ANYTHING: Type = Type::plain(true);

impl Type {
    /// The objects among what it holds, and whether it may hold something else.
    pub(super) fn as_object(&self) -> (Option<Object>, bool) {
        if self.anything {
            return (
                Some(Object { fields: BTreeMap::new(), others: Some(Box::new(Self::anything())) }),
                true,
            );
        }
        (self.object.clone(), self.has_more_than_objects())
    }

    /// What a way down from here leads to, and why it may lead nowhere.
    pub(super) fn select(&self, steps: &[PathStep]) -> (Self, Option<String>) {
        let mut here = self;
        let mut missing = None;
        let mut way = String::new();
        for step in steps {
            if here.is_nothing() {
                break;
            }
            let (next, why) = here.step(step, &way);
            missing = missing.or(why);
            here = next;
            match step {
                PathStep::Field(name) if way.is_empty() => way.clone_from(name),
                PathStep::Field(name) => way = format!("{way}.{name}"),
                PathStep::Index(index) => way = format!("{way}[{index}]"),
            }
        }
        (here.clone(), missing)
    }

    fn step(&self, step: &PathStep, way: &str) -> (&Self, Option<String>) {
        let place = if way.is_empty() { "the data" } else { way };
        if self.anything {
            let why = format!("{place} may be anything, so nothing below it is sure");
            return (&ANYTHING, Some(why));
        }
        let name = match step {
            PathStep::Field(name) => name,
            PathStep::Index(_) => {
                let items = self.array.as_deref().unwrap_or(&NOTHING);
                return (items, Some(format!("{place} may be shorter")));
            }
        };
        let Some(object) = &self.object else {
            return (&NOTHING, Some(format!("{place} is {self}, which has no fields")));
        };
        let (of, missing) = match (object.fields.get(name), &object.others) {
            (Some(field), _) if field.required => (field.of.as_ref(), None),
            (Some(field), _) => (field.of.as_ref(), Some(format!("{name} is not there on every route"))),
            (None, Some(others)) => (others.as_ref(), Some(format!("{name} is not known to be in {place}"))),
            (None, None) => {
                let known: Vec<&str> = object.fields.keys().map(String::as_str).collect();
                (&NOTHING, Some(format!("{place} has no {name}, but {}", known.join(", "))))
            }
        };
        let is_more =
            self.has_more_than_objects().then(|| format!("{place} may be {}", self.without_objects()));
        (of, missing.or(is_more))
    }

    /// What `ResultPath` makes of it, and why it may fail.
    pub(super) fn place(&self, way: &[String], result: &Self) -> (Self, Option<String>) {
        let Some((name, rest)) = way.split_first() else { return (result.clone(), None) };
        let (object, is_more) = self.as_object();
        let is_blocked = is_more.then(|| format!("{name} is placed in what may be {self}"));
        let mut object = object.unwrap_or_default();
        let empty = || Self::from_object(Object::default()).place(rest, result).0;
        let (of, why) = match (object.fields.get(name), &object.others) {
            (Some(field), _) => {
                let (of, why) = field.of.place(rest, result);
                (if field.required { of } else { of.join(&empty()) }, why)
            }
            (None, Some(others)) => {
                let (of, why) = others.place(rest, result);
                (of.join(&empty()), why)
            }
            (None, None) => (empty(), None),
        };
        object.fields.insert(name.clone(), Field::new(of, true));
        (Self::from_object(object), is_blocked.or(why))
    }

    /// The same where the way leads somewhere, with `change` made to what it leads to. `None` when nothing
    /// is left.
    pub(super) fn narrowed(
        &self,
        steps: &[PathStep],
        change: &dyn Fn(&Self) -> Option<Self>,
    ) -> Option<Self> {
        let Some((step, rest)) = steps.split_first() else { return change(self) };
        let PathStep::Field(name) = step else { return Some(self.clone()) };
        let mut object = self.as_object().0?;
        let of = match (object.fields.get(name), &object.others) {
            (Some(field), _) => field.of.as_ref(),
            (None, Some(others)) => others.as_ref(),
            (None, None) => return None,
        };
        let of = of.narrowed(rest, change)?;
        object.fields.insert(name.clone(), Field::new(of, true));
        Some(Self::from_object(object))
    }

    /// The same where the way leads nowhere. `None` when nothing is left.
    pub(super) fn without(&self, steps: &[PathStep]) -> Option<Self> {
        let [first, rest @ ..] = steps else { return None };
        let PathStep::Field(name) = first else { return Some(self.clone()) };
        let Some(mut object) = self.object.clone() else { return Some(self.clone()) };
        let Some(field) = object.fields.get(name).cloned() else { return Some(self.clone()) };
        match field.of.without(rest) {
            Some(of) => {
                object.fields.insert(name.clone(), Field::new(of, field.required));
            }
            None if field.required => {
                return self.has_more_than_objects().then(|| self.without_objects());
            }
            None if object.others.is_some() => {
                object.fields.insert(name.clone(), Field::new(Self::nothing(), false));
            }
            None => {
                object.fields.remove(name);
            }
        }
        Some(Self { object: Some(object), ..self.without_objects() })
    }
}
