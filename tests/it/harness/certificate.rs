//! Self-signed certificates for the loopback address.

use base64::Engine as _;

/// A certificate for the loopback address, its key beside it.
pub(crate) struct Certificate {
    folder: tempfile::TempDir,
}

/// One ASN.1 value in DER: a tag, a length, and what it holds.
fn der(tag: u8, held: &[&[u8]]) -> Vec<u8> {
    let held = held.concat();
    let length = match u8::try_from(held.len()) {
        Ok(short @ 0..=127) => vec![short],
        Ok(length) => vec![0x81, length],
        Err(_) => [&[0x82], u16::try_from(held.len()).unwrap().to_be_bytes().as_slice()].concat(),
    };
    [&[tag], length.as_slice(), &held].concat()
}

/// A self-signed certificate (RFC 5280 section 4.1) for 127.0.0.1, and its key in PKCS #8.
fn self_signed() -> [Vec<u8>; 2] {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING as ALG, EcdsaKeyPair, KeyPair as _};
    const SEQUENCE: u8 = 0x30;
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ALG, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ALG, pkcs8.as_ref()).unwrap();
    let oid = |bytes: &[u8]| der(6, &[bytes]);
    let ecdsa_with_sha256 = der(SEQUENCE, &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
    let p256 = [oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7])];
    let key =
        der(SEQUENCE, &[&der(SEQUENCE, &[&p256[0], &p256[1]]), &der(3, &[&[0], pair.public_key().as_ref()])]);
    let name = der(SEQUENCE, &[&der(0x31, &[&der(SEQUENCE, &[&oid(&[0x55, 4, 3]), &der(12, &[b"test"])])])]);
    let validity = der(SEQUENCE, &[&der(23, &[b"200101000000Z"]), &der(23, &[b"491231235959Z"])]);
    let addresses = der(SEQUENCE, &[&der(0x87, &[&[127, 0, 0, 1]])]);
    let extension = der(SEQUENCE, &[&oid(&[0x55, 0x1d, 0x11]), &der(4, &[&addresses])]);
    let extensions = der(0xa3, &[&der(SEQUENCE, &[&extension])]);
    let (version, serial) = (der(0xa0, &[&der(2, &[&[2]])]), der(2, &[&[1]]));
    let body =
        der(SEQUENCE, &[&version, &serial, &ecdsa_with_sha256, &name, &validity, &name, &key, &extensions]);
    let signature = pair.sign(&random, &body).unwrap();
    let certificate = der(SEQUENCE, &[&body, &ecdsa_with_sha256, &der(3, &[&[0], signature.as_ref()])]);
    [certificate, pkcs8.as_ref().to_vec()]
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = self_signed();
        for (file, label, bytes) in
            [("cert.pem", "CERTIFICATE", certificate), ("key.pem", "PRIVATE KEY", key)]
        {
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
            std::fs::write(folder.path().join(file), pem).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}
