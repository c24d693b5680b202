//! Numbers in header fields, written without asking for memory where that can be.

use http::HeaderValue;

/// As many digits as any number has, written in fours.
pub(super) const MOST: usize = 20;

/// From here on a number has more digits than stand together.
const SMALL_END: u64 = 10_000;

/// Each number below ten thousand in four digits, one after the other: 40 kB, of which a server reads
/// what its waits need.
const SMALL: &str = match std::str::from_utf8(&FOURS) {
    Ok(digits) => digits,
    Err(_) => "",
};

static FOURS: [u8; 40_000] = {
    let mut fours = [b'0'; 40_000];
    let mut number = 0;
    while number < 10_000 {
        // Digits, so that nothing is lost.
        fours[4 * number] += (number / 1000) as u8;
        fours[4 * number + 1] += (number / 100 % 10) as u8;
        fours[4 * number + 2] += (number / 10 % 10) as u8;
        fours[4 * number + 3] += (number % 10) as u8;
        number += 1;
    }
    fours
};

/// The digits of a number, at the end of a buffer.
pub(super) fn digits(number: u64, buffer: &mut [u8; MOST]) -> &[u8] {
    let begin = write_before(MOST, number, buffer);
    &buffer[begin..]
}

/// Writes the digits of a number into a buffer so that they end before `end`, and returns where
/// they begin. Up to three zeros may come before that.
///
/// # Panics
///
/// When there is no room for them.
pub(super) fn write_before(end: usize, mut number: u64, buffer: &mut [u8]) -> usize {
    let mut end = end;
    loop {
        let four = small(number % SMALL_END, 4);
        buffer[end - 4..end].copy_from_slice(four.as_bytes());
        if number < SMALL_END {
            return end - length(number);
        }
        end -= 4;
        number /= SMALL_END;
    }
}

/// The last so many digits of a number below ten thousand.
fn small(number: u64, length: usize) -> &'static str {
    // It is less than ten thousand.
    let end = 4 * number as usize + 4;
    &SMALL[end - length..end]
}

/// How many digits a number below ten thousand has.
fn length(number: u64) -> usize {
    match number {
        0..10 => 1,
        10..100 => 2,
        100..1000 => 3,
        _ => 4,
    }
}

/// A field that is a number. Below ten thousand, which waits of up to some hours are, it asks for no memory.
pub(super) fn value(number: u64) -> HeaderValue {
    if number < SMALL_END {
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
        for number in (0..20_000).chain([
            99_999_999,
            100_000_000,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ]) {
            assert_eq!(value(number), number.to_string());
            assert_eq!(digits(number, &mut [0; MOST]), number.to_string().as_bytes());
        }
    }
}
