//! The one signal that ends everything.

use tokio::sync::watch;

/// Held by whoever ends the runner.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<bool>);

/// Held by whoever has to end.
#[derive(Clone, Debug)]
pub(crate) struct Stopped(watch::Receiver<bool>);

/// A signal and its receiver.
pub(crate) fn signal() -> (Stop, Stopped) {
    let (sender, receiver) = watch::channel(false);
    (Stop(sender), Stopped(receiver))
}

impl Stop {
    /// Tells everyone.
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Stopped {
    /// Whether it was told.
    pub(crate) fn is_now(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it.
    pub(crate) async fn wait(&mut self) {
        // A dropped signal ends everything as well.
        let _ = self.0.wait_for(|told| *told).await;
    }
}
