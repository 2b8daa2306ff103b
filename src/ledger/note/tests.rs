//! Published vectors, and what must be refused.
use super::*;
use proptest::prelude::*;

/// The example of the C2SP signed-note specification.
const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const NOTE: &str = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

#[test]
fn the_published_example_opens() {
    let verifier = Verifier::parse(VKEY).unwrap();
    assert_eq!((verifier.name(), verifier.key_id()), ("example.com/foo", [0x53, 0x0d, 0x90, 0x3a]));
    assert_eq!(open(NOTE, std::slice::from_ref(&verifier)), Ok("This is an example message.\n"));
    let altered = NOTE.replace("example message", "example massage");
    assert_eq!(open(&altered, &[verifier]), Err(NoteError::BadSignature));
}

/// The key and the note of Go's `sumdb/note` package, whose private key is published too.
#[test]
fn signs_like_the_go_implementation() {
    let private = BASE64.decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();
    let signer = Signer::new("PeterNeumann", private[1..].try_into().unwrap());
    assert_eq!(signer.vkey(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    let note = signer.sign(
        "If you think cryptography is the answer to your problem,\n\
         then you don't know what your problem is.\n",
    );
    let signature = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    assert!(note.ends_with(signature), "{note}");
}

#[test]
fn an_altered_key_is_refused() {
    let parse = |text: &str| Verifier::parse(text).map(|_| ());
    assert_eq!(parse(&format!("  {VKEY}\n")), Ok(()));
    assert_eq!(parse(""), Err(KeyError::Form));
    assert_eq!(parse("name+530d903a"), Err(KeyError::Form));
    assert_eq!(parse(&VKEY.replace("foo", "f oo")), Err(KeyError::Form));
    assert_eq!(parse(&VKEY.replace("foo", "bar")), Err(KeyError::Id));
    assert_eq!(parse(&VKEY.replace("530d", "530e")), Err(KeyError::Id));
    assert_eq!(parse(&VKEY.replace("+Aek", "+Bek")), Err(KeyError::Kind));
}

#[test]
fn tells_a_stranger_from_a_forger_from_no_note() {
    let (ours, other) = (Signer::new("s", [1; 32]), Signer::new("s", [2; 32]));
    let keys = [Verifier::parse(&ours.vkey()).unwrap()];
    let note = ours.sign("text");
    assert_eq!(open(&note, &keys), Ok("text\n"));
    assert_eq!(open(&other.sign("text\n"), &keys), Err(NoteError::NoKnownKey));
    assert_eq!(open(&note, &[]), Err(NoteError::NoKnownKey));
    let witness = other.sign("text\n");
    let both = format!("{note}{}", witness.strip_prefix("text\n\n").unwrap());
    assert_eq!(open(&both, &keys), Ok("text\n"), "a stranger's line beside ours does no harm");
    assert_eq!(open(&both.replace("text", "test"), &keys), Err(NoteError::BadSignature));
    let cut = note.strip_suffix('\n').unwrap();
    for bad in ["", "text\n", cut, &note.replace("— ", "- "), &note.replace("text", "te\txt")] {
        assert_eq!(open(bad, &keys), Err(NoteError::Malformed), "{bad:?}");
    }
    assert!(!format!("{ours:?}").contains("0101"));
}

#[test]
fn a_checkpoint_reads_strictly() {
    let root = BASE64.encode([5; 32]);
    let parse = |text: String| Checkpoint::parse(&text);
    let want = Checkpoint { origin: "a b".into(), size: 10, root: [5; 32] };
    assert_eq!(parse(format!("a b\n10\n{root}\n")), Ok(want.clone()));
    assert_eq!(parse(format!("a b\n10\n{root}\nextension\n")), Ok(want));
    for bad in [
        format!("a\n10\n{root}"),
        format!("\n10\n{root}\n"),
        format!("a\n010\n{root}\n"),
        format!("a\n+1\n{root}\n"),
        format!("a\n10\n{root}\n\n"),
        "a\n10\nAAAA\n".into(),
        "a\n10\n".into(),
    ] {
        assert_eq!(parse(bad.clone()), Err(NotACheckpoint), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn what_was_signed_opens(seed: [u8; 32], size in any::<u64>(), root: [u8; 32]) {
        let signer = Signer::new("teller-7f3a9c21", seed);
        let checkpoint = Checkpoint { origin: "teller-7f3a9c21".into(), size, root };
        let note = signer.sign(&checkpoint.to_text());
        let keys = [Verifier::parse(&signer.vkey()).unwrap()];
        let text = open(&note, &keys).unwrap();
        prop_assert_eq!(Checkpoint::parse(text), Ok(checkpoint));
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "(\\PC|\n|— ){0,80}") {
        let keys = [Verifier::parse(VKEY).unwrap()];
        prop_assert!(open(&text, &keys).is_err());
        let _ = (Checkpoint::parse(&text), Verifier::parse(&text));
    }
}
