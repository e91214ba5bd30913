//! An append-only file of JSON lines, one line for each API call.
//!
//! A line is handed to the kernel with one `write` before the call is answered, so it outlives the process however that
//! ends. A line that was cut off by the end of the process belongs to a call nobody was answered, and is dropped.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Serialize, de::DeserializeOwned};

/// Below this size rewriting the file is not worth it.
const SMALL: u64 = 8 << 20;

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    written: u64,
    compact: u64,
}

impl Journal {
    /// Reads what the file at `path` holds, or nothing if there is none.
    pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
        };
        let mut entries = Vec::new();
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line).with_context(|| format!("cannot read {}", path.display()))?;
            if read == 0 || line.last() != Some(&b'\n') {
                return Ok(entries);
            }
            let entry =
                serde_json::from_slice(&line).with_context(|| format!("{} has a broken line", path.display()))?;
            entries.push(entry);
        }
    }

    /// Replaces the file at `path` by `entries` and opens it for more.
    pub(crate) fn rewrite<T: Serialize>(path: &Path, entries: &[T]) -> anyhow::Result<Self> {
        let fresh = path.with_extension("fresh");
        let mut content = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut content, entry)?;
            content.push(b'\n');
        }
        std::fs::write(&fresh, &content).with_context(|| format!("cannot write {}", fresh.display()))?;
        std::fs::rename(&fresh, path).with_context(|| format!("cannot replace {}", path.display()))?;
        let file = OpenOptions::new().append(true).open(path)?;
        let size = content.len() as u64;
        Ok(Self { path: path.to_path_buf(), file, written: size, compact: size })
    }

    /// Adds one entry.
    pub(crate) fn append<T: Serialize>(&mut self, entry: &T) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // What was half written would break the next line.
            let _ = self.file.set_len(self.written);
            return Err(error).with_context(|| format!("cannot write {}", self.path.display()));
        }
        self.written += line.len() as u64;
        Ok(())
    }

    /// Whether most of the file is history by now.
    pub(crate) fn is_bloated(&self) -> bool {
        self.written > SMALL.max(self.compact.saturating_mul(4))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
