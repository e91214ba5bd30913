//! The operator's own tool. Everything it does goes by the same code as the functions, on the operator's AWS credentials.

fn main() -> std::process::ExitCode {
    ops::main()
}
