//! Who is asking.

use http::{HeaderName, HeaderValue, Request};
use tower_ratelimit::{
    KeySource, OrShared,
    http::{Header, Host},
};

fn with_headers(headers: &[(&'static str, &[u8])]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().append(HeaderName::from_static(name), value);
    }
    request
}

#[test]
fn a_header_is_its_first_line_whatever_bytes_it_has() {
    let source = Header::new(HeaderName::from_static("x-api-key"));
    let one = with_headers(&[("x-api-key", b"alice"), ("x-api-key", b"bob")]);
    assert_eq!(source.key(&one), Ok(HeaderValue::from_static("alice")));
    let bytes = with_headers(&[("x-api-key", b"\xff\xfe")]);
    assert_eq!(source.key(&bytes), Ok(HeaderValue::from_bytes(b"\xff\xfe").unwrap()));
}

#[test]
fn requests_without_the_header_can_have_one_key_and_it_is_not_the_empty_header() {
    let source = OrShared(Header::new(HeaderName::from_static("x-api-key")));
    let none = source.key(&with_headers(&[("x-other", b"alice")]));
    assert_eq!(none, Ok(None));
    assert_ne!(source.key(&with_headers(&[("x-api-key", b"")])), none);
}

#[test]
fn a_host_is_a_name_in_any_case_and_the_port_of_the_scheme() {
    let key = |uri: &str| Host.key(&Request::get(uri).body(()).unwrap());
    assert_eq!(key("http://Example.com/a"), key("http://example.com:80/b"));
    assert_ne!(key("http://example.com/"), key("https://example.com/"));
    assert_ne!(key("http://example.com/"), key("http://example.org/"));
    assert!(key("/path").is_err());
}
