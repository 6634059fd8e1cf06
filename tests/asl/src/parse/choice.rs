//! A Choice state's rules.

use super::fields::Fields;
use crate::choice::{Comparison, Condition, Operand, Ordering, Scalar, TypeTest, timestamp};
use crate::error::ParseError;
use crate::machine::{Choice, ChoiceRule};
use serde_json::Value;

pub(super) fn choice(fields: &mut Fields) -> Result<Choice, ParseError> {
    let items = fields.array("Choices")?.unwrap_or_default();
    if items.is_empty() {
        return Err(fields.refuse("Choices", "must not be empty"));
    }
    let mut rules = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let mut rule = Fields::of(&fields.place, &fields.way(&format!("Choices[{index}]")), item)?;
        let comment = rule.text("Comment")?;
        let next = rule.required_text("Next")?;
        rules.push(ChoiceRule { comment, condition: condition(rule)?, next });
    }
    Ok(Choice { rules, default: fields.text("Default")? })
}

fn condition(mut fields: Fields) -> Result<Condition, ParseError> {
    let condition = if let Some(items) = fields.array("And")? {
        Condition::And(conditions(&fields, "And", items)?)
    } else if let Some(items) = fields.array("Or")? {
        Condition::Or(conditions(&fields, "Or", items)?)
    } else if let Some(item) = fields.take("Not") {
        Condition::Not(Box::new(condition(Fields::of(&fields.place, &fields.way("Not"), item)?)?))
    } else {
        test(&mut fields)?
    };
    fields.finish()?;
    Ok(condition)
}

fn conditions(fields: &Fields, name: &str, items: Vec<Value>) -> Result<Vec<Condition>, ParseError> {
    if items.is_empty() {
        return Err(fields.refuse(name, "must not be empty"));
    }
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            condition(Fields::of(&fields.place, &fields.way(&format!("{name}[{index}]")), item)?)
        })
        .collect()
}

fn test(fields: &mut Fields) -> Result<Condition, ParseError> {
    let variable = fields.path("Variable")?.ok_or_else(|| fields.refuse("Variable", "is missing"))?;
    let names = fields.names();
    let [name] = names.as_slice() else {
        return Err(fields.refuse("Variable", format!("needs exactly one operator beside it, not {names:?}")));
    };
    let value = fields.required(name)?;
    if let Some(test) = name.strip_prefix("Is") {
        let Value::Bool(expected) = value else { return Err(fields.refuse(name, "must be true or false")) };
        let test = match test {
            "Present" => return Ok(Condition::Present { variable, expected }),
            "Null" => TypeTest::Null,
            "String" => TypeTest::String,
            "Numeric" => TypeTest::Numeric,
            "Boolean" => TypeTest::Boolean,
            "Timestamp" => TypeTest::Timestamp,
            _ => return Err(fields.refuse(name, "is no operator of the subset")),
        };
        return Ok(Condition::Type { variable, test, expected });
    }
    let (operator, is_path) = match name.strip_suffix("Path") {
        Some(operator) => (operator, true),
        None => (name.as_str(), false),
    };
    let comparison =
        comparison(operator).ok_or_else(|| fields.refuse(name, "is no operator of the subset"))?;
    let operand = if is_path {
        let Value::String(text) = value else { return Err(fields.refuse(name, "must be a path")) };
        Operand::Path(fields.read_path(name, &text)?)
    } else {
        let is_right = match comparison.scalar {
            Scalar::String => value.is_string(),
            Scalar::Numeric => value.is_number(),
            Scalar::Boolean => value.is_boolean(),
            Scalar::Timestamp => value.as_str().and_then(timestamp).is_some(),
        };
        if !is_right {
            return Err(fields.refuse(name, format!("must be a literal of type {:?}", comparison.scalar)));
        }
        Operand::Literal(value)
    };
    Ok(Condition::Compare { variable, comparison, operand })
}

fn comparison(operator: &str) -> Option<Comparison> {
    let scalars = [
        ("String", Scalar::String),
        ("Numeric", Scalar::Numeric),
        ("Boolean", Scalar::Boolean),
        ("Timestamp", Scalar::Timestamp),
    ];
    let (ordering, scalar) = scalars
        .iter()
        .find_map(|(prefix, scalar)| operator.strip_prefix(prefix).map(|ordering| (ordering, *scalar)))?;
    let ordering = match ordering {
        "Equals" => Ordering::Equals,
        _ if scalar == Scalar::Boolean => return None,
        "LessThan" => Ordering::Less,
        "LessThanEquals" => Ordering::LessOrEqual,
        "GreaterThan" => Ordering::Greater,
        "GreaterThanEquals" => Ordering::GreaterOrEqual,
        _ => return None,
    };
    Some(Comparison { scalar, ordering })
}
