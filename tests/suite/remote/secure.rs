//! Redis behind TLS, which is the user's choice.

use super::until;
use crate::servers::{
    folder::Folder,
    redis::{Server, free_port, unique},
};
use redis::{
    Client, ConnectionInfo, RedisConnectionInfo, TlsCertificates, aio::MultiplexedConnection,
};
use std::{fs, path::Path, process::Stdio};
use tokio::{
    io::join,
    process::{Child, Command},
    sync::oneshot,
};
use tower_ratelimit::{OnFailure, Quota, Reason, StoredLimiter, store::RedisStore};

/// A certificate of its own, and a key, in this folder.
const MAKES_CERTIFICATE: &str = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
     -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
     -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out certificate.pem";

fn openssl(arguments: &str, folder: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments.split_whitespace()).current_dir(folder).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// A server that also listens to those who encrypt what they say, and the port where it does.
async fn server(folder: &Folder) -> (Server, u16) {
    let status = openssl(MAKES_CERTIFICATE, &folder.0).status().await;
    assert!(status.expect("openssl is missing: install it").success());
    let file = |name| folder.0.join(name).display().to_string();
    let (key, certificate, port) = (file("key.pem"), file("certificate.pem"), free_port());
    let settings = [
        ["--tls-port", &port.to_string()],
        ["--tls-key-file", &key],
        ["--tls-cert-file", &certificate],
        ["--tls-ca-cert-file", &certificate],
        ["--tls-auth-clients", "no"],
    ];
    (Server::start_private(settings.as_flattened()).await, port)
}

/// A connection that is encrypted by another program, as any of the user's may be.
async fn connect(folder: &Folder, port: u16) -> (Child, MultiplexedConnection) {
    let connects = "s_client -quiet -verify_return_error -CAfile certificate.pem -connect";
    let mut way = openssl(&format!("{connects} 127.0.0.1:{port}"), &folder.0).spawn().unwrap();
    let stream = join(way.stdout.take().unwrap(), way.stdin.take().unwrap());
    let (made, connection) = oneshot::channel();
    tokio::spawn(async move {
        let info = RedisConnectionInfo::default();
        let (connection, drives) = MultiplexedConnection::new(&info, stream).await.unwrap();
        let _ = made.send(connection);
        drives.await;
    });
    (way, connection.await.unwrap())
}

fn two() -> Quota {
    Quota::new(2).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_the_user_may_be_encrypted() {
    let folder = Folder::new();
    let (_server, port) = server(&folder).await;
    let (mut way, connection) = connect(&folder, port).await;
    let store = RedisStore::new(connection).namespace(unique());
    let limiter = StoredLimiter::builder("two", store, two(), OnFailure::Refuse).build().unwrap();
    for _ in 0..2 {
        limiter.key("a").acquire().await.unwrap();
    }
    assert_eq!(limiter.key("a").acquire().await.unwrap_err().reason(), Reason::Exhausted);
    // To make it anew is up to who made it.
    way.kill().await.unwrap();
    until("the connection is lost", async || {
        limiter.key("b").try_acquire().await.is_err_and(|refusal| {
            assert_eq!(refusal.reason(), Reason::Unavailable);
            true
        })
    })
    .await;
}

/// The address of the server there, and whom the client trusts.
fn address(port: u16, root_cert: Option<Vec<u8>>) -> ConnectionInfo {
    let url = format!("rediss://127.0.0.1:{port}/");
    let certificates = TlsCertificates { client_tls: None, root_cert };
    Client::build_with_tls(url, certificates).unwrap().get_connection_info().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_encrypted_where_the_address_says_so() {
    let folder = Folder::new();
    let (mut server, port) = server(&folder).await;
    let certificate = fs::read(folder.0.join("certificate.pem")).unwrap();
    let store = RedisStore::open(address(port, Some(certificate))).await.unwrap();
    let limiter = StoredLimiter::builder("two", store, two(), OnFailure::Refuse).build().unwrap();
    for _ in 0..2 {
        limiter.key("a").acquire().await.unwrap();
    }
    assert_eq!(limiter.key("a").acquire().await.unwrap_err().reason(), Reason::Exhausted);
    // Also those that are made anew.
    server.crash();
    server.restart();
    until("the server is there", async || limiter.key("b").try_acquire().await.is_ok()).await;
    let clients: String = server.ask(&["CLIENT", "LIST"]).await;
    // That which asks here is the only one that is not.
    let not_encrypted = format!("laddr=127.0.0.1:{port} ");
    let not_encrypted = clients.lines().filter(|client| client.contains(&not_encrypted));
    assert_eq!(not_encrypted.count(), 1, "{clients}");
}

#[tokio::test]
async fn what_is_to_be_encrypted_is_never_sent_as_it_is() {
    let folder = Folder::new();
    let (server, port) = server(&folder).await;
    // To somebody whom nobody knows, and to somebody who does not decrypt.
    for address in [address(port, None), address(server.port(), None)] {
        let opened = RedisStore::open(address).await;
        assert!(opened.is_err(), "{opened:?}");
    }
}
