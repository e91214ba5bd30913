//! The import of a phone's past: `cargo bench -p rig --bench history [-- import load body]`. `import` runs on a clock that is moved;
//! `load` and `body` run the processes, `load` at no rate, since an hour of waiting shows nothing.

#![recursion_limit = "256"]
#![expect(clippy::print_stdout, reason = "tables are what a bench is for")]

use std::time::Duration;

use domain::{Clock as _, SystemClock};
use rig::{
    BenchStack, Process,
    functions::{self, Profile},
    history::{self, Past},
};
use simulator_wire::answering;

/// The sizes, the largest with as many people as a shop has.
const SIZES: [Past; 3] =
    [Past { people: 20, each: 50 }, Past { people: 200, each: 50 }, Past { people: 2_000, each: 50 }];

/// Bodies of which the last ones are measured.
const BODIES: usize = 8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    if wanted("import") {
        Box::pin(import()).await?;
    }
    if wanted("load") {
        Box::pin(load()).await?;
    }
    if wanted("body") {
        Box::pin(body()).await?;
    }
    Ok(())
}

async fn import() -> anyhow::Result<()> {
    println!("## An import at the rate of the policy, on a clock that is moved\n");
    println!(
        "| messages | people | requests to Chatwoot | a message | most a minute | hours | as a part of the rate's floor | told | batches | calls to AWS a message | writes | reads | US$ |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for past in SIZES {
        let one = Box::pin(history::import(past)).await?;
        let messages = float(one.messages);
        println!(
            "| {} | {} | {} | {:.3} | {} | {:.2} | {:.2} | {} | {} | {:.2} | {} | {} | {:.3} |",
            one.messages,
            past.people,
            one.cost.chatwoot,
            float(one.cost.chatwoot) / messages,
            one.most_a_minute,
            one.took.as_secs_f64() / 3_600.0,
            one.took.as_secs_f64() / one.floor.as_secs_f64(),
            one.told,
            one.cost.batches,
            float(one.cost.aws) / messages,
            one.cost.writes,
            one.cost.reads,
            one.cost.micros() / 1e6,
        );
    }
    println!();
    Ok(())
}

async fn load() -> anyhow::Result<()> {
    let folder = functions::binaries(Profile::Release)?;
    let program = functions::binary(&folder, "history").display().to_string();
    println!("## The process of `history`, at no rate, and live messages through `forward` beside it\n");
    println!(
        "| messages | batches | us of processor a message | peak, MiB | live alone p50, ms | p99 | beside it p50 | p99 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for past in SIZES {
        let one = Box::pin(history::load(past, &program)).await?;
        println!(
            "| {} | {} | {:.0} | {:.1} | {} | {} | {} | {} |",
            one.messages,
            one.batches,
            one.cpu.as_secs_f64() * 1e6 / float(one.messages),
            float(usize::try_from(one.peak_kib)?) / 1024.0,
            ms(one.alone.p50),
            ms(one.alone.p99),
            ms(one.beside.p50),
            ms(one.beside.p99),
        );
    }
    println!();
    Ok(())
}

/// Bodies of history through `webhook`.
async fn body() -> anyhow::Result<()> {
    let folder = functions::binaries(Profile::Release)?;
    let program = functions::binary(&folder, "webhook").display().to_string();
    println!("## A body of history through `webhook`, ten messages a chat\n");
    println!(
        "| messages | KiB | beyond, ms | cpu, ms | us of it a message | calls out | batches into the queue | peak, MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for messages in [100, 1_000, 5_000] {
        let ground = BenchStack::start().await?;
        let mut process =
            Process::start(&[&program], &ground.variables("webhook")?, std::process::Stdio::null()).await?;
        let (mut kib, mut beyond, mut cpu, mut out, mut batches) = (0, Vec::new(), Duration::MAX, 0, 0);
        for at in 0..BODIES {
            let body = history::large_body(messages, at * 1_000, SystemClock.now().as_secs()).to_string();
            let event = rig::scenario::post(&ground, &body)?;
            kib = body.len() / 1024;
            process.ready().await?;
            ground.record();
            ground.calls();
            let before = process.processor()?;
            let outcome = process.call(event).await?;
            process.ready().await?;
            let calls = ground.calls();
            anyhow::ensure!(outcome.answer.is_ok(), "the body was not taken");
            if at > 1 {
                cpu = cpu.min(process.processor()?.saturating_sub(before));
                let all: Vec<_> = calls.iter().map(|(_, call)| call.clone()).collect();
                beyond.push(outcome.took.saturating_sub(answering(&all)));
                (out, batches) = (calls.len(), history::sends(&calls));
            }
        }
        println!(
            "| {messages} | {kib} | {} | {} | {:.1} | {out} | {batches} | {:.1} |",
            ms(rig::measure::Spread::of(beyond).p50),
            ms(cpu),
            cpu.as_secs_f64() * 1e6 / float(messages),
            float(usize::try_from(process.peak_kib()?)?) / 1024.0,
        );
        process.terminate().await?;
    }
    println!();
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below")]
fn float(count: usize) -> f64 {
    count as f64
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
