//! Going on where nobody polls.

use crate::store::StoreError;
use tokio::{runtime::Handle, task::JoinHandle};

/// What this comes to, in a task of its own unless it is in one already: a caller who is not polled any
/// more would keep a connection, or its turn to get one, from all others.
///
/// Dropped, it takes the future with it: whoever has gone keeps no connection either.
pub(super) async fn in_a_task<T: Send + 'static>(
    is_in_a_task: bool,
    future: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    if is_in_a_task {
        return future.await;
    }
    // Connections need no runtime by themselves, and who has none is polled all the time.
    let Ok(runtime) = Handle::try_current() else { return future.await };
    let mut task = Task(runtime.spawn(future));
    (&mut task.0).await.unwrap_or_else(|ended| Err(StoreError::new(ended)))
}

struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
