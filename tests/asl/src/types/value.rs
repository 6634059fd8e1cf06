//! What a place may hold.

use crate::path::PathStep;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Below this depth a type is anything, so that a loop that nests its own input comes to an end too.
pub(super) const DEPTH: usize = 10;

/// A set of JSON values, as the union of what it holds of each kind. Nothing at all is the type of a place
/// that no run fills.
///
/// The joins of two types holds what either holds, and may hold more: which fields stand together in an
/// object is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Type {
    pub(super) anything: bool,
    pub(super) null: bool,
    pub(super) booleans: BTreeSet<bool>,
    pub(super) number: Option<Number>,
    pub(super) string: Option<Strings>,
    pub(super) array: Option<Box<Type>>,
    pub(super) object: Option<Object>,
}

/// Which numbers; each holds the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Number {
    Natural,
    Whole,
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Strings {
    Constants(BTreeSet<String>),
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Object {
    pub(super) fields: BTreeMap<String, Field>,
    /// What fields of other names hold; `None` when there are none.
    pub(super) others: Option<Box<Type>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) of: Type,
    pub(super) required: bool,
}

impl Type {
    /// Every value.
    pub fn anything() -> Self {
        Self { anything: true, ..Self::default() }
    }

    /// No value.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// `null`.
    pub fn null() -> Self {
        Self { null: true, ..Self::default() }
    }

    /// `true` and `false`.
    pub fn boolean() -> Self {
        Self { booleans: [false, true].into(), ..Self::default() }
    }

    /// Every string.
    pub fn string() -> Self {
        Self { string: Some(Strings::Any), ..Self::default() }
    }

    /// Whole numbers from zero.
    pub fn natural() -> Self {
        Self { number: Some(Number::Natural), ..Self::default() }
    }

    /// Every number.
    pub fn number() -> Self {
        Self { number: Some(Number::Any), ..Self::default() }
    }

    /// Arrays of these.
    pub fn array(items: Self) -> Self {
        Self { array: Some(Box::new(items)), ..Self::default() }
    }

    /// Objects with exactly these fields.
    pub fn object<'n>(fields: impl IntoIterator<Item = (&'n str, Self)>) -> Self {
        let fields =
            fields.into_iter().map(|(name, of)| (name.to_owned(), Field { of, required: true })).collect();
        Self::from_object(Object { fields, others: None })
    }

    pub(super) fn from_object(object: Object) -> Self {
        Self { object: Some(object), ..Self::default() }
    }

    pub(super) fn constant(text: &str) -> Self {
        Self { string: Some(Strings::Constants([text.to_owned()].into())), ..Self::default() }
    }

    /// The narrowest type that holds this value: strings and booleans are kept as constants.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::null(),
            Value::Bool(value) => Self { booleans: [*value].into(), ..Self::default() },
            Value::Number(number) => {
                let number = if number.is_u64() {
                    Number::Natural
                } else if number.is_i64() {
                    Number::Whole
                } else {
                    Number::Any
                };
                Self { number: Some(number), ..Self::default() }
            }
            Value::String(text) => Self::constant(text),
            Value::Array(items) => {
                Self::array(items.iter().map(Self::of).fold(Self::nothing(), |all, item| all.join(&item)))
            }
            Value::Object(fields) => {
                Self::object(fields.iter().map(|(name, value)| (name.as_str(), Self::of(value))))
            }
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What either holds.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        if self.anything || other.anything {
            return Self::anything();
        }
        Self {
            anything: false,
            null: self.null || other.null,
            booleans: self.booleans.union(&other.booleans).copied().collect(),
            number: self.number.max(other.number),
            string: both(self.string.as_ref(), other.string.as_ref(), Strings::join),
            array: both(self.array.as_ref(), other.array.as_ref(), |one, two| Box::new(one.join(two))),
            object: both(self.object.as_ref(), other.object.as_ref(), Object::join),
        }
    }

    /// The same down to a depth, and anything below.
    pub(super) fn cut(&self, depth: usize) -> Self {
        if depth == 0 && !self.is_nothing() {
            return Self::anything();
        }
        let below = depth.saturating_sub(1);
        let cut = |of: &Self| of.cut(below);
        Self {
            array: self.array.as_ref().map(|items| Box::new(cut(items))),
            object: self.object.as_ref().map(|object| Object {
                fields: object
                    .fields
                    .iter()
                    .map(|(name, field)| {
                        (name.clone(), Field { of: cut(&field.of), required: field.required })
                    })
                    .collect(),
                others: object.others.as_ref().map(|of| Box::new(cut(of))),
            }),
            ..self.clone()
        }
    }

    /// The objects among what it holds, and whether it may hold something else.
    pub(super) fn as_object(&self) -> (Option<Object>, bool) {
        if self.anything {
            return (
                Some(Object { fields: BTreeMap::new(), others: Some(Box::new(Self::anything())) }),
                true,
            );
        }
        let rest = Self { object: None, ..self.clone() };
        (self.object.clone(), !rest.is_nothing())
    }

    /// What a way down from here leads to, and why it may lead nowhere.
    pub(super) fn select(&self, steps: &[PathStep]) -> (Self, Option<String>) {
        let mut here = self.clone();
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
        (here, missing)
    }

    fn step(&self, step: &PathStep, way: &str) -> (Self, Option<String>) {
        let place = if way.is_empty() { "the data" } else { way };
        if self.anything {
            return (Self::anything(), Some(format!("{place} may be anything, so nothing below it is sure")));
        }
        let name = match step {
            PathStep::Field(name) => name,
            PathStep::Index(_) => {
                let items = self.array.as_deref().cloned().unwrap_or_default();
                return (items, Some(format!("{place} may be shorter")));
            }
        };
        let (object, is_more) = self.as_object();
        let Some(object) = object else {
            return (Self::nothing(), Some(format!("{place} is {self}, which has no fields")));
        };
        let (of, missing) = match (object.fields.get(name), &object.others) {
            (Some(field), _) if field.required => (field.of.clone(), None),
            (Some(field), _) => (field.of.clone(), Some(format!("{name} is not there on every route"))),
            (None, Some(others)) => {
                ((**others).clone(), Some(format!("{name} is not known to be in {place}")))
            }
            (None, None) => {
                let known: Vec<&str> = object.fields.keys().map(String::as_str).collect();
                (Self::nothing(), Some(format!("{place} has no {name}, but {}", known.join(", "))))
            }
        };
        let is_null = is_more.then(|| format!("{place} may be {}", Self { object: None, ..self.clone() }));
        (of, missing.or(is_null))
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
        object.fields.insert(name.clone(), Field { of, required: true });
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
            (Some(field), _) => &field.of,
            (None, Some(others)) => others.as_ref(),
            (None, None) => return None,
        };
        let of = of.narrowed(rest, change)?;
        object.fields.insert(name.clone(), Field { of, required: true });
        Some(Self::from_object(object))
    }

    /// The same where the way leads nowhere. `None` when nothing is left.
    pub(super) fn without(&self, steps: &[PathStep]) -> Option<Self> {
        let [first, rest @ ..] = steps else { return None };
        let PathStep::Field(name) = first else { return Some(self.clone()) };
        let Some(mut object) = self.object.clone() else { return Some(self.clone()) };
        let has_more = Self { object: None, ..self.clone() } != Self::default();
        let Some(field) = object.fields.get(name).cloned() else { return Some(self.clone()) };
        match field.of.without(rest) {
            Some(of) => {
                object.fields.insert(name.clone(), Field { of, required: field.required });
            }
            None if field.required => {
                return has_more.then(|| Self { object: None, ..self.clone() });
            }
            None if object.others.is_some() => {
                object.fields.insert(name.clone(), Field { of: Self::nothing(), required: false });
            }
            None => {
                object.fields.remove(name);
            }
        }
        Some(Self { object: Some(object), ..self.clone() })
    }
}

