//! Servers of one connection, each saying what a test tells it to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use guard_http::{Call, System};

/// Starts a server that hands its only connection to `serve`.
pub(crate) fn start(serve: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    address
}

/// Reads a request's head.
pub(crate) fn head(stream: &mut impl Read) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

/// Answers every request alike.
pub(crate) fn answering(answer: &'static [u8]) -> SocketAddr {
    start(move |mut stream| {
        head(&mut stream);
        let _ = stream.write_all(answer);
    })
}

/// A call with a secret in every place that could leak.
pub(crate) fn call(url: &str) -> Call {
    let request = http::Request::get(format!("{url}?token=hush"))
        .header("private-token", "hush")
        .body(Bytes::new())
        .unwrap();
    Call::new(System::Gitlab, request, Duration::from_secs(5))
}
