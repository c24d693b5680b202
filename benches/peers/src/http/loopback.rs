//! What a limit for each address costs an axum server, over sockets of the loopback.

use super::{
    client,
    layers::{gcra, governor, ours},
    replay::Replay,
    server::Servers,
};
use crate::harness::{Bound, Length, Limit, Stat, Table, interleave, over};
use axum::{Router, routing::get};
use std::{cell::RefCell, net::SocketAddr, time::Duration};
use tokio::runtime::{self, Runtime};
use tower::Layer;
use tower_governor::GovernorLayer;
use tower_ratelimit::http::{
    FieldGeneration::{Draft11, XRateLimit},
    RateLimitFields, TooManyRequests,
};

const CONNECTIONS: usize = 64;

const BARE: &str = "bare axum 0.8";
const BARE_07: &str = "bare axum 0.7";
const REFUSED: &str = "ours, refused, `Retry-After` alone";
const TOLD: &str = "ours, refused, all fields and a problem";
const REPLAYED: &str = "the same bytes, made beforehand";
const REFUSED_IN_FRONT: &str = "ours in front, refused, `Retry-After` alone";
const TOLD_IN_FRONT: &str = "ours in front, refused, all fields and a problem";
const REPLAYED_IN_FRONT: &str = "the same bytes in front, made beforehand";

struct Row {
    name: &'static str,
    /// The row that it is compared with.
    bare: &'static str,
    server: SocketAddr,
    status: u16,
    /// Microseconds of processor time that a request took the server, by round.
    processor: RefCell<Vec<f64>>,
}

pub fn run(length: Length) -> Vec<Bound> {
    // Many short rounds: what else the machine does hits one of them and not its neighbour.
    let rounds = length.pick(100, 1);
    let span = length.pick(Duration::from_millis(100), Duration::from_millis(20));
    let servers = Servers::start();
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system has sockets and timers");
    let mut rows = rows(&servers);
    for row in rows.iter().filter(|row| row.status != 200) {
        runtime.block_on(client::ask_once(row.server));
    }
    let told = runtime.block_on(client::ask_once(rows[place(&rows, TOLD)].server));
    let replay = Replay::new(&told);
    rows.push(Row::new(REPLAYED_IN_FRONT, 429, servers.serve(replay.layer(app()))));
    rows.push(Row::new(REPLAYED, 429, servers.serve(app().layer(replay))));
    println!("## http loopback\n");
    println!(
        "axum over loopback, {CONNECTIONS} connections that are kept alive, one thread for the \
         server and one for its clients: {} rows, {rounds} rounds of {span:?} each.\n",
        rows.len(),
    );
    interleave(&mut rows, 1, |row| row.load(&runtime, &servers, span));
    rows.iter().for_each(|row| row.processor.borrow_mut().clear());
    let samples = interleave(&mut rows, rounds, |row| row.load(&runtime, &servers, span));
    let ratios = |name: &str| {
        let row = place(&rows, name);
        over(&samples[row], &samples[place(&rows, rows[row].bare)])
    };
    let mut table = Table::new([
        "server",
        "thousand requests a second [p25-p75]",
        "over bare",
        "its processor, us a request",
        "over bare",
    ]);
    for (row, samples) in rows.iter().zip(&samples) {
        let thousands: Vec<f64> = samples.iter().map(|rate| rate / 1000.0).collect();
        let processor = row.processor.borrow();
        let bare = rows[place(&rows, row.bare)].processor.borrow();
        table.row([
            row.name.into(),
            Stat::of(&thousands).show(1),
            Stat::of(&ratios(row.name)).show(3),
            Stat::of(&processor).show(2),
            Stat::of(&over(&processor, &bare)).show(3),
        ]);
    }
    println!("{table}");
    let bound = |name: &str, least: f64| {
        let text = format!("http loopback: requests a second of {name}, over {BARE}");
        Bound::new(text, &ratios(name), least..=f64::INFINITY)
    };
    vec![
        bound(REFUSED_IN_FRONT, 0.97),
        bound(TOLD_IN_FRONT, 0.93).with_floor(&ratios(REPLAYED_IN_FRONT)),
    ]
}

impl Row {
    fn new(name: &'static str, status: u16, server: SocketAddr) -> Self {
        Self { name, bare: BARE, server, status, processor: RefCell::default() }
    }

    fn load(&self, runtime: &Runtime, servers: &Servers, span: Duration) -> f64 {
        runtime.block_on(async {
            let before = servers.processor_time();
            let rate = client::load(self.server, CONNECTIONS, span, self.status).await;
            let spent = servers.processor_time() - before;
            // The connections are made in that time, too, which is the same for all.
            let requests = rate * span.as_secs_f64();
            self.processor.borrow_mut().push(spent.as_secs_f64() * 1e6 / requests);
            rate
        })
    }
}

fn place(rows: &[Row], name: &str) -> usize {
    rows.iter().position(|row| row.name == name).expect("there is this row")
}

fn rows(servers: &Servers) -> Vec<Row> {
    let all = || RateLimitFields::always(Draft11).and(XRateLimit);
    let invalid = "no limit has a name, so the fields can carry them";
    let fields = ours(Limit::Ample).fields(RateLimitFields::always(Draft11)).expect(invalid);
    let told = || {
        let told = ours(Limit::Gone).reply(TooManyRequests.problem());
        told.fields(all()).expect(invalid)
    };
    let is_right = "neither the period nor the burst is zero";
    let governed = |limit| GovernorLayer::new(governor(limit).finish().expect(is_right));
    let headers = governor(Limit::Ample).use_headers().finish().expect(is_right);
    let app_07 = || axum_07::Router::new().route("/", axum_07::routing::get(hello));
    let gcra = |limit| gcra(limit).default_handle_error();
    let row = |name, status, app| Row::new(name, status, servers.serve(app));
    let row_07 = |name, status, app| {
        let row = Row::new(name, status, servers.serve_07(app));
        Row { bare: BARE_07, ..row }
    };
    vec![
        row(BARE, 200, app()),
        row("ours, admitted", 200, app().layer(ours(Limit::Ample))),
        row("ours, admitted, fields", 200, app().layer(fields)),
        row("tower_governor, admitted", 200, app().layer(governed(Limit::Ample))),
        row("tower_governor, admitted, headers", 200, app().layer(GovernorLayer::new(headers))),
        row(REFUSED, 429, app().layer(ours(Limit::Gone))),
        row(TOLD, 429, app().layer(told())),
        Row::new(REFUSED_IN_FRONT, 429, servers.serve(ours(Limit::Gone).layer(app()))),
        Row::new(TOLD_IN_FRONT, 429, servers.serve(told().layer(app()))),
        row("tower_governor, refused", 429, app().layer(governed(Limit::Gone))),
        row_07(BARE_07, 200, app_07()),
        row_07("axum_gcra, admitted", 200, app_07().layer(gcra(Limit::Ample))),
        row_07("axum_gcra, refused", 429, app_07().layer(gcra(Limit::Gone))),
    ]
}

fn app() -> Router {
    Router::new().route("/", get(hello))
}

async fn hello() -> &'static str {
    "hello"
}
