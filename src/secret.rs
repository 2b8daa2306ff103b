//! Secrets are references in the config and bytes only here; neither is ever printed.
//!
//! A reference is resolved late, by whoever needs the bytes, against an [`Environment`] that was
//! taken once: the process's own, or a map in tests. The bytes are wiped when they are dropped.

use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use zeroize::{Zeroize, Zeroizing};

/// Longest secret that is read. A key or a token is far shorter; a wrong file is far longer.
const LONGEST: u64 = 64 << 10;

/// Where systemd puts the credentials of a unit (systemd.exec(5), `LoadCredential=`).
pub const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where a secret is to be had: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// A file; refused when others than its owner may read it.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: a file of that name under `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// The environment, taken once. Its values may be secrets, so none is printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

/// The bytes of a secret: not printed, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// Why a secret is not to be had. Names the reference, never the value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; check the path and its owner")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than the owner may read the file.
    #[error(
        "{path} has mode {mode:04o}: others than its owner can read it; run `chmod 600 {path}`"
    )]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The environment variable is not set, or empty.
    #[error("environment variable {0} is not set; set it, or use {{ file = \"…\" }}")]
    Unset(String),
    /// The reference does not name a credential or is used outside a systemd unit.
    #[error("credential {0} cannot be looked up: {1}")]
    Credential(String, &'static str),
    /// The reference leads to something that cannot be the secret.
    #[error("{0} {1}")]
    Unfit(String, &'static str),
}

impl Environment {
    /// The environment of this process, without the variables that are not UTF-8.
    #[must_use]
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(utf8).collect()
    }

    /// The value of `name`; an empty one counts as unset.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All variables in the order of their names, empty ones left out.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let set = |(_, value): &(&String, &String)| !value.is_empty();
        self.0.iter().filter(set).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Only what is needed to resolve `references`.
    #[must_use]
    pub fn only_for<'a>(&self, references: impl IntoIterator<Item = &'a SecretRef>) -> Self {
        let name = |reference: &'a SecretRef| match reference {
            SecretRef::Env(name) => Some(name.as_str()),
            SecretRef::File(_) | SecretRef::Credential(_) => None,
        };
        let names = references.into_iter().filter_map(name).chain([CREDENTIALS]);
        names.filter_map(|name| Some((name.to_owned(), self.get(name)?.to_owned()))).collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Environment(variables.into_iter().collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, "***"))).finish()
    }
}

impl SecretRef {
    /// Fetches the secret; spaces and line ends around it are no part of it.
    ///
    /// # Errors
    /// When it is not there, is empty, or others may read its file.
    pub fn resolve(&self, environment: &Environment) -> Result<Secret, Error> {
        let bytes = match self {
            SecretRef::File(path) => read(path, true)?,
            SecretRef::Env(name) => {
                let value = environment.get(name).ok_or_else(|| Error::Unset(name.clone()))?;
                Zeroizing::new(value.as_bytes().to_vec())
            }
            SecretRef::Credential(name) => read(&credential(name, environment)?, false)?,
        };
        match bytes.trim_ascii() {
            [] => Err(Error::Unfit(self.to_string(), "is empty; put the secret there")),
            trimmed => Ok(Secret(trimmed.to_vec())),
        }
    }

    /// Fetches a key of 32 bytes, which is written as 64 hex digits.
    ///
    /// # Errors
    /// As [`SecretRef::resolve`], and when it is not 64 hex digits.
    pub fn resolve_key(&self, environment: &Environment) -> Result<Zeroizing<[u8; 32]>, Error> {
        let mut key = Zeroizing::new([0; 32]);
        match const_hex::decode_to_slice(self.resolve(environment)?.expose(), key.as_mut_slice()) {
            Ok(()) => Ok(key),
            Err(_) => Err(Error::Unfit(
                self.to_string(),
                "does not hold a key; expected 64 hex digits (32 bytes)",
            )),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::File(path) => write!(f, "file {}", path.display()),
            SecretRef::Env(name) => write!(f, "environment variable {name}"),
            SecretRef::Credential(name) => write!(f, "credential {name}"),
        }
    }
}

impl Secret {
    /// The bytes, for the one place that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The file of a systemd credential. Its name must not lead out of the directory.
fn credential(name: &str, environment: &Environment) -> Result<PathBuf, Error> {
    let refuse = |why| Err(Error::Credential(name.to_owned(), why));
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return refuse("a credential is named by one file name, without `/`");
    }
    match environment.get(CREDENTIALS) {
        Some(directory) => Ok(Path::new(directory).join(name)),
        None => refuse(
            "CREDENTIALS_DIRECTORY is not set; run under systemd with LoadCredential=, or use \
             { file = \"…\" }",
        ),
    }
}

