//! The target `edn` of tests/suite/tests/fuzz/targets.rs for libFuzzer.
#![no_main]
#![allow(dead_code)]

#[path = "../../suite/tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::edn(bytes));
