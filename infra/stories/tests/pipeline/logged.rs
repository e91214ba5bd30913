//! What a story logs.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

/// What this thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged as long as this lives.
pub(crate) struct Logged(Log, #[expect(dead_code, reason = "logging ends with it")] tracing::subscriber::DefaultGuard);

impl Logged {
    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn forget(&self) {
        self.0.0.lock().unwrap().clear();
    }
}

pub(crate) fn log() -> Logged {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).without_time().finish();
    Logged(log, tracing::subscriber::set_default(lines))
}
