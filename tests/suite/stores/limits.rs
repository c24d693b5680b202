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
pub(crate) const CHANGING: [[&str; 5]; 7] = [
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
];
