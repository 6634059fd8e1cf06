//! Lambda's Runtime API on a loopback socket, and a function's process in front of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// Longest wait for a process to answer. It answers within milliseconds; a loaded machine gets time.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a function sent back for one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `response` or `error`: the last segment of the path.
    pub kind: String,
    /// The invocation it is for: `request-1`, `request-2`, ...
    pub request_id: String,
    /// The body.
    pub body: Value,
}

/// A Lambda function that runs as a process.
pub struct Invoked {
    child: Child,
    replies: UnboundedReceiver<Reply>,
}

struct Api {
    payloads: Mutex<VecDeque<(usize, Value)>>,
    replies: UnboundedSender<Reply>,
}

/// Starts the program as Lambda would, with these variables, and invokes it with one payload after the other.
pub async fn invoke(
    program: &Path,
    variables: &[(&str, &str)],
    payloads: impl IntoIterator<Item = Value>,
) -> io::Result<Invoked> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (sender, replies) = mpsc::unbounded_channel();
    let numbered = payloads.into_iter().enumerate().map(|(index, payload)| (index + 1, payload));
    let api = Arc::new(Api { payloads: Mutex::new(numbered.collect()), replies: sender });
    tokio::spawn(serve(listener, api));
    let child = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "guard-under-test")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_REGION", "eu-west-1")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    Ok(Invoked { child, replies })
}

impl Invoked {
    /// The next reply. An error when the process is silent for too long.
    pub async fn reply(&mut self) -> io::Result<Reply> {
        match tokio::time::timeout(PATIENCE, self.replies.recv()).await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(io::Error::other("the Runtime API is gone")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no reply from the function")),
        }
    }

    /// Ends the process and gives its log: what it wrote to standard output, one JSON object a line, without metrics.
    pub async fn lines(self) -> io::Result<Vec<Value>> {
        Ok(self.lines_and_metrics().await?.0)
    }

    /// The same, and the lines of metrics.
    pub async fn lines_and_metrics(mut self) -> io::Result<(Vec<Value>, Vec<Value>)> {
        self.child.kill().await?;
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut text).await?;
        }
        let all: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).map_err(io::Error::from))
            .collect::<Result<_, _>>()?;
        Ok(all.into_iter().partition(|line| line.get("_aws").is_none()))
    }
}

async fn serve(listener: TcpListener, api: Arc<Api>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(talk(stream, Arc::clone(&api)));
    }
}

async fn talk(stream: TcpStream, api: Arc<Api>) {
    let service = service_fn(move |request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, Infallible>(api.answer(request).await) }
    });
    // A connection that ends early belongs to a process that was ended.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Api {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let Some(rest) = path.strip_prefix("/2018-06-01/runtime/invocation/") else {
            return status(StatusCode::NOT_FOUND);
        };
        if request.method() == Method::GET && rest == "next" {
            return self.next().await;
        }
        let Some((request_id, kind)) = rest.split_once('/') else { return status(StatusCode::NOT_FOUND) };
        let (request_id, kind) = (request_id.to_owned(), kind.to_owned());
        let Ok(body) = request.into_body().collect().await else { return status(StatusCode::BAD_REQUEST) };
        let Ok(body) = serde_json::from_slice(&body.to_bytes()) else {
            return status(StatusCode::BAD_REQUEST);
        };
        // Nobody listens any more when the test is over.
        let _ = self.replies.send(Reply { kind, request_id, body });
        status(StatusCode::ACCEPTED)
    }

    /// The next payload; without one the poll stays open, as Lambda keeps it.
    async fn next(&self) -> Response<Full<Bytes>> {
        let next = self.payloads.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((number, payload)) = next else { return std::future::pending().await };
        let answer = Response::builder()
            .header("lambda-runtime-aws-request-id", format!("request-{number}"))
            .header("lambda-runtime-deadline-ms", "4102444800000")
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-west-1:1:function:guard-under-test",
            )
            .body(Full::from(payload.to_string()));
        answer.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = code;
    answer
}
