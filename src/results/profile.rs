//! The folder of a profile: it holds whatever files it is given, each of them whole.

use std::path::{Path, PathBuf};

use super::{Error, folder};

/// The folder of a profile. Dropping it leaves everything as it was last written.
#[derive(Debug)]
pub struct ProfileFolder {
    path: PathBuf,
}

impl ProfileFolder {
    /// Makes the folder `root/NAME-profile-UTCTIME`, with a suffix where that exists.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(root: &Path, name: &str, started_unix_s: f64) -> Result<Self, Error> {
        let name = folder::named(&format!("{name}-profile"), started_unix_s);
        Ok(Self { path: folder::create_folder(root, &name)? })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a whole file, in the place of what it held before: nobody ever sees half of it.
    ///
    /// # Errors
    /// When it cannot be written; what it held before is left then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        folder::replace(&self.path, name, bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_second_folder_of_the_same_second_has_a_suffix_and_files_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let folders = [0, 1].map(|_| ProfileFolder::create(root.path(), "a/b", 1_795_300_000.0).unwrap());
        let names = folders.each_ref().map(|folder| folder.path().file_name().unwrap().to_str().unwrap().to_owned());
        assert!(names[0].starts_with("a-b-profile-20261121T") && names[1] == format!("{}-2", names[0]), "{names:?}");
        for bytes in [&b"long"[..], b"new"] {
            folders[0].write("profile.csv", bytes).unwrap();
            assert_eq!(fs::read(folders[0].path().join("profile.csv")).unwrap(), bytes);
        }
    }
}
