//! The bytes of a WebSocket.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| readylogin::fuzz::frames(data));
