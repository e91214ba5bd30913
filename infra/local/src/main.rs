//! The binary of the local runner.

fn main() -> anyhow::Result<std::process::ExitCode> {
    local::main()
}
