//! Clients that ask again as soon as they were answered.

use memchr::memmem;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"content-length: ";

/// More than any response has.
const LONGEST: usize = 4096;

/// How many responses a second there were.
pub async fn load(server: SocketAddr, connections: usize, span: Duration, status: u16) -> f64 {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut client = Client::connect(server, status).await;
        // Whatever a connection costs is over before the time runs.
        client.ask().await;
        clients.push(client);
    }
    let start = Instant::now();
    let end = start + span;
    let mut running = JoinSet::new();
    for mut client in clients {
        running.spawn(async move {
            let mut responses = 0_u64;
            while Instant::now() < end {
                client.ask().await;
                responses += 1;
            }
            responses
        });
    }
    let responses: u64 = running.join_all().await.into_iter().sum();
    responses as f64 / start.elapsed().as_secs_f64()
}

/// Asks once, and returns the answer, whatever it is.
pub async fn ask_once(server: SocketAddr) -> String {
    let mut stream = TcpStream::connect(server).await.expect("the server listens");
    stream.write_all(REQUEST).await.expect("the server reads");
    let mut answer = [0; LONGEST];
    let read = stream.read(&mut answer).await.expect("the server answers");
    assert_ne!(read, 0, "the server closed the connection");
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// A connection that is kept alive.
struct Client {
    stream: TcpStream,
    buffer: Box<[u8; LONGEST]>,
    status_line: Vec<u8>,
}

impl Client {
    async fn connect(server: SocketAddr, status: u16) -> Self {
        let stream = TcpStream::connect(server).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket of TCP");
        let status_line = format!("HTTP/1.1 {status} ").into_bytes();
        Self { stream, buffer: Box::new([0; LONGEST]), status_line }
    }

    /// Asks, and reads the whole answer.
    async fn ask(&mut self) {
        self.stream.write_all(REQUEST).await.expect("the server reads");
        let mut length = 0;
        while !is_whole(&self.buffer[..length]) {
            let read = self.stream.read(&mut self.buffer[length..]).await;
            let read = read.expect("the server answers");
            assert_ne!(read, 0, "the server closed the connection");
            length += read;
        }
        assert!(
            self.buffer.starts_with(&self.status_line),
            "{:?}",
            self.buffer[..length].escape_ascii().to_string()
        );
    }
}

/// Whether these are a head and as much of a body as it says.
///
/// It is found as fast as can be: clients that took longer to read a longer answer than servers to send
/// it would measure themselves.
fn is_whole(response: &[u8]) -> bool {
    let Some(head) = memmem::find(response, END_OF_HEAD) else {
        return false;
    };
    let length =
        memmem::find(&response[..head], LENGTH).expect("the server knows the length of its body");
    let digits =
        response[length + LENGTH.len()..head].iter().take_while(|byte| byte.is_ascii_digit());
    let body = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    response.len() == head + END_OF_HEAD.len() + body
}
