//! Answers that refuse.

use guard_tasks::TaskError;
use http::{HeaderMap, StatusCode};

use crate::classify;

/// Characters of a foreign text that go into an error: enough for a person, too little to flood a payload.
const TEXT_LIMIT: usize = 300;

/// The error for an answer that is not a success: `label: status 429, retry after 7: too many requests`.
pub fn refusal(label: &str, status: StatusCode, headers: &HeaderMap, detail: &str) -> TaskError {
    let mut text = format!("status {}", status.as_u16());
    if let Some(wait) = retry_after(status, headers) {
        text = format!("{text}, retry after {wait}");
    }
    let detail = clip(detail);
    if !detail.is_empty() {
        text = format!("{text}: {detail}");
    }
    TaskError::new(classify(status), text).context(label)
}

/// When the server wants to be asked again, as it says it: `Retry-After` (seconds or a date). Of a 429 also Datadog's
/// `X-RateLimit-Reset` (seconds) and GitLab's `RateLimit-Reset` (seconds since 1970), which both send with every answer.
pub fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(clip);
    let told = text("retry-after").map(|value| if is_number(&value) { format!("{value} s") } else { value });
    if told.is_some() || status != StatusCode::TOO_MANY_REQUESTS {
        return told;
    }
    let reset = text("x-ratelimit-reset").map(|value| format!("{value} s"));
    reset.or_else(|| text("ratelimit-reset").map(|value| format!("epoch second {value}")))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A foreign text on one line and cut to what a person reads.
pub fn clip(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(TEXT_LIMIT) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use guard_tasks::ErrorName;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_refusal_says_what_when_and_why() {
        let error = refusal(
            "GitLab GET /x",
            StatusCode::TOO_MANY_REQUESTS,
            &headers(&[("retry-after", "7")]),
            "slow\n down",
        );
        assert_eq!(error.name, ErrorName::Throttled);
        assert_eq!(error.chain(), "GitLab GET /x: status 429, retry after 7 s: slow down");
    }

    #[test]
    fn each_way_to_say_when_is_understood() {
        let slow = |pairs: &[_]| retry_after(StatusCode::TOO_MANY_REQUESTS, &headers(pairs));
        assert_eq!(slow(&[]), None);
        assert_eq!(slow(&[("x-ratelimit-reset", "12")]).as_deref(), Some("12 s"));
        assert_eq!(slow(&[("ratelimit-reset", "99")]).as_deref(), Some("epoch second 99"));
        let date = "Wed, 21 Oct 2026 07:28:00 GMT";
        assert_eq!(slow(&[("retry-after", date), ("ratelimit-reset", "99")]).as_deref(), Some(date));

        let down = |pairs: &[_]| retry_after(StatusCode::SERVICE_UNAVAILABLE, &headers(pairs));
        assert_eq!(down(&[("retry-after", "5")]).as_deref(), Some("5 s"));
        assert_eq!(down(&[("x-ratelimit-reset", "12"), ("ratelimit-reset", "99")]), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let cut = clip(&"é".repeat(400));
        assert_eq!(cut.chars().count(), TEXT_LIMIT + 3);
        assert!(cut.ends_with("..."));
        assert_eq!(clip("short"), "short");
    }
}