impl Strings {
    fn join(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Constants(one), Self::Constants(two)) => {
                Self::Constants(one.union(two).cloned().collect())
            }
            (Self::Any, _) | (_, Self::Any) => Self::Any,
        }
    }
}

impl Object {
    fn join(&self, other: &Self) -> Self {
        let names: BTreeSet<&String> = self.fields.keys().chain(other.fields.keys()).collect();
        let fields = names.into_iter().map(|name| {
            let (one, two) = (self.field(name), other.field(name));
            let required = one.required && two.required;
            (name.clone(), Field { of: one.of.join(&two.of), required })
        });
        let others = both(self.others.as_ref(), other.others.as_ref(), |one, two| Box::new(one.join(two)));
        Self { fields: fields.collect(), others }
    }

    /// What it holds under a name, listed or not.
    fn field(&self, name: &str) -> Field {
        let unlisted = || Field { of: self.others.as_deref().cloned().unwrap_or_default(), required: false };
        self.fields.get(name).cloned().unwrap_or_else(unlisted)
    }
}

fn both<T: Clone>(one: Option<&T>, two: Option<&T>, join: impl Fn(&T, &T) -> T) -> Option<T> {
    match (one, two) {
        (Some(one), Some(two)) => Some(join(one, two)),
        (Some(only), None) | (None, Some(only)) => Some(only.clone()),
        (None, None) => None,
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        if self.anything {
            words.push("anything".to_owned());
        }
        match &self.string {
            Some(Strings::Any) => words.push("a string".to_owned()),
            Some(Strings::Constants(constants)) => {
                words.extend(constants.iter().map(|constant| format!("{constant:?}")));
            }
            None => {}
        }
        match self.number {
            Some(Number::Natural) => words.push("a whole number from 0".to_owned()),
            Some(Number::Whole) => words.push("a whole number".to_owned()),
            Some(Number::Any) => words.push("a number".to_owned()),
            None => {}
        }
        words.extend(self.booleans.iter().map(ToString::to_string));
        if let Some(items) = &self.array {
            words.push(format!("an array of {items}"));
        }
        if let Some(object) = &self.object {
            let names: Vec<String> = object
                .fields
                .iter()
                .map(|(name, field)| format!("{name}{}", if field.required { "" } else { "?" }))
                .collect();
            words.push(format!("an object of {{{}}}", names.join(", ")));
        }
        if self.null {
            words.push("null".to_owned());
        }
        let text = if words.is_empty() { "nothing".to_owned() } else { words.join(" or ") };
        formatter.write_str(&text)
    }
}
