//! Servers of our own, on free ports, in folders that go with them.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server that ends when this is dropped.
pub struct Server {
    process: Child,
    folder: PathBuf,
    pub port: u16,
}

impl Server {
    /// Redis without persistence, with this module.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn redis(module: Option<OsString>) -> Self {
        let port = free_port();
        let folder = folder("redis", port);
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--dir"]).arg(&folder);
        if let Some(module) = module {
            command.arg("--loadmodule").arg(module);
        }
        Self::start(command, folder, port)
    }

    fn start(mut command: Command, folder: PathBuf, port: u16) -> Self {
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let server = Self { process, folder, port };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < end, "{command:?} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whatever fails, there is nothing left to do about it.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A folder of its own for a server.
pub fn folder(name: &str, number: u16) -> PathBuf {
    let name = format!("tower-ratelimit-peers-{name}-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written");
    folder
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
