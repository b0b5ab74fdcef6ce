//! Writing a run folder while the run goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::document::Said;
use super::snapshot::Origin;
use super::{Error, LOG, RUN, SNAPSHOT, TIMELINE, document, log, snapshot, tables};
use crate::judge::Judgement;
use crate::measure::{Header, Kept, Restoration, Run, Second, State, Totals, Warning};
use crate::units::format::utc;

/// A run folder that its run has open. Dropping it closes the files and leaves everything as it was last written.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    header: Header,
    /// What was judged of the run; only at its end.
    judgement: Option<Judgement>,
    /// What became of the attributes; only at its end, of a run that puts them back.
    restoration: Option<Restoration>,
    log: Appender,
    timeline: Appender,
}

impl Folder {
    /// Makes the folder `root/NAME-UTCTIME`, with a suffix where that exists, and all its files without any second.
    ///
    /// # Errors
    /// When the folder cannot be made or a file cannot be written.
    pub fn create(root: &Path, header: &Header) -> Result<Self, Error> {
        Self::fill(create_folder(root, &folder_name(header))?, header)
    }

    /// Makes the folder `path`, which must not be there, and all its files without any second.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub(super) fn create_at(path: PathBuf, header: &Header) -> Result<Self, Error> {
        fs::create_dir(&path).map_err(|reason| Error::Create { path: path.clone(), reason })?;
        Self::fill(path, header)
    }

    fn fill(path: PathBuf, header: &Header) -> Result<Self, Error> {
        let log = Appender::create(path.join(LOG), &log::head(header))?;
        let timeline = Appender::create(path.join(TIMELINE), &tables::timeline_head())?;
        // Tells `rebuild` that the run goes on, and ends with the process however that ends. It is a courtesy: where
        // the file system knows no locks, the run does without.
        let _ = timeline.file.try_lock();
        let folder = Self { path, header: header.clone(), judgement: None, restoration: None, log, timeline };
        folder.rewrite(State::Running, &[], &Totals::new(header.variants.len()))?;
        Ok(folder)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one closed second; `totals` holds it already. Seconds come in ascending order.
    ///
    /// # Errors
    /// When a file cannot be written. What could not be appended is kept and written before the next second. That no
    /// file can be opened for want of descriptors is no error: it passes.
    pub fn second(&mut self, second: &Second, totals: &Totals) -> Result<(), Error> {
        self.log.push(&log::lines(&self.header, second));
        self.timeline.push(&tables::timeline_row(&self.header, second));
        self.append()?;
        match self.rewrite(State::Running, &[], totals) {
            // Connections have taken all descriptors. What is open already is written; the rest is as it was a second
            // before, and is written whole at the latest by `finish`, when the connections are closed.
            Err(error) if error.is_for_want_of_descriptors() => Ok(()),
            result => result,
        }
    }

    /// Takes on what was judged of the run, to be written with the last word on it.
    pub fn judged(&mut self, judgement: Judgement) {
        self.judgement = Some(judgement);
    }

    /// Takes on what became of the attributes, to be written with the last word on the run.
    pub fn restored(&mut self, restoration: Restoration) {
        self.restoration = Some(restoration);
    }

    /// Writes what the attributes were before the run, so that they can be put back whatever becomes of this process. They
    /// are customers' data, so nobody but the owner may read the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, origin: &Origin, kept: &[Kept]) -> Result<(), Error> {
        replace_with(&self.path, SNAPSHOT, create_private, buffered(|out| snapshot::write(origin, kept, out)))
    }

    /// Writes the last word on the run, when all its seconds are written.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(&mut self, run: &Run) -> Result<(), Error> {
        self.append()?;
        self.header.clone_from(&run.header);
        self.rewrite(run.state, &run.warnings, &run.totals)
    }

    /// Writes another file of the folder: `fill` gives its content.
    ///
    /// # Errors
    /// When the file cannot be written; half of it is never left.
    pub fn attach(&self, name: &str, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
        replace_with(&self.path, name, |path| File::create(path), buffered(fill))
    }

    /// The row of `timeline.csv` commits a second, so it is written when the second's histograms are.
    fn append(&mut self) -> Result<(), Error> {
        self.log.flush()?;
        self.timeline.flush()
    }

    fn rewrite(&self, state: State, warnings: &[Warning], totals: &Totals) -> Result<(), Error> {
        // While the run goes on, `run.json` comes first: it decides how many seconds can be read back. Its last word
        // comes last: a folder that says that its run is over is complete.
        let judgement = self.judgement.as_ref().filter(|_| state != State::Running);
        let json = document::write(
            Said { header: &self.header, state, warnings, judgement, restoration: self.restoration.as_ref() },
            totals,
        );
        if state == State::Running {
            replace(&self.path, RUN, &json)?;
        }
        for (name, bytes) in tables::all(&self.header, totals) {
            replace(&self.path, name, &bytes)?;
        }
        if state == State::Running { Ok(()) } else { replace(&self.path, RUN, &json) }
    }
}

