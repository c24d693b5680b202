//! The same where the system cannot be told how long what was sent may go without an answer.

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use std::time::Duration;

/// How long nothing is said before it is looked whether anybody is there.
const LONGEST: Duration = Duration::from_secs(5);

/// These settings, by which a connection on which nothing is said is also lost when nobody is there, unless they
/// say something about that themselves.
pub(super) fn bounded(settings: TcpSettings) -> TcpSettings {
    let looks = settings.keepalive().cloned();
    settings.set_keepalive(looks.unwrap_or(TcpKeepalive::new().with_time(LONGEST)))
}
