//! What this machine allows: directories, sockets, keys, the admin address. Looks, and leaves
//! nothing behind.

use super::{
    Config,
    problem::{Level, Problem, Report},
    semantics::{READS_LEDGER, reads_ledger},
};
use crate::{
    secret::SecretRef,
    sources::config::{File, Kind, Tls},
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
    for (path, reference) in config.enrich.iter().flat_map(|enrich| enrich.references()) {
        wrong(&path, reference.resolve(&config.environment).map(drop).map_err(|e| e.to_string()));
    }
    if let Some(own) = &config.reconcile {
        let resolved = own.management_key.resolve(&config.environment);
        wrong("reconcile.management_key", resolved.map(drop).map_err(|why| why.to_string()));
    }
    for (index, source) in config.sources.iter().enumerate() {
        match &source.kind {
            Kind::File(File { paths, .. }) => {
                for (item, glob) in paths.iter().enumerate() {
                    let path = format!("source[{index}].paths[{item}]");
                    wrong(&path, listable(&directory_of(glob)));
                    wrong(&path, apart(glob, &config.ledger.dir));
                }
            }
            Kind::Unix(unix) => wrong(&format!("source[{index}].path"), bindable(&unix.path)),
            Kind::Stdin(_) => {}
            Kind::Http(http) => {
                let path = format!("source[{index}]");
                wrong(&format!("{path}.listen"), listenable(http.listen));
                wrong(&format!("{path}.token"), secret(config, http.token.as_ref()));
                certificate(config, http.tls.as_ref(), &path, &mut wrong);
            }
            Kind::Otlp(otlp) => {
                let path = format!("source[{index}]");
                wrong(&format!("{path}.listen"), listenable(otlp.listen));
                wrong(&format!("{path}.token"), secret(config, otlp.token.as_ref()));
                let value = otlp.secret.as_ref().map(|header| &header.value);
                wrong(&format!("{path}.secret.value"), secret(config, value));
                certificate(config, otlp.tls.as_ref(), &path, &mut wrong);
            }
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

fn secret(config: &Config, reference: Option<&SecretRef>) -> Result<(), String> {
    match reference {
        Some(reference) => {
            reference.resolve(&config.environment).map(drop).map_err(|why| why.to_string())
        }
        None => Ok(()),
    }
}

fn certificate(
    config: &Config,
    tls: Option<&Tls>,
    path: &str,
    wrong: &mut impl FnMut(&str, Result<(), String>),
) {
    let Some(Tls { cert, key }) = tls else { return };
    let readable = fs::File::open(cert).map(drop);
    wrong(&format!("{path}.tls.cert"), readable.map_err(|why| denied(cert, "reading", &why)));
    wrong(&format!("{path}.tls.key"), secret(config, Some(key)));
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

/// Whether a glob leaves the ledger alone, seen from where we are: one of the two may be relative.
fn apart(glob: &str, ledger: &Path) -> Result<(), String> {
    let (Ok(glob), Ok(ledger)) = (std::path::absolute(glob), std::path::absolute(ledger)) else {
        return Ok(());
    };
    match glob::Pattern::new(&glob.to_string_lossy()) {
        Ok(pattern) if reads_ledger(&pattern, &ledger) => Err(READS_LEDGER.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The part of a glob before its first wildcard, up to the last directory.
pub(super) fn directory_of(glob: &str) -> PathBuf {
    let wild = |part: &std::path::Component<'_>| {
        part.as_os_str().to_string_lossy().contains(['*', '?', '['])
    };
    let fixed: PathBuf = Path::new(glob).components().take_while(|part| !wild(part)).collect();
    if fixed.as_os_str().is_empty() { ".".into() } else { fixed }
}

/// Whether a socket can be made at `path`.
fn bindable(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(format!(
            "{} is there and not a socket; remove it, or name another path",
            path.display()
        )),
        _ => writable(path.parent().unwrap_or(Path::new("."))),
    }
}

/// Whether an address can be had.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::load_text, secret::Environment};
    use std::os::unix::fs::PermissionsExt;

    /// What a check says of a config whose places are all in `dir`, each but its key's line.
    fn told(dir: &Path, text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let text = text.replace("DIR", dir.to_str().unwrap());
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let environment: Environment = variables.collect();
        let config = load_text("c.toml", &text, &environment).unwrap();
        let message = |problem: Problem| format!("{}: {}", problem.key, problem.message);
        check(&config).into_iter().map(message).collect()
    }

    const FILE: &str =
        "version = 1\n[[source]]\nname = \"a\"\ntype = \"file\"\npaths = [\"DIR/*\"]\n";

    #[test]
    fn a_machine_that_allows_all_has_no_problem_and_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "{FILE}[[source]]\nname = \"b\"\ntype = \"unix\"\npath = \"DIR/run/b.sock\"\n\
             [ledger]\ndir = \"DIR/new/ledger\"\nmac_key = {{ env = \"KEY\" }}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n"
        );
        let key = "ab".repeat(32);
        let none: Vec<String> = Vec::new();
        assert_eq!(told(dir.path(), &text, &[("KEY", &key)]), none);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_in_the_way_are_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::File::create_new(dir.path().join("file")).unwrap();
        let text = format!(
            "{FILE}[[source]]\nname = \"b\"\ntype = \"unix\"\npath = \"DIR/file\"\n\
             [ledger]\ndir = \"DIR/file\"\n"
        );
        let found = told(dir.path(), &text, &[]).join("\n");
        assert!(found.contains("ledger.dir: ") && found.contains("is not a directory"), "{found}");
        assert!(found.contains("source[1].path: ") && found.contains("not a socket"), "{found}");
        let text = format!("{FILE}[ledger]\ndir = \"DIR/file/below\"\n");
        let found = told(dir.path(), &text, &[]).join("\n");
        assert!(found.contains("is a file, not a directory"), "{found}");
    }

    #[test]
    fn keys_that_cannot_be_had_are_told_without_their_value() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("open.key");
        fs::File::create_new(&key).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let text = format!(
            "{FILE}[ledger]\ndir = \"DIR\"\nmac_key = {{ file = \"DIR/open.key\" }}\n\
             signing_key = {{ env = \"KEY\" }}\n"
        );
        // The ledger's directory may hold what a source's glob matches, but no segment of it.
        let text = text.replace("DIR/*", "DIR/*.ndjson");
        let found = told(dir.path(), &text, &[("KEY", "hunter2")]).join("\n");
        assert!(found.contains("mac_key: ") && found.contains("chmod 600"), "{found}");
        assert!(found.contains("signing_key: ") && found.contains("64 hex digits"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
        let found = told(dir.path(), &text, &[]).join("\n");
        assert!(found.contains("environment variable KEY is not set"), "{found}");
    }

    #[test]
    fn an_address_in_use_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let text = format!("{FILE}[ledger]\ndir = \"DIR/l\"\n[admin]\nlisten = \"{address}\"\n");
        let found = told(dir.path(), &text, &[]).join("\n");
        assert!(found.contains(&format!("admin.listen: {address} is in use")), "{found}");
        drop(taken);
        assert!(listenable("192.0.2.1:1".parse().unwrap()).unwrap_err().contains("this machine"));
    }

    #[test]
    fn a_denial_tells_whose_it_is_and_who_we_are() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let us = rustix::process::geteuid().as_raw();
        let said = denied(dir.path(), "writing", &io::ErrorKind::PermissionDenied.into());
        assert!(said.contains(&format!("mode 0750 owner {us}:")), "{said}");
        assert!(said.contains(&format!("we are {us}:")), "{said}");
    }

    #[test]
    fn a_glob_is_looked_for_where_it_is_fixed() {
        for (glob, directory) in [
            ("/var/log/app/*.ndjson", "/var/log/app"),
            ("/var/*/app/x", "/var"),
            ("requests/*", "requests"),
            ("*.ndjson", "."),
            ("/[ab]", "/"),
        ] {
            assert_eq!(directory_of(glob), Path::new(directory), "{glob}");
        }
    }
}
