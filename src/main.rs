//! The `patchload` command; see the library's documentation for its insides.

use std::process::ExitCode;

fn main() -> ExitCode {
    patchload::cli::main()
}
