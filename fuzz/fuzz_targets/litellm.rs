//! Any JSON object is a payload, and what it becomes is an object too; all else is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veritail::sources::litellm::record;

fuzz_target!(|payload: &[u8]| {
    let is_object =
        serde_json::from_slice::<serde_json::Value>(payload).is_ok_and(|value| value.is_object());
    match record(payload) {
        Ok(record) => {
            if is_object {
                let told: serde_json::Value =
                    serde_json::from_slice(&record).expect("the record of an object is JSON");
                assert!(told.is_object());
            }
        }
        Err(_) => assert!(!is_object, "an object was refused"),
    }
});
