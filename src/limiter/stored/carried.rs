//! Tasks that outlive their runtime.

use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::runtime::Handle;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task that goes on at home when the runtime in which it is ends. That of the caller may be the only one
/// that anybody drives, so it is not at home from the beginning.
pub(super) struct Carried {
    /// Until it has ended.
    task: Option<Task>,
    home: Handle,
}

impl Carried {
    pub(super) fn new(task: impl Future<Output = ()> + Send + 'static, home: Handle) -> Self {
        Self { task: Some(Box::pin(task)), home }
    }
}

impl Future for Carried {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let polled = this.task.as_mut().map_or(Poll::Ready(()), |task| task.as_mut().poll(cx));
        if polled.is_ready() {
            this.task = None;
        }
        polled
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            // Where home has ended as well it is dropped there.
            self.home.spawn(task);
        }
    }
}
