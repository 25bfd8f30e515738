//! Scenarios: whatever the text, it is a scenario or one line says what is wrong; and a
//! scenario that is written is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match harness::scenario::parse::text(text, "fuzz.toml") {
        Ok(scenario) => assert!(!scenario.name.is_empty()),
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("fuzz.toml"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
});
