//! A disk that is really full: a tmpfs of 48 KiB in a mount namespace of its own (`unshare` of util-linux).
#![cfg(feature = "external")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;

#[test]
fn a_full_disk_stops_the_run_with_1_and_keeps_what_was_measured() {
    let place = tempfile::tempdir().unwrap();
    let disk = place.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let (program, disk) = (env!("CARGO_BIN_EXE_patchload"), disk.to_str().unwrap());
    let script = format!(
        "mount -t tmpfs -o size=48k tmpfs {disk} || exit 77\n\
         {program} run scenarios/quickstart.toml --out {disk} --duration 120s\n\
         code=$?\n\
         {program} report {disk}/quickstart-* > {report} 2>&1; echo $? >> {report}\n\
         exit $code",
        report = place.path().join("report").display(),
    );
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("this test needs `unshare` of util-linux on the PATH");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_ne!(output.status.code(), Some(77), "this test needs to mount a tmpfs in a namespace of its own: {stderr}");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("error: cannot write") && last.contains("make room on the disk"), "{stderr}");
    assert!(stdout.contains("failure rate"), "the summary is printed all the same: {stdout}");
    let report = fs::read_to_string(place.path().join("report")).unwrap();
    println!("{report}");
    assert!(report.contains("failure rate") || report.contains("make room on the disk"), "{report}");
}
