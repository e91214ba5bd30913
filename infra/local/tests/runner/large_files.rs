//! A file as large as WhatsApp takes passes through true processes, whose memory does not grow with it.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::{
    sides::Sides,
    support::{eventually, function_pid},
};

const MIB: usize = 1024 * 1024;

/// The most memory a process ever had, in KiB.
fn peak(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_of_100_mb_is_streamed_and_never_held() {
    let sides = Sides::start().await;
    let data = sides.directory.path().join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    let _runner = sides.launch(command.args(["--data", data.to_str().unwrap()]).stderr(Stdio::null()));
    let ana = sides.meta.customer("Ana", "5215555550123");
    ana.writes("hola").await.unwrap();
    eventually("Ana's conversation", || sides.chatwoot.conversation_of("Ana").is_some());
    let conversation = sides.chatwoot.conversation_of("Ana").unwrap();
    let sofia = sides.chatwoot.agent("Sofía");

    // A small one first: whatever a file needs at all is loaded then.
    let sends = async |size: usize, heard: usize| {
        let files = vec![("manual.pdf".to_owned(), "application/pdf".to_owned(), vec![7; size])];
        sofia.sends_files(conversation, None, files).await;
        eventually("the file", || ana.heard().len() == heard);
        let got = ana.phone().pop().unwrap();
        assert_eq!((got.kind.as_str(), got.bytes.map(|bytes| bytes.len())), ("document", Some(size)));
    };
    sends(1024, 1).await;
    let send = function_pid(&data, "send").unwrap();
    let before = peak(send);
    sends(100 * MIB, 2).await;
    assert_eq!(function_pid(&data, "send"), Some(send), "another process did it");
    let grown = (peak(send) - before) / 1024;
    println!("peak before {before} KiB, {grown} MiB more with the file");
    assert!(grown < 16, "{grown} MiB more for a file of 100 MiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_document_of_100_mb_is_streamed_and_never_held() {
    let sides = Sides::start().await;
    let data = sides.directory.path().join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    let _runner = sides.launch(command.args(["--data", data.to_str().unwrap()]).stderr(Stdio::null()));
    let ana = sides.meta.customer("Ana", "5215555550123");
    let brings = async |size: usize, name: &str| {
        ana.sends_file("document", vec![7; size], "application/pdf", Some(name), None).await.unwrap();
        let length = || {
            let conversation = sides.chatwoot.conversation_of("Ana")?;
            let files = sides.chatwoot.messages(conversation).into_iter().flat_map(|message| message.attachments);
            let found = files.into_iter().find(|file| file.filename == name)?;
            Some(found.bytes.len())
        };
        eventually("the file", || length().is_some());
        assert_eq!(length(), Some(size));
    };
    brings(1024, "chica.pdf").await;
    let forward = function_pid(&data, "forward").unwrap();
    let before = peak(forward);
    brings(39 * MIB, "grande.pdf").await;
    assert_eq!(function_pid(&data, "forward"), Some(forward), "another process did it");
    let grown = (peak(forward) - before) / 1024;
    println!("peak before {before} KiB, {grown} MiB more with the file");
    assert!(grown < 16, "{grown} MiB more for a file of 39 MiB");
}
