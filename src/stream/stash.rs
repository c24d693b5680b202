//! Bytes that were read and not handed out yet.

use tokio::io::ReadBuf;

/// The bytes in the order in which they came: handed out, paid for, and not paid for.
#[derive(Default)]
pub(super) struct Stash {
    bytes: Vec<u8>,
    handed_out: usize,
    /// How many are paid for, those handed out included.
    paid: usize,
}

impl Stash {
    /// Keeps bytes of which none is paid for yet; for a stash that is empty.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        debug_assert!(self.is_empty(), "bytes would be lost");
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        (self.handed_out, self.paid) = (0, 0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.handed_out == self.bytes.len()
    }

    /// How many bytes are not paid for.
    pub(super) fn unpaid(&self) -> usize {
        self.bytes.len() - self.paid
    }

    /// So many more of them are paid for.
    pub(super) fn pay(&mut self, bytes: usize) {
        self.paid = self.paid.saturating_add(bytes).min(self.bytes.len());
    }

    /// Hands out as many paid bytes as there is room for. False when there are none.
    pub(super) fn hand_out(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let paid = &self.bytes[self.handed_out..self.paid];
        let count = paid.len().min(buf.remaining());
        buf.put_slice(&paid[..count]);
        self.handed_out += count;
        count > 0
    }
}
