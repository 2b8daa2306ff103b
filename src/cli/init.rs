//! `veritail init`.

use super::{fail, program};
use crate::{
    config,
    disk::Disk,
    ledger::{
        keys::{self, Given, Keys},
        segment,
    },
};
use std::{path::Path, process::ExitCode};

pub(super) fn init(dir: &Path, service: &str) -> ExitCode {
    let sealed = segment::list(dir).map(|(_, highest)| highest > 0);
    match sealed {
        Ok(false) => {}
        Ok(true) => {
            let what = format_args!("{} holds a ledger already; it keeps its keys", dir.display());
            return fail(1, &what);
        }
        Err(e) => return fail(1, &e),
    }
    let disk = Disk::default();
    let vkey = match Keys::named(dir, service) {
        Some(stream) => Keys::load(dir, &stream, &Given::default()),
        None => Keys::create(&disk, dir, service, &Given::default()),
    };
    let vkey = match vkey {
        Ok(keys) => keys.vkey,
        Err(e) => return fail(1, &e),
    };
    let file = dir.join("veritail.toml");
    if !file.exists() {
        let text = config::starter(dir, service);
        if let Err(e) = disk.write_new(&file, text.as_bytes(), 0o640) {
            return fail(1, &format_args!("cannot write {}: {e}", file.display()));
        }
    }
    let (shown, public) = (dir.display(), keys::public_path(dir));
    println!(
        "keys     {shown}/keys        keep mac.key and signing.key secret, and a copy elsewhere\n\
         public   {}\n         {vkey}\n         give this line to your auditor before the first entry\n\
         config   {}\n\nnext     {2} check -c {1}\n         {2} run -c {1}",
        public.display(),
        file.display(),
        program()
    );
    ExitCode::SUCCESS
}
