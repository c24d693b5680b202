//! For how long a server may say nothing before its connection counts as lost.

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use std::time::Duration;

/// Longer than a network takes to find another way, and shorter than anybody takes to find out.
const LONGEST: Duration = Duration::from_secs(5);

/// These settings, by which a connection is also lost when the other side has confirmed nothing for a
/// while, whether something was sent or not: a server without power does not say that it is gone, and
/// by itself the system would go on for a quarter of an hour. What they say of that themselves they go on to say.
pub(super) fn bounded(settings: TcpSettings) -> TcpSettings {
    let looks = TcpKeepalive::new().with_time(LONGEST).with_interval(LONGEST);
    let looks = settings.keepalive().cloned().unwrap_or(looks);
    let longest = settings.user_timeout().unwrap_or(LONGEST);
    settings.set_keepalive(looks).set_user_timeout(longest)
}
