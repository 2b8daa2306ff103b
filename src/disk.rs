//! The only door to the file system for everything that must last.
//!
//! Happy path of a durable file: write → `fdatasync` → (rename) → `fsync` of the directory. A file's
//! bytes count as written only after its sync; a new name only after its directory's. After a sync
//! that failed, the kernel may have dropped the dirty pages and report success the next time
//! (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020), so the caller must
//! write the bytes again from its own memory: see `ledger::store`.
#![expect(clippy::disallowed_methods, reason = "this module is the door the lint points to")]

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// An operation that a test can make fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Bytes into a file.
    Write,
    /// `fdatasync` or `fsync` of a file or directory.
    Sync,
    /// A new file.
    Create,
}

/// One planned failure: skip the first `after` operations of a kind, then fail `times` of them.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which operation.
    pub operation: Operation,
    /// How many go well first.
    pub after: u64,
    /// How many fail then.
    pub times: u64,
    /// With which error number.
    pub errno: i32,
}

/// The file system, or one that fails as planned.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    faults: Option<Arc<Mutex<Vec<Fault>>>>,
}

impl Disk {
    /// A disk that fails as planned; for tests.
    #[must_use]
    pub fn faulty(plan: Vec<Fault>) -> Self {
        Disk { faults: Some(Arc::new(Mutex::new(plan))) }
    }

    /// The real disk; in a debug build, with the failures that `VERITAIL_FAULT` plans:
    /// `write|sync|create:<after>:<times>:<errno>`, several separated by commas.
    #[must_use]
    pub fn from_environment() -> Self {
        #[cfg(debug_assertions)]
        if let Ok(text) = std::env::var("VERITAIL_FAULT") {
            return Disk::faulty(text.split(',').filter_map(parse_fault).collect());
        }
        Disk::default()
    }

    fn may(&self, operation: Operation) -> io::Result<()> {
        let Some(faults) = &self.faults else { return Ok(()) };
        let mut plan = faults.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in plan.iter_mut().filter(|fault| fault.operation == operation) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return Err(io::Error::from_raw_os_error(fault.errno));
            }
        }
        Ok(())
    }

    /// Opens a file that exists, for appending and reading.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        let inner = OpenOptions::new().append(true).read(true).open(path)?;
        Ok(File { inner, path: path.to_owned(), disk: self.clone() })
    }

    /// Creates a file that must not exist yet, for appending.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.may(Operation::Create)?;
        let inner =
            OpenOptions::new().append(true).read(true).create_new(true).mode(mode).open(path)?;
        Ok(File { inner, path: path.to_owned(), disk: self.clone() })
    }

    /// Creates a directory and its missing parents; one that exists stays as it is.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn create_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(path)?;
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    /// Writes a whole new file durably: temporary name, sync, rename, sync of the directory. After a
    /// crash there is the whole file or none.
    ///
    /// # Errors
    /// When the path exists already, or as the operating system says.
    pub fn write_new(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        if path.exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let temporary = path.with_file_name(name);
        match fs::remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = self.create(&temporary, mode)?;
        file.append(bytes)?;
        file.sync()?;
        self.rename(&temporary, path)
    }

    /// Sets a file's permission bits.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn chmod(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    /// Renames within a directory and makes that durable.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        self.sync_dir(to)
    }

    /// Removes a file and makes that durable.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        self.sync_dir(path)
    }

    /// Makes the directory entry of `path` durable.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.may(Operation::Sync)?;
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(debug_assertions)]
fn parse_fault(text: &str) -> Option<Fault> {
    let mut parts = text.split(':');
    let operation = match parts.next()? {
        "write" => Operation::Write,
        "sync" => Operation::Sync,
        "create" => Operation::Create,
        _ => return None,
    };
    let mut number = || parts.next()?.parse::<u64>().ok();
    let (after, times, errno) = (number()?, number()?, i32::try_from(number()?).ok()?);
    Some(Fault { operation, after, times, errno })
}

/// An open file whose writes go to its end.
#[derive(Debug)]
pub struct File {
    inner: fs::File,
    path: PathBuf,
    disk: Disk,
}

impl File {
    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends all of `bytes`. After an error any part of them may be in the file.
    ///
    /// # Errors
    /// As the operating system says; a planned failure writes the first half.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(planned) = self.disk.may(Operation::Write) {
            self.inner.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
            return Err(planned);
        }
        self.inner.write_all(bytes)
    }

    /// Makes the file's bytes and length durable (`fdatasync`).
    ///
    /// # Errors
    /// As the operating system says; what was written since the last sync may then be lost.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.may(Operation::Sync)?;
        self.inner.sync_data()
    }

    /// Cuts the file to `length` bytes.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn cut(&self, length: u64) -> io::Result<()> {
        self.inner.set_len(length)
    }

    /// Sets the permission bits.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn chmod(&self, mode: u32) -> io::Result<()> {
        self.inner.set_permissions(Permissions::from_mode(mode))
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.inner.metadata()?.len())
    }
}

/// An exclusive advisory lock (`flock`), held until it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its descriptor")] fs::File);

/// Takes the lock that the file `path` stands for.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when another process holds it; else as the operating system says.
pub fn lock(path: &Path) -> io::Result<Lock> {
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o640).open(path)?;
    file.try_lock().map_err(|e| match e {
        fs::TryLockError::WouldBlock => io::Error::from(io::ErrorKind::WouldBlock),
        fs::TryLockError::Error(e) => e,
    })?;
    Ok(Lock(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_when_planned_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let fault = Fault { operation: Operation::Write, after: 1, times: 2, errno: 28 };
        let mut file = Disk::faulty(vec![fault]).create(&dir.path().join("f"), 0o600).unwrap();
        file.append(b"ab").unwrap();
        for _ in 0..2 {
            assert_eq!(file.append(b"cd").unwrap_err().raw_os_error(), Some(28));
        }
        assert_eq!(file.length().unwrap(), 4, "half of each failed write is there");
        file.cut(2).unwrap();
        file.append(b"ef").unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), b"abef");
    }

    #[test]
    fn a_new_file_is_whole_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let disk = Disk::default();
        disk.write_new(&path, b"one", 0o600).unwrap();
        assert_eq!(
            disk.write_new(&path, b"two", 0o600).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn one_holder_of_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = lock(&path).unwrap();
        assert_eq!(lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        lock(&path).unwrap();
    }
}
