//! Bytes a second: two downloads share one limit.
//!
//! ```text
//! cargo run --example bytes_a_second
//! ```
//!
//! A hundred kilobytes a second, at most ten of them at once: two downloads of 50 kB each, at the
//! same time, take 0.9 s together. They stand in one line and take turns.
#![allow(clippy::print_stdout, reason = "it shows what happens by printing it")]

use std::{error::Error, io};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy, duplex, sink},
    time::Instant,
};
use tower_ratelimit::{LeakyBucket, Rate, RateLimiter, stream::ThrottledRead};

const KILOBYTE: u32 = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = LeakyBucket::new(Rate::per_second(100 * KILOBYTE)?).capacity(10 * KILOBYTE)?;
    let limiter = RateLimiter::new(limit);
    let start = Instant::now();
    let (one, other) = tokio::try_join!(
        download("one", start, ThrottledRead::new(server(50), limiter.clone())),
        download("other", start, ThrottledRead::new(server(50), limiter)),
    )?;
    let seconds = start.elapsed().as_secs_f64();
    println!("{} bytes in {seconds:.2} s", one + other);
    Ok(())
}

/// A connection on which so many kilobytes come as fast as they are read.
fn server(kilobytes: usize) -> impl AsyncRead + Unpin {
    let (near, mut far) = duplex(64 * 1024);
    tokio::spawn(async move {
        for _ in 0..kilobytes {
            far.write_all(&[7; KILOBYTE as usize]).await?;
        }
        io::Result::Ok(())
    });
    near
}

async fn download(
    name: &str,
    start: Instant,
    mut connection: impl AsyncRead + Unpin,
) -> io::Result<u64> {
    let mut bytes = 0;
    loop {
        // Anything that reads will do; this one stops now and then to say how far it is.
        let mut part = (&mut connection).take(10_000);
        let read = copy(&mut part, &mut sink()).await?;
        if read == 0 {
            return Ok(bytes);
        }
        bytes += read;
        println!("{:>4} ms: {name} has {bytes} bytes", start.elapsed().as_millis());
    }
}
