//! A way to a server that is cut where a test wants it to be.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};

/// How long a connection may take to come to where it is cut.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never sees the request.
    BeforeRequest,
    /// The server has answered, and nothing of it arrives.
    BeforeReply,
    /// Half of what it answered arrives.
    InReply,
}

/// Where the server is.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    Port(u16),
    Socket(PathBuf),
    /// Nowhere: whoever comes is turned away.
    Nowhere,
}

/// Listens on a port of its own until it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

struct Shared {
    server: Mutex<Server>,
    /// The next cut, of a request with this in it or the reply to it, and when it has happened.
    next: Mutex<Option<(Cut, &'static [u8])>>,
    happened: Notify,
    /// How often all connections were cut.
    all: watch::Sender<u32>,
    /// How often all connections were held up.
    stalls: watch::Sender<u32>,
    /// How many connections there have been to the server that it leads to now.
    carried: AtomicU32,
}

impl Proxy {
    pub(crate) async fn start(server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (server, next, all) = (Mutex::new(server), Mutex::new(None), watch::Sender::new(0));
        let (happened, carried) = (Notify::new(), AtomicU32::new(0));
        let stalls = watch::Sender::new(0);
        let shared = Arc::new(Shared { server, next, happened, all, stalls, carried });
        let carries = Arc::clone(&shared);
        let listener = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&carries).connect(client));
            }
        });
        Self { port, shared, listener }
    }

    /// Cuts the connection that comes to this point next, and waits until it has.
    pub(crate) async fn cut(&self, cut: Cut) {
        self.cut_at(cut, b"").await;
    }

    /// The same where the request has this in it.
    pub(crate) async fn cut_at(&self, cut: Cut, words: &'static [u8]) {
        let happened = self.shared.happened.notified();
        *self.shared.next.lock().unwrap() = Some((cut, words));
        timeout(PATIENCE, happened).await.expect("a connection comes to this point");
    }

    /// How many connections there have been to the server that it leads to now.
    pub(crate) fn carried(&self) -> u32 {
        self.shared.carried.load(SeqCst)
    }

    /// Carries nothing any more on the connections there are, until they are cut. Later ones are as ever.
    pub(crate) fn stall(&self) {
        self.shared.stalls.send_modify(|stalls| *stalls += 1);
    }

    /// Leads to another server from now on: all connections are cut.
    pub(crate) fn lead_to(&self, server: Server) {
        self.lead_next_to(server);
        self.shared.all.send_modify(|cuts| *cuts += 1);
    }

    /// Leads new connections to another server from now on, as a name that stands for another address does.
    pub(crate) fn lead_next_to(&self, server: Server) {
        *self.shared.server.lock().unwrap() = server;
        self.shared.carried.store(0, SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.shared.all.send_modify(|cuts| *cuts += 1);
    }
}

impl Shared {
    async fn connect(self: Arc<Self>, client: TcpStream) {
        // What is left unread makes it a reset, and this does in any case.
        client.set_zero_linger().unwrap();
        let server = self.server.lock().unwrap().clone();
        match server {
            Server::Nowhere => {}
            Server::Port(port) => {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                    self.carry(client, server).await;
                }
            }
            Server::Socket(path) => {
                if let Ok(server) = UnixStream::connect(path).await {
                    self.carry(client, server).await;
                }
            }
        }
    }

    async fn carry(&self, client: TcpStream, server: impl AsyncRead + AsyncWrite) {
        let (mut from_client, mut to_client) = split(client);
        let (mut from_server, mut to_server) = split(server);
        let (mut request, mut reply) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let (mut all, mut stalls) = (self.all.subscribe(), self.stalls.subscribe());
        self.carried.fetch_add(1, SeqCst);
        // What the server was asked last.
        let mut asked = Vec::new();
        loop {
            let carried = tokio::select! {
                _ = all.changed() => return,
                _ = stalls.changed() => {
                    let _ = all.changed().await;
                    return;
                }
                read = from_client.read(&mut request) => match read {
                    Ok(length @ 1..) if !self.is_next(Cut::BeforeRequest, &request[..length]) => {
                        asked = request[..length].to_vec();
                        to_server.write_all(&request[..length]).await
                    }
                    _ => return,
                },
                read = from_server.read(&mut reply) => match read {
                    Ok(1..) if self.is_next(Cut::BeforeReply, &asked) => return,
                    Ok(length @ 1..) if self.is_next(Cut::InReply, &asked) => {
                        let _ = to_client.write_all(&reply[..length / 2]).await;
                        return;
                    }
                    Ok(length @ 1..) => to_client.write_all(&reply[..length]).await,
                    _ => return,
                },
            };
            if carried.is_err() {
                return;
            }
        }
    }

    /// Whether this is where to cut.
    fn is_next(&self, cut: Cut, asked: &[u8]) -> bool {
        let is_here = |(next, words): &mut (Cut, &[u8])| {
            *next == cut
                && (words.is_empty() || asked.windows(words.len()).any(|part| part == *words))
        };
        let is_next = self.next.lock().unwrap().take_if(is_here).is_some();
        if is_next {
            self.happened.notify_waiters();
        }
        is_next
    }
}
