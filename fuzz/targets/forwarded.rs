//! What proxies say of a client's address.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| readylogin::fuzz::forwarded(data));
