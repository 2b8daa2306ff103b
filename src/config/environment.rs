//! What this machine allows: directories, sockets, keys, the admin address. Looks, and leaves
//! nothing behind.

use super::{
    Config,
    problem::{Level, Problem, Report},
};
use crate::{
    secret::SecretRef,
    sources::config::{File, Kind},
};
use rustix::fs::{Access, AtFlags, CWD};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Checks all that a config asks of the machine.
pub(super) fn check(config: &Config) -> Vec<Problem> {
    let mut report = Report::new(config.places.clone());
    let mut wrong = |path: &str, outcome: Result<(), String>| {
        if let Err(message) = outcome {
            report.value(Level::Environment, path, message);
        }
    };
    wrong("ledger.dir", writable(&config.ledger.dir));
    wrong("ledger.mac_key", key(config, config.ledger.mac_key.as_ref()));
    wrong("ledger.signing_key", key(config, config.ledger.signing_key.as_ref()));
    for (index, source) in config.sources.iter().enumerate() {
        match &source.kind {
            Kind::File(File { paths, .. }) => {
                for (item, glob) in paths.iter().enumerate() {
                    wrong(&format!("source[{index}].paths[{item}]"), listable(&directory_of(glob)));
                }
            }
            Kind::Unix(unix) => wrong(&format!("source[{index}].path"), bindable(&unix.path)),
            Kind::Stdin(_) => {}
        }
    }
    if let Some(address) = config.admin.listen {
        wrong("admin.listen", listenable(address));
    }
    report.finish().1
}

fn key(config: &Config, reference: Option<&SecretRef>) -> Result<(), String> {
    match reference {
        Some(reference) => {
            reference.resolve_key(&config.environment).map(drop).map_err(|why| why.to_string())
        }
        None => Ok(()),
    }
}

/// Whether files can be made in `dir`, or `dir` itself in the nearest directory that is there.
fn writable(dir: &Path) -> Result<(), String> {
    let mut at = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    loop {
        match fs::metadata(at) {
            Ok(found) if found.is_dir() => {
                return allowed(at, Access::WRITE_OK | Access::EXEC_OK, "writing");
            }
            Ok(_) => {
                let at = at.display();
                return Err(format!("{at} is not a directory; name another, or remove it"));
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                at = match at.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
            }
            Err(why) => return Err(denied(at, "looking up", &why)),
        }
    }
}

/// Whether the files in `dir` can be listed. One that is not there yet may still come.
fn listable(dir: &Path) -> Result<(), String> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => allowed(dir, Access::READ_OK | Access::EXEC_OK, "reading"),
        // The glob had no wildcard, or ran into a file: what is there is looked at.
        Ok(_) => allowed(dir, Access::READ_OK, "reading"),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(why) => Err(denied(dir, "looking up", &why)),
    }
}

/// The part of a glob before its first wildcard, up to the last directory.
fn directory_of(glob: &str) -> PathBuf {
    let wild = |part: &std::path::Component<'_>| {
        part.as_os_str().to_string_lossy().contains(['*', '?', '['])
    };
    let fixed: PathBuf = Path::new(glob).components().take_while(|part| !wild(part)).collect();
    if fixed.as_os_str().is_empty() { ".".into() } else { fixed }
}

/// Whether a socket can be made at `path`.
fn bindable(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let path = path.display();
            Err(format!(
                "{path} is there and not a socket; remove it, or name another path"
            ))
        }
        _ => writable(path.parent().unwrap_or(Path::new("."))),
    }
}

/// Whether the admin address can be had.
fn listenable(address: SocketAddr) -> Result<(), String> {
    TcpListener::bind(address).map(drop).map_err(|why| match why.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is in use; is veritail running already? else choose another port")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} is not an address of this machine; use 127.0.0.1 or 0.0.0.0")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{address} needs a privilege; choose a port above 1023")
        }
        _ => format!("cannot listen on {address}: {why}; choose another address"),
    })
}

/// Asks the kernel what the process as it runs may do, file system and capabilities included.
fn allowed(path: &Path, access: Access, doing: &str) -> Result<(), String> {
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)
        .map_err(|why| denied(path, doing, &why.into()))
}

/// `permission denied writing /x (mode 0755 owner 0:0, we are 65532:65532)` and a remedy.
fn denied(path: &Path, doing: &str, why: &io::Error) -> String {
    let shown = path.display();
    match why.kind() {
        io::ErrorKind::PermissionDenied => {
            let whose = fs::metadata(path).map_or("not visible".into(), |found| {
                format!("mode {:04o} owner {}:{}", found.mode() & 0o7777, found.uid(), found.gid())
            });
            let us = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            format!(
                "permission denied {doing} {shown} ({whose}, we are {}:{}); change its owner or \
                 mode, or run with its group (fsGroup, SupplementaryGroups=)",
                us.0, us.1
            )
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("{shown} is on a read-only file system; mount a volume there, or name another")
        }
        io::ErrorKind::NotADirectory => {
            format!("a part of {shown} is a file, not a directory; correct the path")
        }
        _ => format!("failed {doing} {shown}: {why}; correct the path"),
    }
}
