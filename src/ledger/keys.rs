//! The two keys of a ledger: a MAC master (whoever verifies with it can forge) and an Ed25519 seed
//! whose public half is the auditor's evidence. They are made once, by `init` or by the first run of
//! an empty ledger, and never again: a ledger without its keys is not continued.

use super::{Error, note};
use crate::{disk::Disk, record::Digest};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Id of the first MAC key.
pub const FIRST_KEY_ID: &str = "m1";

/// Keys that come from elsewhere than the ledger's own `keys/`.
#[derive(Clone, Default)]
pub struct Given {
    /// The MAC master.
    pub mac: Option<Digest>,
    /// The Ed25519 seed.
    pub signing: Option<Digest>,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(***)")
    }
}

/// A ledger's keys in use.
pub struct Keys {
    /// The MAC master.
    pub master: Digest,
    /// The stream's name.
    pub stream: String,
    /// Signs checkpoints.
    pub signer: note::Signer,
    /// The signer's public key.
    pub vkey: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.vkey)
    }
}

/// Where a ledger keeps its public key: one vkey line.
#[must_use]
pub fn public_path(dir: &Path) -> PathBuf {
    dir.join("keys/public.vkey")
}

impl Keys {
    fn new(master: Digest, seed: Digest, stream: String) -> Self {
        let signer = note::Signer::new(&stream, seed);
        Keys { master, vkey: signer.vkey(), signer, stream }
    }

    /// Makes keys for a ledger that has none, and names its stream `<service>-<8 hex>`. Keys that
    /// are given or already there are used; nothing is ever overwritten.
    ///
    /// # Errors
    /// When a key cannot be read, made or written.
    pub fn create(disk: &Disk, dir: &Path, service: &str, given: &Given) -> Result<Self, Error> {
        let keys = dir.join("keys");
        for (path, mode) in [(dir, 0o750), (keys.as_path(), 0o700)] {
            disk.create_dir(path, mode).map_err(|e| Error::io("create", path, e))?;
        }
        let mut found = [Digest::default(); 2];
        for (slot, (name, given)) in
            found.iter_mut().zip([("mac.key", given.mac), ("signing.key", given.signing)])
        {
            let path = keys.join(name);
            *slot = match given {
                Some(key) => key,
                None if path.exists() => read(&path)?,
                None => {
                    let key = random()?;
                    let text = const_hex::encode(key) + "\n";
                    disk.write_new(&path, text.as_bytes(), 0o400)
                        .map_err(|e| Error::io("write", &path, e))?;
                    key
                }
            };
        }
        let id = random()?;
        let stream = format!("{service}-{}", const_hex::encode(&id[..4]));
        let made = Keys::new(found[0], found[1], stream);
        let path = public_path(dir);
        if path.exists() {
            // `init` made it for another service name; nothing is sealed under it yet.
            disk.remove(&path).map_err(|e| Error::io("replace", &path, e))?;
        }
        disk.write_new(&path, (made.vkey.clone() + "\n").as_bytes(), 0o444)
            .map_err(|e| Error::io("write", &path, e))?;
        Ok(made)
    }

    /// The keys of a stream that exists.
    ///
    /// # Errors
    /// When a key is neither given nor in `keys/`, or may be read by others than its owner.
    pub fn load(dir: &Path, stream: &str, given: &Given) -> Result<Self, Error> {
        let of = |name: &str, given: Option<Digest>| match given {
            Some(key) => Ok(key),
            None => read(&dir.join("keys").join(name)),
        };
        let (master, seed) = (of("mac.key", given.mac)?, of("signing.key", given.signing)?);
        Ok(Keys::new(master, seed, stream.to_owned()))
    }

    /// The stream that `init` named, when the ledger has no entry yet and the name fits `service`.
    #[must_use]
    pub fn named(dir: &Path, service: &str) -> Option<String> {
        let vkey = fs::read_to_string(public_path(dir)).ok()?;
        let verifier = note::Verifier::parse(vkey.trim()).ok()?;
        let random = verifier.name().strip_prefix(service)?.strip_prefix('-')?;
        (random.len() == 8).then(|| verifier.name().to_owned())
    }
}

fn random() -> Result<Digest, Error> {
    let mut bytes = Digest::default();
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::Key(format!("the system gave no random bytes for a key: {e}")))?;
    Ok(bytes)
}

/// Reads a key file: 64 hex digits, readable by its owner alone.
///
/// # Errors
/// Names the file and what to do; never its content.
pub fn read(path: &Path) -> Result<Digest, Error> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::Key(format!(
            "{shown} is missing: a ledger is only continued with its own keys; restore it from \
             your backup, or start a new ledger in an empty directory"
        )),
        _ => Error::io("read", path, e),
    })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Key(format!(
            "{shown} has mode {mode:04o}, so others can read the key: chmod 600 {shown}"
        )));
    }
    let text = fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    parse(text.trim()).ok_or_else(|| Error::Key(format!("{shown} does not hold 64 hex digits")))
}

/// 64 hex digits as a key.
#[must_use]
pub fn parse(text: &str) -> Option<Digest> {
    const_hex::decode_to_array(text).ok().filter(|_| text.len() == 64)
}
