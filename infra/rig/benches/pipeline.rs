//! The pipeline on this machine: messages a second, and how long each is on its way. `cargo bench -p rig --bench pipeline`. The runner is
//! built like the functions that are shipped; its own functions are the same code in one binary.

#![recursion_limit = "256"]
#![expect(clippy::print_stdout, reason = "tables are what a bench is for")]

use std::path::PathBuf;

use rig::{
    functions,
    pipeline::{Load, Pipeline},
};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    // A runner of another build, if one is named.
    let named = std::env::var_os("RIG_RUNNER").map(PathBuf::from);
    let runner = named.map_or_else(functions::build_runner, Ok)?;
    println!("## The pipeline through the local runner, both simulators on the same two processors\n");
    println!("| load | messages | a second | lag p50, ms | p99, ms | processor time a message, ms |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (customers, each) in [(1, 20), (50, 1), (50, 20)] {
        let pipeline = Pipeline::start(&runner).await?;
        // Processes are started and customers known.
        pipeline.customers_write(customers, 1).await?;
        row(&format!("{customers} customers write {each} each"), &pipeline.customers_write(customers, each).await?);
        row(
            &format!("agents answer {customers} customers {each} times"),
            &pipeline.agents_answer(customers, each).await?,
        );
    }
    println!();
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn row(what: &str, load: &Load) {
    let messages = load.messages as f64;
    let cpu: Vec<String> = load
        .cpu
        .iter()
        .map(|(name, time)| format!("{name} {:.2}", time.as_secs_f64() * 1e3 / messages))
        .filter(|text| !text.ends_with(" 0.00"))
        .collect();
    println!(
        "| {what} | {} | {:.0} | {:.0} | {:.0} | {} |",
        load.messages,
        messages / load.took.as_secs_f64(),
        load.lag.p50.as_secs_f64() * 1e3,
        load.lag.p99.as_secs_f64() * 1e3,
        cpu.join(", ")
    );
}
