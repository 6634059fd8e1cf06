//! `DefinitionSubstitutions`: `${Token}` in a definition's text, as CloudFormation fills them.

use std::collections::BTreeMap;
use thiserror::Error;

/// A token that cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubstituteError {
    /// No value was given for this token.
    #[error("no substitution for ${{{0}}}")]
    UnknownToken(String),
    /// A `${` without its `}`.
    #[error("a ${{ is never closed, near {0:?}")]
    Unclosed(String),
}

/// Fills each `${Token}` of a definition's text. Values are put inside JSON strings, so they are escaped.
///
/// ```
/// let values = [("PlanBatchFunctionArn".to_owned(), "plan-batch".to_owned())].into();
/// let text = guard_asl::substitute(r#"{"FunctionName": "${PlanBatchFunctionArn}"}"#, &values);
/// assert_eq!(text.as_deref(), Ok(r#"{"FunctionName": "plan-batch"}"#));
/// ```
pub fn substitute(text: &str, values: &BTreeMap<String, String>) -> Result<String, SubstituteError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let near = || SubstituteError::Unclosed(after.chars().take(20).collect());
        let (token, tail) = after.split_once('}').ok_or_else(near)?;
        let value = values.get(token).ok_or_else(|| SubstituteError::UnknownToken(token.to_owned()))?;
        filled.push_str(before);
        let quoted = serde_json::Value::String(value.clone()).to_string();
        filled.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::{SubstituteError, substitute};

    #[test]
    fn an_unknown_or_unclosed_token_is_an_error() {
        let values = [("A".to_owned(), "1".to_owned())].into();
        assert_eq!(substitute("${A}-${A}", &values).as_deref(), Ok("1-1"));
        assert_eq!(substitute("${B}", &values), Err(SubstituteError::UnknownToken("B".to_owned())));
        assert!(matches!(substitute("${A", &values), Err(SubstituteError::Unclosed(_))));
    }

    #[test]
    fn a_value_cannot_break_out_of_its_string() {
        let values = [("A".to_owned(), "\"a\\".to_owned())].into();
        assert_eq!(substitute("\"${A}\"", &values).as_deref(), Ok(r#""\"a\\""#));
    }
}
