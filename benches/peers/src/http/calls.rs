//! What a limit for each address adds to a service that does nothing, without sockets.

use super::layers::{gcra, governor, ours, ours_on, too_many_requests};
use crate::{
    clocks::quanta,
    harness::{
        Bound, Floor, Length, Limit, Stat, Table, over,
        service::{Called, Nothing, SLICE, SLICES, added, nanoseconds, seconds},
    },
    memory::one::{self, Time, take},
};
use axum::{body::Body, extract::ConnectInfo};
use axum_gcra::real_ip::RealIp;
use hashbrown::HashMap;
use http::{Request, Response, StatusCode};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::atomic::AtomicU64,
    task::{Context, Waker},
};
use tower::{Layer, Service};
use tower_governor::GovernorLayer;
use tower_ratelimit::http::{
    FieldGeneration::{Draft11, XRateLimit},
    RateLimitFields, TooManyRequests,
};

const BARE: &str = "bare";
const BARE_07: &str = "bare, of axum 0.7";
const OURS: &str = "ours";
const OURS_QUANTA: &str = "ours, governor's clock";
const FLOOR: &str = "floor: one lookup, governor's clock";
const OURS_FIELDS: &str = "ours, fields, governor's clock";
const GOVERNOR: &str = "tower_governor";
const GOVERNOR_HEADERS: &str = "tower_governor, headers";
const OURS_REFUSED: &str = "ours, refused";
const GCRA_REFUSED: &str = "axum_gcra, refused with a response";

pub fn run(length: Length) -> Vec<Bound> {
    let rounds = length.pick(25, 2);
    // The waits of ours have a timer, and a timer needs a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("the system has threads and timers");
    let _entered = runtime.enter();
    let mut rows = rows();
    println!("## http calls\n");
    println!(
        "Nanoseconds of `poll_ready` + `call` + polling the response, a limit for each address, \
         without sockets: {} rows, {rounds} rounds of {SLICES} slices of {SLICE:?} each, {:.0} s in all.\n",
        rows.len(),
        seconds(&rows, rounds),
    );
    let samples = nanoseconds(&mut rows, rounds);
    let added = |name: &str| {
        let bare = if name == GCRA_REFUSED { BARE_07 } else { BARE };
        let [row, bare] = [name, bare].map(|name| &samples[place(&rows, name)]);
        added(row, bare)
    };
    let ratios = |name: &str| over(&added(name), &added(GOVERNOR));
    let mut table = Table::new(["service", "ns a call [p25-p75]", "added", "over tower_governor"]);
    for (row, samples) in rows.iter().zip(&samples) {
        let (added, ratio) = match row.name {
            BARE | BARE_07 => Default::default(),
            name => (Stat::of(&added(name)).show(1), Stat::of(&ratios(name)).show(2)),
        };
        table.row([row.name.into(), Stat::of(samples).show(1), added, ratio]);
    }
    println!("{table}");
    let bound = |row: &str, other: &str, most: f64| {
        let name = format!("http calls: {row} adds, over what {other} adds");
        Bound::new(name, &over(&added(row), &added(other)), 0.0..=most)
    };
    vec![
        bound(OURS_QUANTA, GOVERNOR, 1.0),
        bound(OURS_QUANTA, GOVERNOR, 0.7).with_floor(&ratios(FLOOR)),
        bound(OURS_FIELDS, GOVERNOR_HEADERS, 0.75),
        bound(OURS_REFUSED, GCRA_REFUSED, 0.8),
    ]
}

fn place(rows: &[Called], name: &str) -> usize {
    rows.iter().position(|row| row.name == name).expect("there is this row")
}

