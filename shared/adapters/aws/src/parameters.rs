//! Parameter Store of Systems Manager: the configuration document.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use guard_http::{System, Transport};
use guard_tasks::{Clock, TaskError};
use serde_json::{Value, json};

use crate::signed::{Ask, SignedService};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The parameters of GUARD's own account. Nothing is kept here.
pub struct Parameters {
    service: SignedService,
}

impl Parameters {
    /// `endpoint` is a base URL, when the service is not where AWS has it.
    pub fn new(
        transport: Arc<dyn Transport>,
        credentials: SharedCredentialsProvider,
        clock: Arc<dyn Clock>,
        region: &str,
        endpoint: Option<&String>,
    ) -> Self {
        let service = SignedService {
            system: System::Ssm,
            name: "ssm",
            transport,
            credentials,
            clock,
            region: region.to_owned(),
            endpoint: endpoint.cloned(),
        };
        Self { service }
    }

    /// The newest value of a parameter, decrypted. No error shows it.
    pub async fn read(&self, name: &str) -> Result<String, TaskError> {
        let label = format!("SSM GetParameter {name}");
        let ask = Ask {
            path: "/",
            headers: &[
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", "AmazonSSM.GetParameter"),
            ],
            body: &json!({"Name": name, "WithDecryption": true}),
            timeout: TIMEOUT,
        };
        let answer = self.service.post(&label, ask).await?;
        serde_json::from_slice::<Value>(answer.body())
            .ok()
            .and_then(|document| Some(document.pointer("/Parameter/Value")?.as_str()?.to_owned()))
            .ok_or_else(|| TaskError::internal("the answer holds no value").context(label))
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters").finish_non_exhaustive()
    }
}
