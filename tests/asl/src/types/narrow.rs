//! What a Choice state's rule says of the data on its own edge, and of what is left for the next rule.

use super::value::{Strings, Type};
use crate::choice::{Comparison, Condition, Operand, Ordering, Scalar, TypeTest};
use crate::path::{Path, Root};
use serde_json::Value;
use std::collections::BTreeSet;

impl Type {
    /// What is left of it where the condition holds, or does not; `None` when that cannot be.
    pub(super) fn where_it(&self, holds: bool, condition: &Condition) -> Option<Self> {
        match condition {
            Condition::Not(inner) => self.where_it(!holds, inner),
            // All hold, or none of them does: one after the other.
            Condition::And(conditions) if holds => self.where_each(true, conditions),
            Condition::Or(conditions) if !holds => self.where_each(false, conditions),
            // The first that decides ends it, so the ones before it did not.
            Condition::And(conditions) => self.where_one(false, conditions),
            Condition::Or(conditions) => self.where_one(true, conditions),
            Condition::Present { variable, expected } => match input_way(variable) {
                None => Some(self.clone()),
                Some(steps) if holds == *expected => self.narrowed(steps, &|leaf| Some(leaf.clone())),
                Some(steps) => self.without(steps),
            },
            Condition::Type { variable, test, expected } => {
                self.at(variable, &|leaf| leaf.of_kind(*test, holds == *expected))
            }
            Condition::Compare { variable, comparison, operand } => match operand {
                Operand::Literal(literal) => {
                    self.at(variable, &|leaf| leaf.compared(holds, *comparison, literal))
                }
                Operand::Path(_) => self.at(variable, &|leaf| leaf.scalars(holds, comparison.scalar)),
            },
        }
    }

    fn where_each(&self, holds: bool, conditions: &[Condition]) -> Option<Self> {
        conditions.iter().try_fold(self.clone(), |left, condition| left.where_it(holds, condition))
    }

    fn where_one(&self, holds: bool, conditions: &[Condition]) -> Option<Self> {
        let mut left = Some(self.clone());
        let mut all: Option<Self> = None;
        for condition in conditions {
            let Some(here) = left else { break };
            if let Some(decided) = here.where_it(holds, condition) {
                all = Some(all.map_or_else(|| decided.clone(), |all| all.join(&decided)));
            }
            left = here.where_it(!holds, condition);
        }
        all
    }

    fn at(&self, variable: &Path, change: &dyn Fn(&Self) -> Option<Self>) -> Option<Self> {
        input_way(variable).map_or_else(|| Some(self.clone()), |steps| self.narrowed(steps, change))
    }

    fn some(self) -> Option<Self> {
        (!self.is_nothing()).then_some(self)
    }

    fn compared(&self, holds: bool, comparison: Comparison, literal: &Value) -> Option<Self> {
        if comparison.ordering != Ordering::Equals {
            return self.scalars(holds, comparison.scalar);
        }
        match literal {
            Value::String(text) if comparison.scalar == Scalar::String => {
                let admitted = self.admits(literal);
                if holds { admitted.then(|| Self::constant(text)) } else { self.except(text).some() }
            }
            Value::Bool(value) => {
                let is_admitted = self.admits(literal);
                if holds {
                    return is_admitted.then(|| Self::of(literal));
                }
                let mut left = self.clone();
                left.booleans.remove(value);
                left.some()
            }
            _ => self.scalars(holds, comparison.scalar),
        }
    }

    fn except(&self, text: &str) -> Self {
        let mut left = self.clone();
        if let Some(Strings::Constants(constants)) = &mut left.string {
            constants.remove(text);
            if constants.is_empty() {
                left.string = None;
            }
        }
        left
    }

    /// What a comparison can be true of. Where it is false, nothing is known.
    fn scalars(&self, holds: bool, scalar: Scalar) -> Option<Self> {
        if !holds {
            return Some(self.clone());
        }
        if self.anything {
            return Some(Self::every(scalar));
        }
        match scalar {
            Scalar::String | Scalar::Timestamp => Self { string: self.string.clone(), ..Self::default() },
            Scalar::Numeric => Self { number: self.number, ..Self::default() },
            Scalar::Boolean => Self { booleans: self.booleans.clone(), ..Self::default() },
        }
        .some()
    }

    /// Whether it holds something that a comparison of this kind can be true of.
    pub(super) fn may_be(&self, scalar: Scalar) -> bool {
        self.scalars(true, scalar).is_some()
    }

    pub(super) fn every(scalar: Scalar) -> Self {
        match scalar {
            Scalar::String | Scalar::Timestamp => Self::string(),
            Scalar::Numeric => Self::number(),
            Scalar::Boolean => Self::boolean(),
        }
    }

    fn of_kind(&self, test: TypeTest, is: bool) -> Option<Self> {
        if is {
            return match test {
                TypeTest::Null => (self.anything || self.null).then(Self::null),
                TypeTest::String | TypeTest::Timestamp => self.scalars(true, Scalar::String),
                TypeTest::Numeric => self.scalars(true, Scalar::Numeric),
                TypeTest::Boolean => self.scalars(true, Scalar::Boolean),
            };
        }
        let mut left = self.clone();
        match test {
            TypeTest::Null => left.null = false,
            TypeTest::String => left.string = None,
            TypeTest::Numeric => left.number = None,
            TypeTest::Boolean => left.booleans = BTreeSet::new(),
            // A string may be no timestamp.
            TypeTest::Timestamp => {}
        }
        left.some()
    }
}

fn input_way(path: &Path) -> Option<&[crate::path::PathStep]> {
    (path.root == Root::Input).then_some(path.steps.as_slice())
}
