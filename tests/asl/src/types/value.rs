//! What a place may hold.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Below this depth a type is anything, so that a loop that nests its own input comes to an end too.
pub(super) const DEPTH: usize = 10;

/// A set of JSON values, as the union of what it holds of each kind. Nothing at all is the type of a place
/// that no run fills.
///
/// The join of two types holds what either holds, and may hold more: which fields stand together in an
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
    /// Shared: the same types go along many edges.
    pub(super) of: Arc<Type>,
    pub(super) required: bool,
}

impl Field {
    pub(super) fn new(of: Type, required: bool) -> Self {
        Self { of: Arc::new(of), required }
    }
}

impl Type {
    pub(super) const fn plain(anything: bool) -> Self {
        Self {
            anything,
            null: false,
            booleans: BTreeSet::new(),
            number: None,
            string: None,
            array: None,
            object: None,
        }
    }

    /// Every value.
    pub fn anything() -> Self {
        Self::plain(true)
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
        let fields = fields.into_iter().map(|(name, of)| (name.to_owned(), Field::new(of, true))).collect();
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
        self.object.is_none() && !self.has_more_than_objects()
    }

    pub(super) fn has_more_than_objects(&self) -> bool {
        let has_scalars =
            self.null || !self.booleans.is_empty() || self.number.is_some() || self.string.is_some();
        self.anything || has_scalars || self.array.is_some()
    }

    pub(super) fn without_objects(&self) -> Self {
        Self {
            anything: self.anything,
            null: self.null,
            booleans: self.booleans.clone(),
            number: self.number,
            string: self.string.clone(),
            array: self.array.clone(),
            object: None,
        }
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

    fn is_deeper_than(&self, depth: usize) -> bool {
        if depth == 0 {
            return !self.is_nothing();
        }
        let is_deeper = |of: &Self| of.is_deeper_than(depth - 1);
        self.array.as_deref().is_some_and(is_deeper)
            || self.object.as_ref().is_some_and(|object| {
                object.fields.values().any(|field| is_deeper(&field.of))
                    || object.others.as_deref().is_some_and(is_deeper)
            })
    }

    /// The same down to a depth, and anything below.
    pub(super) fn cut(&self, depth: usize) -> Self {
        if !self.is_deeper_than(depth) {
            return self.clone();
        }
        if depth == 0 && !self.is_nothing() {
            return Self::anything();
        }
        let below = depth.saturating_sub(1);
        let cut = |of: &Self| of.cut(below);
        Self {
            anything: self.anything,
            null: self.null,
            booleans: self.booleans.clone(),
            number: self.number,
            string: self.string.clone(),
            array: self.array.as_ref().map(|items| Box::new(cut(items))),
            object: self.object.as_ref().map(|object| Object {
                fields: object
                    .fields
                    .iter()
                    .map(|(name, field)| (name.clone(), Field::new(cut(&field.of), field.required)))
                    .collect(),
                others: object.others.as_ref().map(|of| Box::new(cut(of))),
            }),
        }
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
            let is_same = Arc::ptr_eq(&one.of, &two.of);
            let of = if is_same { one.of } else { Arc::new(one.of.join(&two.of)) };
            (name.clone(), Field { of, required })
        });
        let others = both(self.others.as_ref(), other.others.as_ref(), |one, two| Box::new(one.join(two)));
        Self { fields: fields.collect(), others }
    }

    /// What it holds under a name, listed or not.
    fn field(&self, name: &str) -> Field {
        let unlisted = || Field::new(self.others.as_deref().cloned().unwrap_or_default(), false);
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
