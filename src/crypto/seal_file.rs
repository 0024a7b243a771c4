//! The seal keys' file: made once, replaced whole, and readable by its owner only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Result, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::random;
use super::seal_keys::SealKeys;

/// Reads the keys.
pub(super) fn read(file: &Path) -> Result<SealKeys> {
    let text = Zeroizing::new(fs::read_to_string(file)?);
    SealKeys::parse(&text).ok_or_else(|| Error::other(SealKeys::FORM))
}

/// Reads the keys, or makes a file with one when there is none.
pub(super) fn read_or_make(file: &Path) -> Result<SealKeys> {
    match read(file) {
        Err(e) if e.kind() == ErrorKind::NotFound => make(file),
        outcome => outcome,
    }
}

fn make(file: &Path) -> Result<SealKeys> {
    fs::create_dir_all(folder_of(file))?;
    let keys = SealKeys::generate();
    // Whole before it has its name, and never over one that another process made meanwhile.
    let fresh = file.with_extension(format!("{}.new", random::alphanumeric(8)));
    write(&fresh, &keys)?.sync_all()?;
    let linked = fs::hard_link(&fresh, file);
    fs::remove_file(&fresh)?;
    File::open(folder_of(file))?.sync_all()?;
    match linked {
        Ok(()) => Ok(keys),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => read(file),
        Err(e) => Err(e),
    }
}

/// Puts these keys in the place of what the file holds: before a crash and after it, one or the other is there, whole.
/// Only under [`lock`].
pub(crate) fn replace(file: &Path, keys: &SealKeys) -> Result<()> {
    // The file itself and not a link to it; one name, so that what a crash left behind does not lie about for ever.
    let file = fs::canonicalize(file)?;
    let fresh = fresh_name(&file);
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let prepared = prepare(&file, &fresh, keys).and_then(|()| fs::rename(&fresh, &file));
    if prepared.is_err() {
        // What failed is told; that the rest could not be taken away adds nothing.
        let _ = fs::remove_file(&fresh);
    }
    prepared?;
    File::open(folder_of(&file))?.sync_all()
}

/// Whoever holds this is the only one that replaces the file; its end, or the process's, lets go.
///
/// # Errors
/// `WouldBlock` when another process does so now.
pub(crate) fn lock(file: &Path) -> Result<File> {
    let folder = File::open(folder_of(&fs::canonicalize(file)?))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn prepare(file: &Path, fresh: &Path, keys: &SealKeys) -> Result<()> {
    let before = fs::metadata(file)?;
    let out = write(fresh, keys)?;
    let made = out.metadata()?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        // An operator's command must not lock the server's user out.
        fchown(&out, Some(before.uid()), Some(before.gid()))?;
    }
    out.sync_all()
}

fn write(fresh: &Path, keys: &SealKeys) -> Result<File> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
    out.write_all(keys.to_text().as_bytes())?;
    Ok(out)
}

fn fresh_name(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn text(file: &Path) -> String {
        fs::read_to_string(file).unwrap()
    }

    #[test]
    fn the_key_file_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/seal.key");
        let first = read_or_make(&file).unwrap();
        let again = read_or_make(&file).unwrap();
        assert_eq!(*first.to_text(), *again.to_text());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_is_replaced_whole_by_one_at_a_time_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("seal.key"), dir.path().join("linked/seal.key"));
        let old = read_or_make(&file).unwrap();
        fs::create_dir(dir.path().join("linked")).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let held = lock(&link).unwrap();
        assert_eq!(lock(&file).unwrap_err().kind(), ErrorKind::WouldBlock);
        // What a crash before the new name left behind is in nobody's way.
        fs::write(fresh_name(&file), "half").unwrap();
        let both = old.with_a_new_one_first();
        replace(&link, &both).unwrap();
        assert_eq!(text(&file), *both.to_text());
        assert!(text(&file).ends_with(old.to_text().as_str()), "the old key is still there");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(link.is_symlink() && !fresh_name(&file).exists());
        drop(held);
        lock(&file).unwrap();
    }
}