fn rows() -> Vec<Called> {
    let fields = || RateLimitFields::always(Draft11);
    let invalid = "no limit has a name, so the fields can carry them";
    let with_fields = ours(Limit::Ample).fields(fields()).expect(invalid);
    let quanta_and_fields = ours_on(quanta(), Limit::Ample).fields(fields()).expect(invalid);
    let trio = ours(Limit::Ample).fields(RateLimitFields::always(XRateLimit)).expect(invalid);
    let told = ours(Limit::Gone).reply(TooManyRequests.problem());
    let told = told.fields(fields().and(XRateLimit)).expect(invalid);
    let is_right = "neither the period nor the burst is zero";
    let bare_governor = |limit| governor(limit).finish().expect(is_right);
    let headers = governor(Limit::Ample).use_headers().finish().expect(is_right);
    vec![
        admitting(BARE, Nothing),
        admitting(OURS, ours(Limit::Ample).layer(Nothing)),
        admitting(OURS_QUANTA, ours_on(quanta(), Limit::Ample).layer(Nothing)),
        admitting(FLOOR, Floor::new(Nothing, one_lookup())),
        admitting("ours, fields", with_fields.layer(Nothing)),
        admitting(OURS_FIELDS, quanta_and_fields.layer(Nothing)),
        admitting("ours, `X-RateLimit-*`", trio.layer(Nothing)),
        admitting(GOVERNOR, GovernorLayer::new(bare_governor(Limit::Ample)).layer(Nothing)),
        admitting(GOVERNOR_HEADERS, GovernorLayer::new(headers).layer(Nothing)),
        Called::new("axum_gcra", gcra(Limit::Ample).build().layer(Nothing), known, StatusCode::OK),
        refusing(OURS_REFUSED, ours(Limit::Gone).layer(Nothing)),
        refusing("ours, refused, all fields and a problem", told.layer(Nothing)),
        refusing(
            "tower_governor, refused",
            GovernorLayer::new(bare_governor(Limit::Gone)).layer(Nothing),
        ),
        Called::failing(
            "axum_gcra, refused with an error",
            used_up(gcra(Limit::Gone).build().layer(Nothing), known),
            known,
        ),
        Called::new(BARE_07, Nothing, known_07, StatusCode::OK),
        Called::new(
            GCRA_REFUSED,
            used_up(gcra(Limit::Gone).handle_error(too_many_requests).layer(Nothing), known_07),
            known_07,
            StatusCode::TOO_MANY_REQUESTS,
        ),
    ]
}

fn admitting<S>(name: &'static str, service: S) -> Called
where
    S: Service<Request<Body>, Response = Response<Body>, Error: fmt::Debug> + 'static,
{
    Called::new(name, service, connected, StatusCode::OK)
}

/// The one permit that there is goes first.
fn refusing<S>(name: &'static str, mut service: S) -> Called
where
    S: Service<Request<Body>, Response = Response<Body>, Error: fmt::Debug> + 'static,
{
    drop(service.call(connected()));
    Called::new(name, service, connected, StatusCode::TOO_MANY_REQUESTS)
}

fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 50_000))
}

/// The same for a service that decides when its response is asked for.
fn used_up<S: Service<Request<B>>, B>(mut service: S, request: fn() -> Request<B>) -> S {
    drop(pin!(service.call(request())).poll(&mut Context::from_waker(Waker::noop())));
    service
}

/// As axum keeps the address of a connection.
fn connected() -> Request<Body> {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(ConnectInfo(address()));
    request
}

/// Finds a slot for every call in a map that nobody else changes, by the address that is in the request.
fn one_lookup() -> impl Fn(&Request<Body>) -> bool {
    let time = one::quanta();
    let words = [(address().ip(), AtomicU64::new(0))];
    let map: HashMap<IpAddr, AtomicU64, ahash::RandomState> = words.into_iter().collect();
    move |request| {
        let peer: Option<&ConnectInfo<SocketAddr>> = request.extensions().get();
        let next = peer.and_then(|ConnectInfo(peer)| map.get(&peer.ip()));
        next.is_some_and(|next| take(next, time.now(), 1_000_000, u64::MAX / 2))
    }
}

/// As axum_gcra keeps it, which cannot see that of this axum.
fn known() -> Request<Body> {
    known_to_gcra(Body::empty())
}

/// The same for axum 0.7, whose handler of errors axum_gcra takes.
fn known_07() -> Request<axum_07::body::Body> {
    known_to_gcra(axum_07::body::Body::empty())
}

fn known_to_gcra<B>(body: B) -> Request<B> {
    let mut request = Request::new(body);
    request.extensions_mut().insert(RealIp(address().ip()));
    request
}
