//! AWS's errors, named once.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use guard_http::{TransportError, clip};
use guard_tasks::{ErrorName, TaskError};
use serde_json::Value;

/// The name and text of a failed SDK call. `label` is the call: system, method and path.
pub(crate) fn classify<E>(label: &str, error: &SdkError<E, HttpResponse>) -> TaskError
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let named = match error {
        SdkError::ServiceError(refused) => {
            refusal(refused.err().code(), refused.err().message(), refused.raw().status().as_u16())
        }
        SdkError::ResponseError(garbled) => {
            // The status decides when it refuses; a success that cannot be read is nobody's known case.
            let status = garbled.raw().status().as_u16();
            TaskError::new(name_of_status(status), format!("status {status} with an unreadable answer"))
        }
        SdkError::TimeoutError(_) => TaskError::new(ErrorName::Transient, "timed out"),
        other => unanswered(other),
    };
    named.context(label)
}

/// A call that never got an answer: the transport knows why, or the SDK had nothing to sign with.
fn unanswered(error: &(dyn StdError + 'static)) -> TaskError {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(transport) = cause.downcast_ref::<TransportError>() {
            return transport.into();
        }
        if let Some(credentials) = cause.downcast_ref::<CredentialsError>() {
            return TaskError::new(ErrorName::Denied, format!("no usable credentials: {credentials}"));
        }
        next = cause.source();
    }
    TaskError::internal(format!("the SDK could not make the call: {error}"))
}

/// A refusal of a service that is called without an SDK. Its code stands in a header or in the document, with a
/// namespace before it or a link behind it.
pub(crate) fn refused(answer: &http::Response<Bytes>) -> TaskError {
    let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let text = |keys: [&str; 2]| keys.into_iter().find_map(|key| document.get(key)?.as_str());
    let header = answer.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let code = header.or_else(|| text(["__type", "code"])).map(bare_code);
    refusal(code, text(["message", "Message"]), answer.status().as_u16())
}

fn bare_code(code: &str) -> &str {
    let code = code.split_once(':').map_or(code, |(code, _)| code);
    code.rsplit_once('#').map_or(code, |(_, code)| code)
}

fn refusal(code: Option<&str>, message: Option<&str>, status: u16) -> TaskError {
    let name = code.and_then(name_of_code).unwrap_or_else(|| name_of_status(status));
    let code = code.unwrap_or("no code");
    TaskError::new(name, format!("status {status} {code}: {}", clip(message.unwrap_or_default())))
}

fn name_of_status(status: u16) -> ErrorName {
    http::StatusCode::from_u16(status).map_or(ErrorName::Internal, guard_http::classify)
}

/// The name of a code that comes without a status, such as a reason for which a transaction was cancelled.
pub(crate) fn name_of(code: &str) -> ErrorName {
    name_of_code(code).unwrap_or(ErrorName::Internal)
}

/// AWS says most things with status 400; the code is what tells them apart. `None` leaves it to the status.
fn name_of_code(code: &str) -> Option<ErrorName> {
    Some(match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceeded"
        | "ProvisionedThroughputExceededException"
        | "ThrottlingError"
        | "TooManyRequestsException"
        | "SlowDown" => ErrorName::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RegionDisabledException"
        | "OptInRequired" => ErrorName::Denied,
        "ResourceNotFoundException"
        | "InvalidParameterException"
        | "ValidationException"
        | "ValidationError"
        | "ItemCollectionSizeLimitExceeded"
        | "ItemCollectionSizeLimitExceededException"
        | "PackedPolicyTooLarge" => ErrorName::Rejected,
        "ResourceInUseException" | "ConditionalCheckFailed" | "ConditionalCheckFailedException" => {
            ErrorName::Conflict
        }
        // Two transactions met at a row, or a request met its own repetition; a token of another call is a matter of
        // chance. Nothing was written, and the same call may succeed shortly.
        "TransactionConflict"
        | "TransactionConflictException"
        | "TransactionInProgressException"
        | "IdempotentParameterMismatchException"
        | "ReplicatedWriteConflictException"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServerException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => ErrorName::Transient,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_comes_before_the_status() {
        let table = [
            (Some("ThrottlingException"), 400, ErrorName::Throttled),
            (Some("Throttling"), 400, ErrorName::Throttled),
            (Some("AccessDenied"), 403, ErrorName::Denied),
            (Some("AccessDeniedException"), 400, ErrorName::Denied),
            (Some("ExpiredTokenException"), 400, ErrorName::Denied),
            (Some("ResourceNotFoundException"), 404, ErrorName::Rejected),
            (Some("ServerException"), 500, ErrorName::Transient),
            (Some("ResourceInUseException"), 409, ErrorName::Conflict),
            (Some("ConditionalCheckFailedException"), 400, ErrorName::Conflict),
            (Some("TransactionConflictException"), 400, ErrorName::Transient),
            (Some("TransactionInProgressException"), 400, ErrorName::Transient),
            (Some("IdempotentParameterMismatchException"), 400, ErrorName::Transient),
            (Some("ReplicatedWriteConflictException"), 400, ErrorName::Transient),
            (Some("ProvisionedThroughputExceededException"), 400, ErrorName::Throttled),
            (Some("RequestLimitExceeded"), 400, ErrorName::Throttled),
            (Some("ItemCollectionSizeLimitExceededException"), 400, ErrorName::Rejected),
            (Some("SomethingNew"), 400, ErrorName::Rejected),
            (Some("SomethingNew"), 503, ErrorName::Transient),
            (None, 403, ErrorName::Denied),
            (None, 302, ErrorName::Internal),
        ];
        for (code, status, name) in table {
            assert_eq!(refusal(code, Some("why"), status).name, name, "{code:?} {status}");
        }
    }

    #[test]
    fn a_code_without_a_status_has_a_name() {
        let table = [
            ("TransactionConflict", ErrorName::Transient),
            ("ThrottlingError", ErrorName::Throttled),
            ("ProvisionedThroughputExceeded", ErrorName::Throttled),
            ("ConditionalCheckFailed", ErrorName::Conflict),
            ("ValidationError", ErrorName::Rejected),
            ("ItemCollectionSizeLimitExceeded", ErrorName::Rejected),
            ("SomethingNew", ErrorName::Internal),
        ];
        for (code, name) in table {
            assert_eq!(name_of(code), name, "{code}");
        }
    }

    #[test]
    fn a_code_is_found_wherever_a_service_puts_it() {
        let answer = |header: Option<&str>, body: &str| {
            let mut answer = http::Response::builder().status(400);
            if let Some(code) = header {
                answer = answer.header("x-amzn-errortype", code);
            }
            refused(&answer.body(Bytes::copy_from_slice(body.as_bytes())).unwrap())
        };
        let link = "TooManyRequestsException:http://internal.amazon.com/coral/";
        let told = answer(Some(link), r#"{"Type": "User", "Message": "slow down"}"#);
        assert_eq!(told.name, ErrorName::Throttled);
        assert_eq!(told.chain(), "status 400 TooManyRequestsException: slow down");
        let body = r#"{"__type": "com.amazonaws.ssm#ThrottlingException", "message": "Rate exceeded"}"#;
        assert_eq!(answer(None, body).chain(), "status 400 ThrottlingException: Rate exceeded");
        for nonsense in ["", "[]", "<html>", r#"{"__type": 5}"#] {
            assert_eq!(answer(None, nonsense).name, ErrorName::Rejected, "{nonsense}");
        }
    }
}
