//! argv → command → exit code.

fn main() -> std::process::ExitCode {
    veritail::cli::main()
}
