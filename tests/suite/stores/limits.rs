//! The limits that walks go through.

/// Small numbers, so that boundaries meet, and intervals that have to be rounded.
pub(crate) const LIMITS: [&str; 28] = [
    "leaky bucket 1/7us, capacity 1",
    "leaky bucket 3/10us, capacity 4",
    "leaky bucket 10/s, capacity 5, any window",
    "leaky bucket 1/min, capacity 3",
    "strict 1/9us",
    "strict 3/s",
    "burst compensating 1/10us, max burst 3",
    "burst compensating 2/7us, max burst 1",
    "token bucket 2/13us, capacity 5",
    "token bucket 3/20us, capacity 3, aligned to 7us",
    "token bucket 3/20us, capacity 7, initial 1",
    "token bucket 3/20us, capacity 7, initial 2, aligned to 3us",
    "quota 40",
    "fixed window 4/30us",
    "fixed window 4/30us, aligned to 11us",
    "sliding window 3/20us",
    "sliding window 2/10us and 5/40us and 9/200us",
    "sliding window 3000/s",
    "sliding window counter 5/30us",
    "sliding window counter 1/9us",
    "sliding window counter 3000000000/day",
    "concurrency 4",
    "concurrency 3, lease 50us",
    "concurrency 200, lease 2s",
    "serialized 1/10us",
    "serialized 3/25us",
    "serialized 1/10us, lease 7us",
    "serialized 3/25us, lease 60us",
];

/// Limits that become each other: by their intervals, by their capacities alone, and by both.
pub(crate) const CHANGING: [[&str; 5]; 11] = [
    [
        "leaky bucket 1/7us, capacity 20",
        "leaky bucket 1/7us, capacity 3",
        "leaky bucket 3/10us, capacity 4",
        "leaky bucket 1/90us, capacity 2",
        "leaky bucket 10/s, capacity 5, any window",
    ],
    ["strict 1/9us", "strict 1/40us", "strict 3/100us", "strict 1/us", "strict 1/5us"],
    [
        "burst compensating 1/10us, max burst 3",
        "burst compensating 1/10us, max burst 1",
        "burst compensating 2/7us, max burst 1",
        "burst compensating 1/70us, max burst 4",
        "burst compensating 3/100us, max burst 2",
    ],
    [
        "token bucket 2/13us, capacity 20",
        "token bucket 2/13us, capacity 3",
        "token bucket 1/13us, capacity 3",
        "token bucket 3/20us, capacity 4, aligned to 7us",
        "token bucket 1/90us, capacity 2",
    ],
    [
        "token bucket 3/20us, capacity 17, initial 1",
        "token bucket 3/20us, capacity 7, initial 2",
        "token bucket 1/20us, capacity 7, initial 2",
        "token bucket 6/40us, capacity 7, initial 0, aligned to 3us",
        "token bucket 1/90us, capacity 2, initial 1",
    ],
    [
        "fixed window 9/30us",
        "fixed window 2/30us",
        "fixed window 4/7us",
        "fixed window 4/30us, aligned to 11us",
        "fixed window 1/200us",
    ],
    ["quota 40", "quota 4", "quota 300", "quota 7", "quota 20"],
    [
        "sliding window 9/200us",
        "sliding window 2/200us",
        "sliding window 2/10us and 5/40us and 9/200us",
        "sliding window 3/90us and 5/200us",
        "sliding window 30/200us",
    ],
    [
        "sliding window counter 9/30us",
        "sliding window counter 2/30us",
        "sliding window counter 4/30us",
        "sliding window counter 1/30us",
        "sliding window counter 30/30us",
    ],
    [
        "concurrency 9, lease 50us",
        "concurrency 2, lease 50us",
        "concurrency 4, lease 50us",
        "concurrency 1, lease 50us",
        "concurrency 30, lease 50us",
    ],
    [
        "serialized 3/25us, lease 60us",
        "serialized 1/25us, lease 60us",
        "serialized 9/25us, lease 60us",
        "serialized 2/25us, lease 60us",
        "serialized 4/25us, lease 60us",
    ],
];

/// Limits that become each other in this order, of which a state is kept for less and less long. The other
/// way round what has left the shorter window, or whose shorter lease has ended, may have been forgotten and
/// may have not: that depends on the store, and on what else is asked of it. So it does where windows lie
/// askew to those in which calls were counted, so those of a counter are parts of the ones before.
pub(crate) const SHORTENED: [[&str; 5]; 4] = [
    [
        "sliding window 9/200us",
        "sliding window 2/10us and 5/40us and 7/90us",
        "sliding window 9/90us",
        "sliding window 4/60us",
        "sliding window 3/20us",
    ],
    [
        "sliding window counter 9/240us",
        "sliding window counter 5/120us",
        "sliding window counter 7/60us",
        "sliding window counter 2/20us",
        "sliding window counter 5/10us",
    ],
    [
        "concurrency 4",
        "concurrency 9, lease 200us",
        "concurrency 3, lease 50us",
        "concurrency 4, lease 20us",
        "concurrency 1, lease 7us",
    ],
    [
        "serialized 4/40us",
        "serialized 4/40us, lease 200us",
        "serialized 2/30us, lease 90us",
        "serialized 3/25us, lease 60us",
        "serialized 1/10us, lease 7us",
    ],
];
