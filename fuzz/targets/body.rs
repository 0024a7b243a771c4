//! The JSON of a request's body.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| readylogin::fuzz::body(data));
