//! Numbers in header fields, written without asking for memory where that can be.

use http::HeaderValue;

/// As many digits as any number has, written in threes.
pub(super) const MOST: usize = 21;

/// Each number below a thousand in three digits, one after the other.
const SMALL: &str = match std::str::from_utf8(&TRIPLES) {
    Ok(digits) => digits,
    Err(_) => "",
};

const TRIPLES: [u8; 3000] = {
    let mut triples = [b'0'; 3000];
    let mut number = 0;
    while number < 1000 {
        // Digits, so that nothing is lost.
        triples[3 * number] += (number / 100) as u8;
        triples[3 * number + 1] += (number / 10 % 10) as u8;
        triples[3 * number + 2] += (number % 10) as u8;
        number += 1;
    }
    triples
};

/// The digits of a number, at the end of a buffer.
pub(super) fn digits(number: u64, buffer: &mut [u8; MOST]) -> &[u8] {
    let begin = write_before(MOST, number, buffer);
    &buffer[begin..]
}

/// Writes the digits of a number into a buffer so that they end before `end`, and returns where
/// they begin. Up to two zeros may come before that.
///
/// # Panics
///
/// When there is no room for them.
pub(super) fn write_before(end: usize, mut number: u64, buffer: &mut [u8]) -> usize {
    let mut end = end;
    loop {
        let three = small(number % 1000, 3);
        buffer[end - 3..end].copy_from_slice(three.as_bytes());
        if number < 1000 {
            return end - length(number);
        }
        end -= 3;
        number /= 1000;
    }
}

/// The last so many digits of a number below a thousand.
fn small(number: u64, length: usize) -> &'static str {
    // It is less than a thousand.
    let end = 3 * number as usize + 3;
    &SMALL[end - length..end]
}

/// How many digits a number below a thousand has.
fn length(number: u64) -> usize {
    match number {
        0..10 => 1,
        10..100 => 2,
        _ => 3,
    }
}

/// A field that is a number. Below a thousand, which waits mostly are, it asks for no memory.
pub(super) fn value(number: u64) -> HeaderValue {
    if number < 1000 {
        return HeaderValue::from_static(small(number, length(number)));
    }
    let value = HeaderValue::from_bytes(digits(number, &mut [0; MOST]));
    value.expect("a header field can carry digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_anybody_would() {
        for number in (0..2000).chain([12_345, u64::from(u32::MAX), u64::MAX - 1, u64::MAX]) {
            assert_eq!(value(number), number.to_string());
            assert_eq!(digits(number, &mut [0; MOST]), number.to_string().as_bytes());
        }
    }
}
