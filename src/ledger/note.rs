//! Signed notes and checkpoints as the C2SP `signed-note` and `tlog-checkpoint` specifications
//! define them: what transparency logs, witnesses and auditors exchange, so that other people's
//! tools can check ours.
//!
//! A note is a text that ends in LF, an empty line, and lines `— <name> <base64(key id ‖ signature)>`.
//! The Ed25519 signature covers the text with its final LF.

use crate::record::Digest;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Type byte of an Ed25519 note key.
const ED25519: u8 = 1;
/// More signature lines than this on one note are refused.
const SIGNATURES: usize = 64;
/// A longer note is refused.
const NOTE_BYTES: usize = 64 << 10;

/// Why a public key's text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+hash+base64`.
    #[error("a public key is written name+8 hex digits+base64")]
    Form,
    /// Of a kind other than Ed25519, or no point of the curve.
    #[error("the public key is no Ed25519 key")]
    Kind,
    /// The key id is not that of this name and key.
    #[error("the public key's id does not belong to its name and key: was it altered?")]
    Id,
}

/// Why a note was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note at all.
    #[error("not a signed note")]
    Malformed,
    /// Signed, but by none of the given keys.
    #[error("signed by none of the known keys")]
    NoKnownKey,
    /// Carries a known key's name and id, but not its signature.
    #[error("the signature of a known key does not match")]
    BadSignature,
}

/// Whoever signs checkpoints: a name (the stream) and an Ed25519 seed.
pub struct Signer {
    name: String,
    key: SigningKey,
    key_id: [u8; 4],
}

impl Signer {
    /// A signer. `name` must hold no white space and no `+`, as a stream's name never does.
    #[must_use]
    pub fn new(name: &str, seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        let key_id = key_id(name, &key.verifying_key());
        Signer { name: name.into(), key, key_id }
    }

    /// The public key as text: `name+hex(key id)+base64(0x01 ‖ public key)`.
    #[must_use]
    pub fn vkey(&self) -> String {
        let public = [&[ED25519][..], self.key.verifying_key().as_bytes()].concat();
        format!("{}+{}+{}", self.name, const_hex::encode(self.key_id), BASE64.encode(public))
    }

    /// The note over `text`; a final LF is added where it is missing.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let mut note = format!("{text}{end}");
        let signature = self.key.sign(note.as_bytes()).to_bytes();
        let signed = BASE64.encode([&self.key_id[..], &signature].concat());
        note.extend(["\n— ", &self.name, " ", &signed, "\n"]);
        note
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.vkey())
    }
}

/// A public key that notes are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
    key_id: [u8; 4],
}

impl Verifier {
    /// Reads a vkey; white space around it is ignored.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with the text.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let mut parts = vkey.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Form);
        };
        let bytes = BASE64.decode(key).map_err(|_| KeyError::Form)?;
        if !is_name(name) || id.len() != 8 {
            return Err(KeyError::Form);
        }
        let claimed: [u8; 4] = const_hex::decode_to_array(id).map_err(|_| KeyError::Form)?;
        let (&kind, public) = bytes.split_first().ok_or(KeyError::Form)?;
        let public: [u8; 32] = public.try_into().map_err(|_| KeyError::Kind)?;
        let key = VerifyingKey::from_bytes(&public).map_err(|_| KeyError::Kind)?;
        if kind != ED25519 {
            return Err(KeyError::Kind);
        }
        let key_id = key_id(name, &key);
        if key_id != claimed {
            return Err(KeyError::Id);
        }
        Ok(Verifier { name: name.into(), key, key_id })
    }

    /// The key's name: the stream it signs for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First 4 bytes of SHA-256(name ‖ LF ‖ 0x01 ‖ public key).
    #[must_use]
    pub fn key_id(&self) -> [u8; 4] {
        self.key_id
    }
}

/// Opens a note: its text, if at least one of `verifiers` signed it.
///
/// Lines of unknown keys are passed over, as the specification wants (witnesses add theirs).
///
/// # Errors
/// [`NoteError`] tells a text that is no note from one that is signed by nobody we know and from
/// one whose signature is wrong. A wrong signature of a known key always refuses the note.
pub fn open<'a>(note: &'a str, verifiers: &[Verifier]) -> Result<&'a str, NoteError> {
    let control = |c: u8| c < 0x20 && c != b'\n';
    if note.len() > NOTE_BYTES || note.bytes().any(control) {
        return Err(NoteError::Malformed);
    }
    let blank = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (text, lines) = note.split_at(blank + 1);
    let lines = lines.strip_prefix('\n').and_then(|l| l.strip_suffix('\n'));
    let lines = lines.ok_or(NoteError::Malformed)?;
    let mut verified = false;
    for (n, line) in lines.split('\n').enumerate() {
        let (name, bytes) = signature_line(line).ok_or(NoteError::Malformed)?;
        let (key_id, signature) = bytes.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
        if signature.is_empty() || n >= SIGNATURES {
            return Err(NoteError::Malformed);
        }
        let known = |v: &&Verifier| v.name == name && v.key_id == *key_id;
        let Some(verifier) = verifiers.iter().find(known) else { continue };
        let signature = Signature::from_slice(signature).map_err(|_| NoteError::BadSignature)?;
        let checked = verifier.key.verify_strict(text.as_bytes(), &signature);
        checked.map_err(|_| NoteError::BadSignature)?;
        verified = true;
    }
    if verified { Ok(text) } else { Err(NoteError::NoKnownKey) }
}

/// The name and the decoded bytes of a line `— name base64`.
fn signature_line(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
    is_name(name).then_some((name, BASE64.decode(encoded).ok()?))
}

/// Whether a key may be named so: not empty, no white space, no `+`.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// First 4 bytes of SHA-256(name ‖ LF ‖ type ‖ public key).
fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(name);
    hash.update([b'\n', ED25519]);
    hash.update(key.as_bytes());
    let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
    [a, b, c, d]
}

/// Why a text is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a checkpoint: an origin line, a decimal size line and a base64 root line are expected"
)]
pub struct NotACheckpoint;

/// What a checkpoint's note states: that `origin` had `size` entries with this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log: the stream's name.
    pub origin: String,
    /// Number of entries covered.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads a note's text; further lines (extensions) are allowed and passed over.
    ///
    /// # Errors
    /// [`NotACheckpoint`] if it is anything else.
    pub fn parse(text: &str) -> Result<Self, NotACheckpoint> {
        let mut lines = text.strip_suffix('\n').ok_or(NotACheckpoint)?.split('\n');
        let mut next = || lines.next().filter(|line| !line.is_empty()).ok_or(NotACheckpoint);
        let (origin, size, root) = (next()?, next()?, next()?);
        if lines.any(str::is_empty) || !size.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotACheckpoint);
        }
        let padded = size.len() > 1 && size.starts_with('0');
        let size = size.parse().ok().filter(|_| !padded).ok_or(NotACheckpoint)?;
        let root = BASE64.decode(root).map_err(|_| NotACheckpoint)?;
        let root = root.try_into().map_err(|_| NotACheckpoint)?;
        Ok(Checkpoint { origin: origin.into(), size, root })
    }
}

#[cfg(test)]
mod tests;
