//! The clock that the runner and the function processes share: the machine's, plus an offset kept in a small file.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use domain::{Clock, SystemClock, Timestamp};

/// A function's clock. It reads the offset at each call, so a move of the runner's clock is seen at once.
#[derive(Debug)]
pub(crate) struct FileClock {
    path: PathBuf,
    last_seen_millis: AtomicI64,
}

impl FileClock {
    /// A clock that follows the file at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, last_seen_millis: AtomicI64::new(0) }
    }
}

impl Clock for FileClock {
    fn now(&self) -> Timestamp {
        if let Ok(offset) = read_offset(&self.path) {
            self.last_seen_millis.store(i64::try_from(offset.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
        let offset = u64::try_from(self.last_seen_millis.load(Ordering::Relaxed)).unwrap_or(0);
        SystemClock.now() + Duration::from_millis(offset)
    }
}

/// How far the clock has been moved; not at all where there is no file yet.
pub(crate) fn read_offset(path: &Path) -> io::Result<Duration> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Duration::from_millis).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Duration::ZERO),
        Err(error) => Err(error),
    }
}

/// Writes it in one step: a reader sees the old offset or the new one.
pub(crate) fn write_offset(path: &Path, offset: Duration) -> io::Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, offset.as_millis().to_string())?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_sees_the_clock_move_and_keeps_it_when_the_file_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clock");
        let clock = FileClock::new(path.clone());
        let ahead = |clock: &FileClock| clock.now().since(SystemClock.now()).as_secs();
        assert_eq!(ahead(&clock), 0);
        write_offset(&path, Duration::from_secs(7_200)).unwrap();
        assert!((7_199..=7_200).contains(&ahead(&clock)));
        fs::write(&path, "torn").unwrap();
        assert!((7_199..=7_200).contains(&ahead(&clock)));
    }
}
