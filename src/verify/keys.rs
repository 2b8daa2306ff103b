//! The keys a verification uses, and where they came from: that decides what its verdict is worth.

use crate::ledger::note::Verifier;
use std::path::Path;

/// Where keys came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Given by whoever verifies: independent of the ledger.
    Given,
    /// Found beside the ledger: whoever could alter the ledger could alter them too.
    BesideLedger,
    /// Stated by the ledger itself: no evidence, but altering it takes re-signing everything.
    StatedByLedger,
    /// None.
    None,
}

/// The keys in use.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) public: Vec<(String, Verifier)>,
    pub(super) public_from: Origin,
    pub(super) mac_master: Option<[u8; 32]>,
    pub(super) mac_from: Origin,
}

impl Keys {
    /// The given keys, and those in `keys/` of a given directory where none were given.
    ///
    /// # Errors
    /// Names the public key that cannot be read, and why.
    pub(super) fn gather(options: &super::Options) -> Result<Self, super::Error> {
        let given = if options.public_keys.is_empty() { Origin::None } else { Origin::Given };
        let mac_from = if options.mac_master.is_some() { Origin::Given } else { Origin::None };
        let mac_master = options.mac_master;
        let mut keys = Keys { public: Vec::new(), public_from: given, mac_master, mac_from };
        for vkey in &options.public_keys {
            keys.add(vkey)?;
        }
        for dir in options.paths.iter().filter(|path| path.is_dir()) {
            keys.beside(dir)?;
        }
        Ok(keys)
    }

    /// Adds the vkeys of a text, one a line.
    fn add(&mut self, text: &str) -> Result<(), super::Error> {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let verifier = Verifier::parse(line).map_err(super::Error::PublicKey)?;
            self.public.push((line.to_owned(), verifier));
        }
        Ok(())
    }

    /// What lies beside the ledger and can be read. A file that cannot is as good as none: an
    /// auditor's copy has no private half, and need not.
    fn beside(&mut self, dir: &Path) -> Result<(), super::Error> {
        let read = |name: &str| std::fs::read_to_string(dir.join("keys").join(name)).ok();
        if self.public_from != Origin::Given
            && let Some(text) = read("public.vkey")
        {
            self.add(&text)?;
            self.public_from = Origin::BesideLedger;
        }
        if self.mac_from == Origin::None
            && let Some(text) = read("mac.key")
        {
            self.mac_master = const_hex::decode_to_array(text.trim()).ok();
            self.mac_from =
                if self.mac_master.is_some() { Origin::BesideLedger } else { Origin::None };
        }
        Ok(())
    }
}
