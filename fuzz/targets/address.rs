//! What a person is named by: a mail address or a telephone number.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| readylogin::fuzz::address(data));
