//! What the figures were measured on.

use std::{fs, process::Command, thread};

/// The versions that cargo chose.
const LOCK: &str = include_str!("../Cargo.lock");

const PEERS: [&str; 14] = [
    "async-rate-limiter",
    "axum_gcra",
    "gcra",
    "governor",
    "leaky-bucket",
    "limitador",
    "pacekeeper",
    "quanta",
    "ratelimit",
    "tokio",
    "tokio-rate-limit",
    "tower",
    "tower_governor",
    "trypema",
];

pub fn print() {
    let cores = thread::available_parallelism().map_or(0, |cores| cores.get());
    let compiler = compiler().unwrap_or("an unknown compiler".into());
    let peers = PEERS.map(|peer| format!("{peer} {}", version(peer).unwrap_or("?")));
    println!("{cores} cores, {}, {compiler}.", processor());
    println!("{}.\n", peers.join(", "));
}

fn processor() -> String {
    let known = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = known.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':'));
    model.map_or("an unknown processor".into(), |(_, name)| name.trim().into())
}

fn compiler() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    Some(version.trim().into())
}

fn version(package: &str) -> Option<&'static str> {
    let named = format!("name = \"{package}\"\nversion = \"");
    // Of several versions the newest is the last, and the one that is measured.
    let (_, after) = LOCK.rsplit_once(&named)?;
    after.split_once('"').map(|(version, _)| version)
}
