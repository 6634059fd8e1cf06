//! One outward call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

/// Who is called. It names the system in error texts and lets a fault hook pick its victims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// GitLab REST.
    Gitlab,
    /// Datadog.
    Datadog,
    /// AWS Security Token Service.
    Sts,
    /// The EKS control API.
    Eks,
    /// A cluster's API server.
    Kubernetes,
    /// AWS Secrets Manager.
    SecretsManager,
    /// AWS Systems Manager, for its Parameter Store.
    Ssm,
    /// AWS Lambda.
    Lambda,
    /// AWS Step Functions.
    StepFunctions,
    /// Amazon DynamoDB.
    DynamoDb,
    /// A chat room behind an incoming webhook.
    Slack,
    /// PagerDuty events.
    PagerDuty,
}

impl System {
    /// The name people use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gitlab => "GitLab",
            Self::Datadog => "Datadog",
            Self::Sts => "STS",
            Self::Eks => "EKS",
            Self::Kubernetes => "Kubernetes",
            Self::SecretsManager => "Secrets Manager",
            Self::Ssm => "SSM",
            Self::Lambda => "Lambda",
            Self::StepFunctions => "Step Functions",
            Self::DynamoDb => "DynamoDB",
            Self::Slack => "Slack",
            Self::PagerDuty => "PagerDuty",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request and what the way out must know about it.
#[derive(Clone)]
pub struct Call {
    /// Who is called.
    pub system: System,
    /// The whole request, with an absolute URI.
    pub request: http::Request<Bytes>,
    /// From the first byte sent to the last byte read.
    pub timeout: Duration,
    /// The only certificate authorities this host may prove itself with, as PEM. `None` is the platform's own list.
    pub roots: Option<Arc<str>>,
    /// Sending it twice does the same as sending it once: a fault hook may lose its answer and repeat it.
    pub idempotent: bool,
    /// What it does, in words, where method and path must not be told: the path of a webhook is its secret.
    pub operation: Option<&'static str>,
}

impl Call {
    /// A call to a host that the platform trusts. Whether it is idempotent follows from the method.
    pub fn new(system: System, request: http::Request<Bytes>, timeout: Duration) -> Self {
        let idempotent =
            matches!(*request.method(), Method::GET | Method::HEAD | Method::PUT | Method::DELETE);
        Self { system, request, timeout, roots: None, idempotent, operation: None }
    }

    /// The same call, to a host that proves itself with these authorities only.
    #[must_use]
    pub fn with_roots(mut self, roots: Arc<str>) -> Self {
        self.roots = Some(roots);
        self
    }

    /// The same call, known to be idempotent although its method does not say so.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The same call, told by these words instead of method and path.
    #[must_use]
    pub fn named(mut self, operation: &'static str) -> Self {
        self.operation = Some(operation);
        self
    }

    /// `GET /api/v4/version`: what it does. Never the query, which may hold a signature, nor a header, which may hold a
    /// token.
    pub fn operation(&self) -> String {
        match self.operation {
            Some(words) => words.to_owned(),
            None => format!("{} {}", self.request.method(), self.request.uri().path()),
        }
    }

    /// `GitLab GET /api/v4/version`: what error texts say about it.
    pub fn label(&self) -> String {
        format!("{} {}", self.system, self.operation())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("label", &self.label())
            .field("host", &self.request.uri().host())
            .field("timeout", &self.timeout)
            .field("idempotent", &self.idempotent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_label_nor_debug_shows_a_secret() {
        let request = http::Request::post("https://sts.example/path?X-Amz-Security-Token=hush-1")
            .header("private-token", "hush-2")
            .body(Bytes::from_static(b"hush-3"))
            .unwrap();
        let call = Call::new(System::Sts, request, Duration::from_secs(1));
        assert_eq!(call.label(), "STS POST /path");
        assert!(!format!("{call:?}").contains("hush"), "{call:?}");
        assert!(!call.idempotent);
        assert!(call.repeatable().idempotent);
    }

    #[test]
    fn a_path_that_is_a_secret_is_told_by_words() {
        let request = http::Request::post("https://hooks.example/services/hush").body(Bytes::new()).unwrap();
        let call = Call::new(System::Slack, request, Duration::from_secs(1)).named("post message");
        assert_eq!(call.label(), "Slack post message");
        assert!(!format!("{call:?}").contains("hush"), "{call:?}");
    }
}
