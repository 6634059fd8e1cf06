//! From an HTTP status to an error name: the one table.

use guard_tasks::ErrorName;
use http::StatusCode;

/// The name of an answer that is not a success. A status that nobody foresaw is `Internal` and not retried: 3xx too,
/// since no adapter follows redirects.
pub fn classify(status: StatusCode) -> ErrorName {
    match status.as_u16() {
        400 | 404 | 422 => ErrorName::Rejected,
        401 | 403 => ErrorName::Denied,
        409 | 412 => ErrorName::Conflict,
        429 => ErrorName::Throttled,
        // 408 is a server's own time-out: the request was fine.
        408 | 500..=599 => ErrorName::Transient,
        _ => ErrorName::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_name() {
        let named = [
            (400, ErrorName::Rejected),
            (401, ErrorName::Denied),
            (403, ErrorName::Denied),
            (404, ErrorName::Rejected),
            (408, ErrorName::Transient),
            (409, ErrorName::Conflict),
            (412, ErrorName::Conflict),
            (422, ErrorName::Rejected),
            (429, ErrorName::Throttled),
        ];
        for code in 100..=999_u16 {
            let expected = match code {
                500..=599 => ErrorName::Transient,
                _ => named
                    .iter()
                    .find(|(known, _)| *known == code)
                    .map_or(ErrorName::Internal, |(_, name)| *name),
            };
            assert_eq!(classify(StatusCode::from_u16(code).unwrap()), expected, "{code}");
        }
    }
}
