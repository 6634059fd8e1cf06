//! Answers, and every way to have none.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use guard_http::{FailureKind, MAX_ANSWER_BYTES, ReqwestTransport, Transport, TransportError};

use crate::server::{answering, call, head, start};

async fn failure(url: &str) -> TransportError {
    let error = ReqwestTransport::new().send(call(url)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    error
}

#[tokio::test]
async fn an_answer_comes_whole_and_redirects_are_not_followed() {
    let (teller, listener) = mpsc::channel();
    let address = start(move |mut stream| {
        teller.send(head(&mut stream)).unwrap();
        let answer =
            b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nx-next-page: 2\r\ncontent-length: 2\r\n\r\nhi";
        stream.write_all(answer).unwrap();
    });
    let answer = ReqwestTransport::new().send(call(&format!("http://{address}/a"))).await.unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["x-next-page"], "2");
    assert_eq!(answer.body().as_ref(), b"hi");
    let head = listener.recv().unwrap();
    assert!(head.starts_with("GET /a?token=hush HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("user-agent: guard/0"), "{head}");
    assert!(head.contains("accept-encoding: gzip"), "{head}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_time_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut call = call(&format!("http://{}/", listener.local_addr().unwrap()));
    call.timeout = Duration::from_millis(50);
    let error = ReqwestTransport::new().send(call).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Timeout, "{error}");
    assert!(!error.to_string().contains("hush"), "{error}");
}

#[tokio::test]
async fn a_closed_port_is_no_connection() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(failure(&format!("http://{address}/")).await.kind, FailureKind::Connect);
}

#[tokio::test]
async fn a_connection_that_breaks_is_cut_before_and_inside_the_body() {
    let silent = start(|mut stream| drop(head(&mut stream)));
    assert_eq!(failure(&format!("http://{silent}/")).await.kind, FailureKind::Cut);
    let half = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!(failure(&format!("http://{half}/")).await.kind, FailureKind::Cut);
}

#[tokio::test]
async fn broken_gzip_is_an_unreadable_body() {
    let broken = answering(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope");
    assert_eq!(failure(&format!("http://{broken}/")).await.kind, FailureKind::Body);
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let endless = start(|mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        let block = vec![b'x'; 1024 * 1024];
        for _ in 0..=MAX_ANSWER_BYTES / block.len() {
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    });
    assert_eq!(failure(&format!("http://{endless}/")).await.kind, FailureKind::TooLarge);
}

#[tokio::test]
async fn a_scheme_that_is_not_http_is_not_sendable() {
    assert_eq!(failure("ftp://127.0.0.1/").await.kind, FailureKind::Unsendable);
}
