//! A crash at a chosen point: the future is dropped at its n-th await, as a process is that gets killed there.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Resolves to nothing, and drops what it holds, once that has been pending `left` times.
pub(crate) struct StopAfter<F> {
    future: Option<Pin<Box<F>>>,
    left: usize,
}

impl<F: Future> StopAfter<F> {
    pub(crate) fn new(future: F, left: usize) -> Self {
        Self { future: Some(Box::pin(future)), left }
    }
}

impl<F: Future> Future for StopAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.future else { return Poll::Ready(None) };
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if self.left == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Pending
    }
}
