//! What reqwest's requests and responses say, however its client is wrapped.

use super::{Host, Replay, ResponseHead};
use crate::{
    per_key::{KeySource, MissingKey},
    reply::Fail,
};
use ::reqwest::{Request, Response};
use http::{Extensions, HeaderMap, Method, StatusCode};

impl KeySource<Request> for Host {
    type Key = (String, Option<u16>);
    type Reply = Fail;

    fn key(&self, request: &Request) -> Result<Self::Key, MissingKey> {
        let url = request.url();
        let host = url.host_str().ok_or(MissingKey::new("give the request a URL with a host"))?;
        Ok((host.to_ascii_lowercase(), url.port_or_known_default()))
    }

    fn reply(&self) -> Fail {
        Fail
    }
}

impl ResponseHead for Response {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }
}

impl Replay for Request {
    fn method(&self) -> &Method {
        self.method()
    }

    fn replay(&self) -> Option<Self> {
        self.try_clone()
    }
}
