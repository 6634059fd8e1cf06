//! What a Choice state's rules say, and whether they hold.

use crate::path::Path;
use jiff::Timestamp;
use serde_json::Value;
use std::cmp;
use std::fmt;

/// A condition over the state's input.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All hold; stops at the first that does not, so a guarding `IsPresent` comes first.
    And(Vec<Condition>),
    /// One holds; stops at the first.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// `IsPresent`: the variable is there, null included, or is not.
    Present {
        /// The variable.
        variable: Path,
        /// What is expected.
        expected: bool,
    },
    /// `IsNull`, `IsString`, ...
    Type {
        /// The variable.
        variable: Path,
        /// The type.
        test: TypeTest,
        /// What is expected.
        expected: bool,
    },
    /// A comparison with a literal or with another place.
    Compare {
        /// The variable, on the left.
        variable: Path,
        /// How.
        comparison: Comparison,
        /// The right side.
        operand: Operand,
    },
}

/// A test for a JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeTest {
    /// `IsNull`.
    Null,
    /// `IsString`.
    String,
    /// `IsNumeric`.
    Numeric,
    /// `IsBoolean`.
    Boolean,
    /// `IsTimestamp`: a string in RFC 3339 with `T` and `Z`.
    Timestamp,
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// The literal in the rule.
    Literal(Value),
    /// A `...Path` operator: what the path selects.
    Path(Path),
}

/// What a comparison takes both sides for. A side of another type does not match; it is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// `String...`.
    String,
    /// `Numeric...`.
    Numeric,
    /// `Boolean...`.
    Boolean,
    /// `Timestamp...`.
    Timestamp,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordering {
    /// `...Equals`.
    Equals,
    /// `...LessThan`.
    Less,
    /// `...LessThanEquals`.
    LessOrEqual,
    /// `...GreaterThan`.
    Greater,
    /// `...GreaterThanEquals`.
    GreaterOrEqual,
}

/// An operator such as `NumericLessThan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// What both sides are.
    pub scalar: Scalar,
    /// How they compare.
    pub ordering: Ordering,
}

/// Reads what the service accepts as a timestamp: RFC 3339 with a capital `T` and a capital `Z`.
pub(crate) fn timestamp(text: &str) -> Option<Timestamp> {
    (text.contains('T') && text.ends_with('Z')).then(|| text.parse().ok()).flatten()
}

impl TypeTest {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::String => value.is_string(),
            Self::Numeric => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Timestamp => value.as_str().and_then(timestamp).is_some(),
        }
    }
}

impl Comparison {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match self.scalar {
            Scalar::String => left.as_str().zip(right.as_str()).map(|(left, right)| left.cmp(right)),
            Scalar::Boolean => left.as_bool().zip(right.as_bool()).map(|(left, right)| left.cmp(&right)),
            Scalar::Numeric => {
                left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right))
            }
            Scalar::Timestamp => left
                .as_str()
                .and_then(timestamp)
                .zip(right.as_str().and_then(timestamp))
                .map(|(left, right)| left.cmp(&right)),
        };
        order.is_some_and(|order| match self.ordering {
            Ordering::Equals => order == cmp::Ordering::Equal,
            Ordering::Less => order == cmp::Ordering::Less,
            Ordering::LessOrEqual => order != cmp::Ordering::Greater,
            Ordering::Greater => order == cmp::Ordering::Greater,
            Ordering::GreaterOrEqual => order != cmp::Ordering::Less,
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words(&Path::to_string))
    }
}

impl Condition {
    /// Whether it holds. The error is a path that selects nothing: the service fails the execution with
    /// `States.Runtime` then, unless the test is `IsPresent`.
    pub(crate) fn holds(&self, input: &Value, context: &Value) -> Result<bool, &Path> {
        let read = |path| Path::select(path, input, context).ok_or(path);
        Ok(match self {
            Self::And(conditions) => {
                for condition in conditions {
                    if !condition.holds(input, context)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Or(conditions) => {
                for condition in conditions {
                    if condition.holds(input, context)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(condition) => !condition.holds(input, context)?,
            Self::Present { variable, expected } => variable.select(input, context).is_some() == *expected,
            Self::Type { variable, test, expected } => test.holds(read(variable)?) == *expected,
            Self::Compare { variable, comparison, operand } => {
                let right = match operand {
                    Operand::Literal(value) => value,
                    Operand::Path(path) => read(path)?,
                };
                comparison.holds(read(variable)?, right)
            }
        })
    }

    /// It in words: `decision = soak`. `name` says how a variable is called.
    pub(crate) fn words(&self, name: &dyn Fn(&Path) -> String) -> String {
        let each = |conditions: &[Self], word: &str| {
            conditions.iter().map(|condition| condition.words(name)).collect::<Vec<_>>().join(word)
        };
        match self {
            Self::And(conditions) => each(conditions, " and "),
            Self::Or(conditions) => each(conditions, " or "),
            Self::Not(condition) => format!("not {}", condition.words(name)),
            Self::Present { variable, expected } => {
                format!("{} is {}present", name(variable), if *expected { "" } else { "not " })
            }
            Self::Type { variable, test, expected } => {
                let test = match test {
                    TypeTest::Null => "null",
                    TypeTest::String => "a string",
                    TypeTest::Numeric => "a number",
                    TypeTest::Boolean => "true or false",
                    TypeTest::Timestamp => "a timestamp",
                };
                format!("{} is {}{test}", name(variable), if *expected { "" } else { "not " })
            }
            Self::Compare { variable, comparison, operand } => {
                let sign = match comparison.ordering {
                    Ordering::Equals => "=",
                    Ordering::Less => "<",
                    Ordering::LessOrEqual => "<=",
                    Ordering::Greater => ">",
                    Ordering::GreaterOrEqual => ">=",
                };
                let right = match operand {
                    Operand::Literal(Value::String(text)) => text.clone(),
                    Operand::Literal(literal) => literal.to_string(),
                    Operand::Path(path) => name(path),
                };
                format!("{} {sign} {right}", name(variable))
            }
        }
    }

    /// Every path it reads, in reading order.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::And(conditions) | Self::Or(conditions) => conditions.iter().flat_map(Self::paths).collect(),
            Self::Not(condition) => condition.paths(),
            Self::Compare { variable, operand: Operand::Path(path), .. } => vec![variable, path],
            Self::Present { variable, .. }
            | Self::Type { variable, .. }
            | Self::Compare { variable, operand: Operand::Literal(_), .. } => vec![variable],
        }
    }
}
