//! Which keys may sign what: those given, and those that a key already trusted announced.
//!
//! A rotation counts when the `key_rotate` entry is authentic: its MAC was checked, or a later
//! checkpoint by a trusted key covers it. Otherwise anybody could announce himself.

use super::{
    control::KeyEvent,
    finding::{At, Kind},
    keys::Origin,
    stitch::Stitched,
    walk::Walked,
};

/// The public key under which a file says it is signed.
pub(super) fn stated_key(file: &Walked) -> Option<String> {
    file.control.key_events.iter().find_map(|event| match event {
        KeyEvent::Open { vkey, .. } => Some(vkey.clone()),
        _ => None,
    })
}

/// Follows the keys through all files.
pub(super) fn check(all: &mut Stitched) {
    public(all);
    mac_ids(all);
}

/// What is known of public keys at a point of the walk.
struct Trust {
    trusted: Vec<String>,
    /// Announced, not yet authenticated; with the announcing entry's seq.
    pending: Vec<(String, u64)>,
}

fn public(all: &mut Stitched) {
    let mut trusted: Vec<String> = all.keys.public.iter().map(|(vkey, _)| vkey.clone()).collect();
    if all.keys.public_from == Origin::None {
        trusted.extend(all.files.iter().find_map(stated_key));
        if !trusted.is_empty() {
            all.keys.public_from = Origin::StatedByLedger;
        }
    }
    let mut trust = Trust { trusted, pending: Vec::new() };
    let mut unknown = Vec::new();
    for (at, file) in all.files.iter().enumerate() {
        for event in &file.control.key_events {
            if let Some((place, detail)) = trust.step(event) {
                unknown.push((at, place, detail));
            }
        }
    }
    if all.keys.public_from == Origin::StatedByLedger {
        let keys = trust.trusted.iter().filter_map(|vkey| {
            Some((vkey.clone(), crate::ledger::note::Verifier::parse(vkey).ok()?))
        });
        all.keys.public = keys.collect();
    }
    let mut root = None;
    for (at, place, detail) in unknown {
        let found = all.tampered(at, (Kind::UnknownKey, place), detail, root);
        root = root.or(Some(found));
    }
}

impl Trust {
    /// Takes one event; where and how it is wrong, if it is.
    fn step(&mut self, event: &KeyEvent) -> Option<(At, &'static str)> {
        match event {
            KeyEvent::Open { vkey, at } => {
                (!self.knows(vkey)).then_some((*at, "the segment's vkey was never announced"))
            }
            KeyEvent::Announced { vkey, authentic: true, .. } => {
                self.trusted.push(vkey.clone());
                None
            }
            KeyEvent::Announced { vkey, at, .. } => {
                self.pending.push((vkey.clone(), at.seq.unwrap_or(u64::MAX)));
                None
            }
            KeyEvent::Signed { vkey, at, size } => {
                if !self.knows(vkey) {
                    return Some((
                        *at,
                        "the checkpoint is signed by a key that was never announced",
                    ));
                }
                let (covered, open) =
                    std::mem::take(&mut self.pending).into_iter().partition(|(_, seq)| seq < size);
                self.pending = open;
                self.trusted.extend(covered.into_iter().map(|(vkey, _): (String, u64)| vkey));
                None
            }
        }
    }

    fn knows(&self, vkey: &str) -> bool {
        self.trusted.iter().any(|known| known == vkey)
    }
}

/// Each file must go on under the MAC key id that the one before ended with, or announced.
fn mac_ids(all: &mut Stitched) {
    let mut unknown = Vec::new();
    for (at, pair) in all.files.windows(2).enumerate() {
        let [a, b] = pair else { continue };
        let (Some(first), Some(id)) = (b.chain.first, &b.control.first_key_id) else { continue };
        let goes_on = a.control.key_id.as_ref().is_none_or(|last| last == id)
            || a.control.next_key_id.as_ref() == Some(id);
        if !goes_on && first.bad.is_none() && a.stream == b.stream {
            unknown.push((at + 1, first.at));
        }
    }
    for (at, place) in unknown {
        all.tampered(at, (Kind::UnknownKey, place), "the file's key_id was never announced", None);
    }
}
