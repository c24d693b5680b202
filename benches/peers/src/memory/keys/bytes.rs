pub const PART: &str = "bytes";
pub fn do_part(_: &[&str]) -> f64 {
    0.0
}
