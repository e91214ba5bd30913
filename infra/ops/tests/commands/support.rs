//! Runs the true binary.

use std::{
    io::Write as _,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use stories::World;

/// The binary, with nothing of this machine's environment.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ops"));
    command.env_clear().env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs it with this on its standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    process.wait_with_output().unwrap()
}

/// Starts one command on the world's AWS, to be killed.
pub(crate) fn start(world: &World, arguments: &[&str], input: &str) -> Child {
    let mut command = command(world, arguments);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    process
}

fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = binary();
    command.args(arguments).envs(world.stage.credentials("operator"));
    command.env("GRAPH_URL", world.meta.url()).env("CHATWOOT_URL", world.chatwoot.url());
    command
}

/// Runs one command on the world's AWS, between the world's two sides.
pub(crate) fn ops(world: &World, arguments: &[&str], input: &str) -> Output {
    run(&mut command(world, arguments), input)
}

/// What it says as JSON, when it ends with that code.
pub(crate) fn says(world: &World, code: i32, arguments: &[&str], input: &str) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let output = ops(world, &arguments, input);
    assert_eq!(output.status.code(), Some(code), "{arguments:?} {}", complaint(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What stands on its standard error.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What stands on its standard output.
pub(crate) fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
