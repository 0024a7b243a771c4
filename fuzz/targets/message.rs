//! A text frame of the socket.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| readylogin::fuzz::message(data));
