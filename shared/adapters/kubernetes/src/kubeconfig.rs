//! A cluster that a person has a kubeconfig for. kube reads it and makes the connection, as its users know it: client
//! certificates, tokens and their files, exec plug-ins such as `aws eks get-token`, a proxy, another name in the certificate.
//!
//! For a person's machine, never for a function: it reads files and the environment, and starts what a kubeconfig names.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use guard_domain::checks::Source;
use guard_domain::{ClusterFacts, Unread};
use guard_http::clip;
use guard_tasks::{Context as _, ErrorName, Extent, TaskError};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use kube::Client;
use kube::client::{AuthError, Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde::Deserialize;
use tower::BoxError;

use crate::error::Refusal;
use crate::{error, list, look};

/// For the connection, and for each answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);

/// For an exec plug-in: it may ask a person to log in.
const PLUG_IN: Duration = Duration::from_mins(2);

/// A cluster behind a kubeconfig, which is only read.
pub struct OneCluster {
    client: Client,
    context: String,
    server: String,
}

/// Where the kubeconfig is, and which of its contexts is meant.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Its file; without one, what `KUBECONFIG` names, or `~/.kube/config`.
    pub file: Option<PathBuf>,
    /// The context; without one, the file's current one.
    pub context: Option<String>,
}

impl OneCluster {
    /// Reads the kubeconfig and runs its exec plug-in, if there is one. Nobody is asked yet.
    pub async fn open(place: &Place) -> Result<Self, TaskError> {
        let kubeconfig = read(place).context("read the kubeconfig")?;
        let context =
            place.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
        let options = KubeConfigOptions { context: place.context.clone(), ..KubeConfigOptions::default() };
        let doing = format!("open context {context}");
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| refused(&error))
            .context(doing.clone())?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        config.write_timeout = Some(ANSWER);
        // What a server answers is told, not hidden behind waits.
        config.default_retry = false;
        let server = config.cluster_url.to_string();
        let plug_in = config.auth_info.exec.as_ref().and_then(|exec| exec.command.clone());
        let inner =
            connect(config).await.map_err(|error| broken(&error, plug_in.as_deref())).context(doing)?;
        let service = tower::service_fn(move |request| pass(inner.clone(), plug_in.clone(), request));
        Ok(Self { client: Client::new(service, "default"), context, server })
    }

    /// The context that was meant.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Everything that a pre-check reads of a cluster, each part within its time. `tell` hears of every part when it is
    /// read, with all that is known so far.
    pub async fn facts(
        &self,
        within: Duration,
        tell: &(dyn Fn(&ClusterFacts, &[Source]) + Send + Sync),
    ) -> ClusterFacts {
        let not_asked = Unread::for_good("EKS is not asked: there is only a kubeconfig");
        let mut known = ClusterFacts::unread(&not_asked);
        known.kubernetes_version = version(&self.client).await.map_err(Unread::from);
        tell(&known, &[Source::KubernetesVersion]);
        Box::pin(look::look(&self.client, known, Extent::Whole, within, false, tell)).await
    }
}

fn read(place: &Place) -> Result<Kubeconfig, TaskError> {
    let read = match &place.file {
        Some(file) => Kubeconfig::read_from(file),
        None => match Kubeconfig::from_env() {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Kubeconfig::read(),
            Err(error) => Err(error),
        },
    };
    read.map_err(|error| refused(&error))
}

/// In a thread of its own: kube waits there for the exec plug-in, which may never end.
async fn connect(config: kube::Config) -> Result<Client, kube::Error> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        let _inside = runtime.enter();
        // Whoever waited may have given up.
        let _ = send.send(ClientBuilder::try_from(config).map(ClientBuilder::build));
    });
    match tokio::time::timeout(PLUG_IN, receive).await {
        Ok(Ok(client)) => client,
        Ok(Err(_)) => Err(kube::Error::Service("the connection could not be made".into())),
        Err(_) => Err(kube::Error::Service(format!("it had not ended after {} s", PLUG_IN.as_secs()).into())),
    }
}

/// One request through kube's own client, refused in our words.
async fn pass(
    inner: Client,
    plug_in: Option<String>,
    request: Request<Body>,
) -> Result<Response<Full<bytes::Bytes>>, BoxError> {
    let label = format!("Kubernetes {} {}", request.method(), request.uri().path());
    let unanswered = |error: &(dyn Error + 'static)| {
        Refusal::unanswered_because(broken(error, plug_in.as_deref()).context(label.clone()))
    };
    let answer = inner.send(request).await.map_err(|error| unanswered(&error))?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| unanswered(&error))?.to_bytes();
    let answer = Response::from_parts(parts, body);
    if answer.status().is_success() {
        Ok(answer.map(Full::new))
    } else {
        Err(Refusal::of_answer(&answer, &label).into())
    }
}