/// Reads a secret's file. systemd guards a credential by its directory, so only a plain file's
/// own mode is looked at.
fn read(path: &Path, private: bool) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let unfit = |why| Error::Unfit(path.display().to_string(), why);
    // Asked before it is opened, since opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(unfit("is not a regular file; expected a file that holds the secret"));
    }
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if private && mode & 0o077 != 0 {
        return Err(Error::Readable { path: path.to_owned(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(unfit("is longer than 64 KiB; expected a file that holds only the secret"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file.as_file().set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn reads_each_kind_of_reference() {
        let key = file(b"hunter2-from-file\n", 0o600);
        let from_file = SecretRef::File(key.path().to_owned());
        assert_eq!(from_file.resolve(&environment(&[])).unwrap().expose(), b"hunter2-from-file");

        let given = environment(&[("TOKEN", " hunter2 \n"), ("EMPTY", "")]);
        let from_env = SecretRef::Env("TOKEN".into());
        assert_eq!(from_env.resolve(&given).unwrap().expose(), b"hunter2");
        assert!(matches!(SecretRef::Env("EMPTY".into()).resolve(&given), Err(Error::Unset(_))));

        // systemd's credentials are 0440 on some versions: their directory guards them.
        let directory = key.path().parent().unwrap().to_str().unwrap();
        let name = key.path().file_name().unwrap().to_str().unwrap();
        key.as_file().set_permissions(fs::Permissions::from_mode(0o440)).unwrap();
        let given = environment(&[(CREDENTIALS, directory)]);
        let credential = SecretRef::Credential(name.into());
        assert_eq!(credential.resolve(&given).unwrap().expose(), b"hunter2-from-file");
        assert!(matches!(credential.resolve(&environment(&[])), Err(Error::Credential(..))));
        for outside in ["../x", "", "..", "a/b"] {
            let refused = SecretRef::Credential(outside.into()).resolve(&given);
            assert!(matches!(refused, Err(Error::Credential(..))), "{outside:?} leads out");
        }
    }

    #[test]
    fn refuses_a_file_that_others_can_read() {
        for mode in [0o640, 0o604, 0o666, 0o610] {
            let key = file(b"hunter2", mode);
            let refused = SecretRef::File(key.path().to_owned()).resolve(&environment(&[]));
            let said = refused.unwrap_err().to_string();
            assert!(said.contains(&format!("mode {mode:04o}")), "{said}");
            assert!(said.contains(&format!("chmod 600 {}", key.path().display())), "{said}");
        }
    }

    #[test]
    fn a_key_is_64_hex_digits() {
        let hex = "0f".repeat(32);
        let key = SecretRef::Env("KEY".into());
        let resolved = key.resolve_key(&environment(&[("KEY", &hex)])).unwrap();
        assert_eq!(*resolved, [0x0f; 32]);
        for wrong in ["hunter2", &hex[1..], &format!("{hex}00"), &"zz".repeat(32)] {
            let said = key.resolve_key(&environment(&[("KEY", wrong)])).unwrap_err().to_string();
            assert!(said.contains("64 hex digits"), "{said}");
            assert!(!said.contains(wrong), "{said}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_a_secret() {
        let nothing = environment(&[]);
        let directory = SecretRef::File(std::env::temp_dir()).resolve(&nothing);
        assert!(directory.unwrap_err().to_string().contains("not a regular file"));
        let long = file(&vec![b'x'; LONGEST as usize + 1], 0o600);
        let long = SecretRef::File(long.path().to_owned()).resolve(&nothing);
        assert!(long.unwrap_err().to_string().contains("64 KiB"));
        let empty = file(b" \n", 0o600);
        let empty = SecretRef::File(empty.path().to_owned()).resolve(&nothing);
        assert!(empty.unwrap_err().to_string().contains("is empty"));
    }

    #[test]
    fn nothing_prints_a_value() {
        let given = environment(&[("TOKEN", "hunter2")]);
        let secret = SecretRef::Env("TOKEN".into()).resolve(&given).unwrap();
        assert_eq!(format!("{secret:?}"), "***");
        assert!(!format!("{given:?}").contains("hunter2"));
        let kept = given.only_for([&SecretRef::Env("TOKEN".into())]);
        assert_eq!(kept.get("TOKEN"), Some("hunter2"));
        assert_eq!(given.only_for([]).get("TOKEN"), None);
    }
}
