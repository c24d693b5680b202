//! A server that answers as it was told to.

use http::{Request, Response};
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex},
};
use tokio::time::Instant;
use tower::{Service, service_fn};

/// What a server answers, one after the other, and 200 when it has come to the end; and when it was
/// asked.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Played>>);

#[derive(Default)]
struct Played {
    answers: VecDeque<Response<()>>,
    asked: Vec<Instant>,
}

impl Script {
    pub(crate) fn of(answers: &[(u16, &str)]) -> Self {
        let answers = answers.iter().map(|(status, lines)| {
            let mut response = Response::builder().status(*status);
            for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
                response = response.header(name, value);
            }
            response.body(()).unwrap()
        });
        Self(Arc::new(Mutex::new(Played { answers: answers.collect(), asked: Vec::new() })))
    }

    pub(crate) fn client(
        &self,
    ) -> impl Service<
        Request<()>,
        Response = Response<()>,
        Error = std::io::Error,
        Future: Future + Send,
    > + Clone
    + Send
    + use<> {
        let script = self.clone();
        service_fn(move |_: Request<()>| {
            let mut script = script.0.lock().unwrap();
            script.asked.push(Instant::now());
            let answer = script.answers.pop_front().unwrap_or_default();
            async move { Ok(answer) }
        })
    }

    /// How often it was asked.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().asked.len()
    }

    /// When it was asked, in milliseconds after `start`.
    pub(crate) fn asked(&self, start: Instant) -> Vec<u128> {
        self.0.lock().unwrap().asked.iter().map(|at| (*at - start).as_millis()).collect()
    }
}

pub(crate) fn get(host: &str) -> Request<()> {
    Request::get(format!("http://{host}/")).body(()).unwrap()
}
