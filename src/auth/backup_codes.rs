//! Backup codes: how they look, and the hash by which each is kept.

use zeroize::Zeroizing;

use crate::crypto::random;
use crate::crypto::root::RootKeys;
use crate::domain::secret::BackupCode;

/// How many backup codes an account has, and how long each is (docs/protocol.md, "Backup codes").
const CODES: usize = 10;
const CODE_CHARS: usize = 8;
const HALF_CHARS: usize = 5;

/// How backup codes look on the surface that shows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CodeForm {
    /// Eight characters.
    Plain,
    /// `xxxxx-xxxxx`.
    Dashed,
}

/// Ten new codes in the form of the surface that shows them.
pub(super) fn fresh_codes(form: CodeForm) -> Vec<BackupCode> {
    let one = || match form {
        CodeForm::Plain => random::readable(CODE_CHARS),
        CodeForm::Dashed => format!("{}-{}", random::readable(HALF_CHARS), random::readable(HALF_CHARS)),
    };
    (0..CODES).map(|_| BackupCode::new(one())).collect()
}

/// The purpose of the hash by which a backup code is kept: keyed, and salted by its account.
const BACKUP_CODE: &str = "backup code";

/// The hash by which a new code is kept.
pub(super) fn hash_of(root: &RootKeys, account: uuid::Uuid, code: &BackupCode) -> [u8; 32] {
    root.mac(BACKUP_CODE, &[account.as_bytes(), folded(code).as_bytes()])
}

/// All hashes by which a typed code may be kept: it may have been made before the root key was rotated, and codes of the
/// dashed form that were made before case was ignored are kept as they were shown.
pub(super) fn hashes_of(root: &RootKeys, account: uuid::Uuid, code: &BackupCode) -> Vec<[u8; 32]> {
    let folded = folded(code);
    let hashes = [folded.as_str(), code.expose()]
        .map(|text| root.macs(BACKUP_CODE, &[account.as_bytes(), text.as_bytes()]));
    hashes.concat()
}

/// The form of a backup code that is hashed: codes with a dash are read in either case (docs/protocol.md, "Typed
/// codes").
fn folded(code: &BackupCode) -> Zeroizing<String> {
    let text = code.expose();
    Zeroizing::new(if text.contains('-') { text.to_lowercase() } else { text.to_owned() })
}
