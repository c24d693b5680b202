//! Numbers in header fields, written without asking for memory first.

use http::HeaderValue;

/// As many digits as any number has.
pub(super) const MOST: usize = 20;

/// The digits of a number, at the end of a buffer.
pub(super) fn digits(mut number: u64, buffer: &mut [u8; MOST]) -> &[u8] {
    let mut begin = MOST;
    loop {
        begin -= 1;
        // A digit, so that nothing is lost.
        buffer[begin] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &buffer[begin..];
        }
    }
}

/// A field that is a number.
pub(super) fn value(number: u64) -> HeaderValue {
    let value = HeaderValue::from_bytes(digits(number, &mut [0; MOST]));
    value.expect("a header field can carry digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_anybody_would() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            assert_eq!(value(number), number.to_string());
        }
    }
}