#[derive(Deserialize)]
struct Version {
    major: String,
    minor: String,
}

/// The minor line, for example `1.33`. Managed servers write a `+` behind it.
async fn version(client: &Client) -> Result<String, TaskError> {
    let doing = "read the server's version";
    let request =
        Request::get("/version").body(Vec::new()).map_err(|error| TaskError::internal(error.to_string()))?;
    let found = error::named(list::get(client, request).await, doing)?;
    let found: Version =
        serde_json::from_slice(&found).map_err(|cause| error::unreadable(&cause).context(doing))?;
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    Ok(format!("{}.{}", digits(&found.major), digits(&found.minor)))
}

/// A kubeconfig that cannot be used. Only the first line: what follows may show the file, and that has secrets in it.
fn refused(error: &KubeconfigError) -> TaskError {
    let words = error.to_string();
    let first = words.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    TaskError::rejected(clip(first))
}

/// No answer, and why. kube's own words for a plug-in that failed hold all it wrote, its token too, and its environment.
fn broken(error: &(dyn Error + 'static), plug_in: Option<&str>) -> TaskError {
    let causes: Vec<&(dyn Error + 'static)> =
        std::iter::successors(Some(error), |cause| below(*cause)).collect();
    let told = causes.iter().find_map(|cause| match cause.downcast_ref::<AuthError>() {
        Some(found) => Some(plug_in_failed(found, plug_in)),
        None => match cause.downcast_ref::<kube::Error>() {
            Some(kube::Error::Auth(found)) => Some(plug_in_failed(found, plug_in)),
            Some(
                kube::Error::ProxyProtocolUnsupported { .. } | kube::Error::ProxyProtocolDisabled { .. },
            ) => Some(TaskError::rejected("its proxy-url is neither http, https nor socks5")),
            _ => None,
        },
    });
    told.unwrap_or_else(|| {
        let innermost = causes.last().map(ToString::to_string).unwrap_or_default();
        TaskError::new(ErrorName::Transient, clip(&innermost))
    })
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    error.source()
}

fn plug_in_failed(error: &AuthError, plug_in: Option<&str>) -> TaskError {
    let name = plug_in.unwrap_or("the user's credentials");
    let why = match error {
        AuthError::AuthExecRun { out, .. } => {
            let said = clip(&String::from_utf8_lossy(&out.stderr));
            if said.is_empty() {
                format!("ended with {}", out.status)
            } else {
                format!("ended with {}: {said}", out.status)
            }
        }
        AuthError::AuthExecStart(cause) => format!("cannot be started: {cause}"),
        AuthError::AuthExecParse(_) => "wrote no ExecCredential".to_owned(),
        AuthError::ReadTokenFile(cause, path) => format!("token file {}: {cause}", path.display()),
        _ => "cannot be used".to_owned(),
    };
    TaskError::new(ErrorName::Denied, format!("{name}: {why}"))
}

impl fmt::Debug for OneCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneCluster")
            .field("context", &self.context)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a plug-in prints and what it was started with is nobody's business.
    #[test]
    fn a_plug_in_that_fails_keeps_its_secrets() {
        use std::os::unix::process::ExitStatusExt as _;
        let out = std::process::Output {
            status: std::process::ExitStatus::from_raw(256),
            stdout: b"hush-token".to_vec(),
            stderr: b"Unable to locate credentials".to_vec(),
        };
        let error =
            AuthError::AuthExecRun { cmd: "AWS_SECRET_ACCESS_KEY=hush-key aws".into(), out: Box::new(out) };
        let told = broken(&kube::Error::Auth(error), Some("aws"));
        assert_eq!(told.name, ErrorName::Denied);
        assert_eq!(told.chain(), "aws: ended with exit status: 1: Unable to locate credentials");
    }

    #[test]
    fn a_kubeconfig_that_does_not_parse_is_not_shown() {
        let error = Kubeconfig::from_yaml("users: [{name: a, user: {token: hush-token}}]\nclusters: 5\n")
            .unwrap_err();
        let told = refused(&error);
        assert_eq!(told.name, ErrorName::Rejected);
        assert!(!told.chain().contains("hush"), "{told}");
    }
}
