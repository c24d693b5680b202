//! Whatever is in a key or in a name is stored as it is.

use super::{Folder, connect, count, limit, remaining, take};
use tower_ratelimit::{Key, LeakyBucket, Rate, store::StoreKey};

fn three() -> LeakyBucket {
    LeakyBucket::new(Rate::per_day(1).unwrap()).capacity(3).unwrap()
}

#[test]
fn r29_hostile_keys_are_keys_like_any_other() {
    let folder = Folder::new();
    let (store, three) = (folder.open(), limit("three", three()));
    let long = "x".repeat(10_000);
    let longer = format!("{long}y");
    let keys: [&dyn Key; 14] = [
        &"",
        &(),
        &"a'b",
        &"a\"b",
        &"x'); DROP TABLE rate_limits; --",
        &"line\nline\r\n",
        &"\0",
        &"a\0b",
        &"a\0c",
        &long,
        &longer,
        &&[0xff_u8, 0xfe][..],
        &&[0xff_u8, 0xfe, 0][..],
        &"\u{1F980}%_",
    ];
    for key in &keys {
        let key = Written(StoreKey::new(*key));
        assert_eq!(take(&store, &three, &key, 2).ok(), Some(true));
    }
    drop(store);
    let store = folder.open();
    for key in &keys {
        let key = Written(StoreKey::new(*key));
        assert_eq!(remaining(&store, &three, &key).ok(), Some(1));
        assert_eq!(take(&store, &three, &key, 2).ok(), Some(false));
    }
    let kept = connect(&folder.file());
    assert_eq!(count(&kept, "rate_limits"), keys.len() as u32);
}

/// The bytes of a key of any type.
struct Written(StoreKey);

impl Key for Written {
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        out(self.0.bytes());
    }
}

#[test]
fn hostile_names_of_limits_are_names_like_any_other() {
    let folder = Folder::new();
    let store = folder.open();
    let long = "n".repeat(10_000);
    let names = ["", "\0", "\0\0", "a'b", "'); DROP TABLE rate_limits; --", "A", "a", "ä", &long];
    for name in names {
        assert_eq!(take(&store, &limit(name, three()), "a", 2).ok(), Some(true), "{name:?}");
    }
    for name in names {
        assert_eq!(remaining(&store, &limit(name, three()), "a").ok(), Some(1), "{name:?}");
    }
}
