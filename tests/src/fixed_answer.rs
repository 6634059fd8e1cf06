//! A service on a loopback socket that answers everything the same.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// The service, and what it was asked.
pub struct FixedAnswer {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// One request: its header `x-amz-target`, and its path.
type Asked = (String, String);

impl FixedAnswer {
    /// Answers every request with this document and status 200.
    pub async fn serve(answer: Value) -> io::Result<Self> {
        Self::always(StatusCode::OK, answer).await
    }

    /// Refuses every request with this status and document.
    pub async fn refuse(status: u16, answer: Value) -> io::Result<Self> {
        let status = StatusCode::from_u16(status).map_err(io::Error::other)?;
        Self::always(status, answer).await
    }

    async fn always(status: StatusCode, answer: Value) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut response = Response::new(Full::from(answer.to_string()));
        *response.status_mut() = status;
        tokio::spawn(accept(listener, response, Arc::clone(&asked)));
        Ok(Self { url, asked })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The header `x-amz-target` of each request.
    pub fn asked(&self) -> Vec<String> {
        self.requests().into_iter().map(|(target, _)| target).collect()
    }

    /// The path of each request.
    pub fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|(_, path)| path).collect()
    }

    fn requests(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: TcpListener, answer: Response<Full<Bytes>>, asked: Arc<Mutex<Vec<Asked>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (answer, asked) = (answer.clone(), Arc::clone(&asked));
        let service = service_fn(move |request: Request<Incoming>| {
            let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
            let seen = (target.unwrap_or_default().to_owned(), request.uri().path().to_owned());
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
            let answer = answer.clone();
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(async move {
            // A connection that ends early belongs to a process that was ended.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
