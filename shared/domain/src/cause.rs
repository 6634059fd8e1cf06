//! Why a state failed, as people read it.

use serde::Deserialize;

/// The longest cause that is shown, in characters. The function's log has all of it.
const CHARACTERS: usize = 200;

/// What Lambda says of a function that failed.
#[derive(Deserialize)]
struct Failed {
    #[serde(rename = "errorMessage")]
    error_message: String,
}

/// One line of a cause that Step Functions tells: of a function's, its own message; of any other, the text as it is.
pub fn cause_in_words(cause: &str) -> String {
    let failed: Option<Failed> = serde_json::from_str(cause).ok();
    let words = failed.as_ref().map_or(cause, |failed| &failed.error_message);
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_own_message_is_what_is_read() {
        assert_eq!(
            cause_in_words(r#"{"errorType": "Rejected", "errorMessage": "input.x: no"}"#),
            "input.x: no"
        );
        assert_eq!(cause_in_words("plain\n text"), "plain text");
        assert_eq!(cause_in_words(&"é".repeat(300)), format!("{}...", "é".repeat(200)));
    }
}