/// Writes a whole file of the folder: nobody ever sees half of it.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    replace_with(folder, name, |path| File::create(path), |mut file| file.write_all(bytes))
}

/// A writer of a whole file, by way of a buffer.
fn buffered(fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> impl FnOnce(File) -> io::Result<()> {
    |file| {
        let mut buffered = BufWriter::new(file);
        fill(&mut buffered)?;
        buffered.flush()
    }
}

/// Makes a file that nobody but its owner may read; it must not be there, because it would keep the rights that it has.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn replace_with(
    folder: &Path,
    name: &str,
    create: impl FnOnce(&Path) -> io::Result<File>,
    fill: impl FnOnce(File) -> io::Result<()>,
) -> Result<(), Error> {
    let path = folder.join(name);
    let partial = folder.join(format!(".{name}.partial"));
    create(&partial).and_then(fill).and_then(|()| fs::rename(&partial, &path)).map_err(|reason| {
        // A second failure would only hide the first.
        let _ = fs::remove_file(&partial);
        Error::Write { path, reason }
    })
}

/// A file that only grows, by whole lines.
#[derive(Debug)]
struct Appender {
    path: PathBuf,
    file: File,
    /// Bytes that are written for good.
    length: u64,
    /// Lines that are to be written.
    pending: Vec<u8>,
}

impl Appender {
    fn create(path: PathBuf, head: &[u8]) -> Result<Self, Error> {
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(Error::write(&path))?;
        let mut this = Self { path, file, length: 0, pending: head.to_vec() };
        this.flush()?;
        Ok(this)
    }

    fn push(&mut self, lines: &[u8]) {
        self.pending.extend_from_slice(lines);
    }

    /// Writes all pending lines or, as far as the disk obeys, none: half a line would spoil the next one.
    fn flush(&mut self) -> Result<(), Error> {
        if let Err(reason) = self.file.write_all(&self.pending) {
            let _ = self.file.set_len(self.length);
            return Err(Error::Write { path: self.path.clone(), reason });
        }
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

/// Makes a folder of that name, or with the first free suffix of `-2`, `-3` and so on.
pub(super) fn create_folder(root: &Path, name: &str) -> Result<PathBuf, Error> {
    fs::create_dir_all(root).map_err(|reason| Error::Create { path: root.to_owned(), reason })?;
    let mut path = root.join(name);
    let mut suffix = 1_u32;
    loop {
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(reason) if reason.kind() == io::ErrorKind::AlreadyExists => {
                suffix += 1;
                path = root.join(format!("{name}-{suffix}"));
            }
            Err(reason) => return Err(Error::Create { path, reason }),
        }
    }
}

/// The name and the time, such as `attributes-20261121T134501Z`; what a file name should not hold becomes a dash.
pub(super) fn folder_name(header: &Header) -> String {
    named(&header.name, header.started_unix_s)
}

/// The same of any name and time, in seconds since 1970-01-01T00:00:00Z.
pub(super) fn named(name: &str, started_unix_s: f64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let time = utc(started_unix_s).replace(['-', ':'], "");
    format!("{name}-{time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nobody_but_the_owner_may_read_what_is_kept_of_customers() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SNAPSHOT);
        // Beside one that anybody may read, too.
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace_with(folder.path(), SNAPSHOT, create_private, |mut file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_a_full_disk_refused_is_kept_for_later() {
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later");
        let mut appender = Appender { path: path.clone(), file: full, length: 0, pending: Vec::new() };
        appender.push(b"first\n");
        let error = appender.flush().unwrap_err().to_string();
        assert!(error.contains("later") && error.contains("make room on the disk"), "{error}");
        appender.file = File::create(&path).unwrap();
        appender.push(b"second\n");
        appender.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first\nsecond\n");
    }
}
