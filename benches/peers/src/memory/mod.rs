//! What limits in memory cost: one of them, many, a line of waiters.

pub mod keys;
pub mod line;
pub mod one;
pub mod window;

/// Does a part of a group in this process, and prints what it came to.
///
/// # Panics
///
/// When there is no such part.
pub fn do_part(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [one::instructions::PART, words @ ..] => one::instructions::do_part(words),
        [keys::bytes::PART, words @ ..] => print(&[keys::bytes::do_part(words)]),
        [keys::many::PART, words @ ..] => print(&keys::many::do_part(words)),
        [keys::flood::PART, words @ ..] => print(&keys::flood::do_part(words)),
        _ => panic!("there is no part {words:?}"),
    }
}

fn print(figures: &[f64]) {
    for figure in figures {
        println!("{figure}");
    }
}
