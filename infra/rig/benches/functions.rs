//! The whole processes: `cargo bench -p rig --bench functions [-- start instructions share growth batch files long]`. Builds the functions as they are
//! shipped, and prints tables; what needs a tool that is not here says so.

#![recursion_limit = "256"]
#![expect(clippy::print_stdout, reason = "tables are what a bench is for")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rig::{
    Ground,
    functions::{self, Profile},
    guard, instructions,
    measure::{self, Figures, Plan},
    peer,
    quota::Quota,
    scenario::Scenario,
};

/// Rounds of which the best of each figure is taken: what other work on the machine adds is never negative.
const ROUNDS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| asked.iter().all(|asked| asked == "long") || asked.iter().any(|asked| asked == part);
    let folder = match std::env::var_os("RIG_BINARIES") {
        Some(folder) => PathBuf::from(folder),
        None => functions::build(Profile::Release)?,
    };
    let bench = Bench { folder, peer: peer::bundle(), long: asked.iter().any(|asked| asked == "long") };
    if let Err(why) = &bench.peer {
        println!("**No peer**: {why:#}. Ratios to Node are left out.\n");
    }
    if wanted("start") {
        Box::pin(bench.start()).await?;
    }
    if wanted("instructions") {
        Box::pin(bench.instructions()).await?;
    }
    if wanted("share") {
        Box::pin(bench.share()).await?;
    }
    if wanted("growth") {
        Box::pin(bench.growth()).await?;
    }
    if wanted("batch") {
        Box::pin(bench.batch()).await?;
    }
    if wanted("files") {
        Box::pin(bench.files()).await?;
    }
    Ok(())
}

struct Bench {
    folder: PathBuf,
    peer: anyhow::Result<PathBuf>,
    /// Also what takes many minutes.
    long: bool,
}

/// What is measured, and with which events.
struct Subject<'a> {
    name: &'a str,
    function: &'a str,
    program: Vec<&'a str>,
}

impl Bench {
    fn binary(&self, function: &str) -> String {
        self.folder.join(function).display().to_string()
    }

    /// Start, first call, warm calls of every function, and of the peer.
    async fn start(&self) -> anyhow::Result<()> {
        println!("## Every function, everything at hand\n");
        println!(
            "Times in ms; *beyond* is without the time AWS, Meta or Chatwoot had a call in hand. The best of {ROUNDS} rounds.\n"
        );
        println!(
            "| function | size, MB | start | its cpu | first call beyond | its cpu | warm p50 beyond | p99 beyond | warm cpu | calls out | peak, MiB | its own |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        let names = functions::names()?;
        let binaries: Vec<String> = names.iter().map(|name| self.binary(name)).collect();
        let mut subjects: Vec<Subject<'_>> = names
            .iter()
            .zip(&binaries)
            .map(|(name, binary)| Subject { name, function: name, program: vec![binary] })
            .collect();
        let bundle = self.peer.as_ref().ok().map(|bundle| bundle.display().to_string());
        if let Some(bundle) = &bundle {
            subjects.push(Subject { name: "Node 20: webhook", function: "webhook", program: vec![peer::NODE, bundle] });
        }
        let mut all: Vec<(String, Figures)> = Vec::new();
        for subject in &subjects {
            let figures = rounds(&Plan {
                function: subject.function,
                program: &subject.program,
                settle: 20,
                calls: 150,
                delay: 0,
                memory_mb: None,
                tls: false,
            })
            .await?;
            let file = subject.program.last().copied().unwrap_or_default();
            row(subject.name, Path::new(file), &figures)?;
            all.push((subject.name.to_owned(), figures));
        }
        let find = |name: &str| all.iter().find(|(known, _)| known == name).map(|(_, figures)| figures);
        if let (Some(ours), Some(theirs)) = (find("webhook"), find("Node 20: webhook")) {
            println!(
                "\n`webhook` as a part of Node's: start {:.3}, first call {:.3}, start and first {:.3}, warm p50 {:.3}, p99 {:.3}, cpu {:.3}, memory {:.3}\n",
                ratio(ours.start, theirs.start),
                ratio(ours.first_beyond, theirs.first_beyond),
                ratio(ours.start + ours.first, theirs.start + theirs.first),
                ratio(ours.beyond.p50, theirs.beyond.p50),
                ratio(ours.beyond.p99, theirs.beyond.p99),
                ratio(ours.warm_cpu, theirs.warm_cpu),
                kib(ours.peak_kib) / kib(theirs.peak_kib)
            );
        }
        println!();
        Ok(())
    }

    async fn instructions(&self) -> anyhow::Result<()> {
        println!("## Instructions, millions\n");
        if !instructions::available() {
            println!("**Left out: valgrind is not here.**\n");
            return Ok(());
        }
        let mut counts = guard::Counts::new();
        for name in functions::names()? {
            let counted = Box::pin(instructions::count(&name, &self.folder.join(&name), None)).await?;
            counts.insert(name, counted);
        }
        println!("{}", guard::table(&counts));
        Ok(())
    }

    /// The first call with Lambda's share of a processor, over TLS.
    async fn share(&self) -> anyhow::Result<()> {
        println!("## The processor share of 128 MB, AWS over TLS, ms\n");
        if !Quota::available() {
            println!("**Left out: no control groups here, or not root.**\n");
            return Ok(());
        }
        println!("| function | start | its cpu | first call | beyond | its cpu | warm p50 | p99 | warm cpu |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        let bundle = self.peer.as_ref().ok().map(|bundle| bundle.display().to_string());
        let mut subjects = Vec::new();
        for name in functions::names()? {
            subjects.push((name.clone(), name.clone(), vec![self.binary(&name)]));
        }
        if let Some(bundle) = bundle {
            subjects.push(("Node 20: webhook".to_owned(), "webhook".to_owned(), vec![peer::NODE.to_owned(), bundle]));
        }
        for (name, function, program) in subjects {
            let program: Vec<&str> = program.iter().map(String::as_str).collect();
            let plan = Plan {
                function: &function,
                program: &program,
                settle: 5,
                calls: 30,
                delay: 0,
                memory_mb: Some(128),
                tls: true,
            };
            let one = rounds(&plan).await?;
            println!(
                "| `{name}` | {} | {} | {} | {} | {} | {} | {} | {} |",
                ms(one.start),
                ms(one.start_cpu),
                ms(one.first),
                ms(one.first_beyond),
                ms(one.first_cpu),
                ms(one.warm.p50),
                ms(one.warm.p99),
                ms(one.warm_cpu)
            );
        }
        println!();
        Ok(())
    }

    /// Bodies from one message to five thousand; what stands in the queue and the table besides.
    async fn growth(&self) -> anyhow::Result<()> {
        println!("## Growth of `webhook` with the body\n");
        println!("| messages | KiB | warm p50 beyond, ms | us a message | cpu, ms | peak, MiB |");
        println!("| --- | --- | --- | --- | --- | --- |");
        let binary = self.binary("webhook");
        let program = [binary.as_str()];
        for messages in [1, 10, 100, 500, 1_000, 2_000, 5_000_u32] {
            let ground = Ground::start().await?;
            let mut scenario = Scenario::body_of(usize::try_from(messages)?);
            let bytes = scenario.next(&ground).await?.len();
            let plan = Self::plan("webhook", &program, if messages > 100 { 5 } else { 30 });
            let one = measure::run_on(&ground, &plan, &mut scenario).await?;
            println!(
                "| {messages} | {} | {} | {:.1} | {} | {:.1} |",
                bytes / 1024,
                ms(one.beyond.p50),
                one.beyond.p50.as_secs_f64() * 1e6 / f64::from(messages),
                ms(one.warm_cpu),
                kib(one.peak_kib) / 1024.0
            );
        }
        println!("\n## `forward` with so much standing behind it\n");
        println!("| items in the table | messages in the queue | warm p50 beyond, ms | cpu, ms |");
        println!("| --- | --- | --- | --- |");
        let binary = self.binary("forward");
        let program = [binary.as_str()];
        let mut ways = vec![(0, 0), (10_000, 0), (100_000, 0), (0, 1_000), (0, 10_000)];
        if self.long {
            ways.push((1_000_000, 0));
        }
        for (items, queued) in ways {
            let ground = Ground::start().await?;
            ground.fill_table(items).await?;
            let plan = Self::plan("forward", &program, 30);
            ground.fill_queue(queued).await?;
            let one = measure::run_on(&ground, &plan, &mut Scenario::of("forward")?).await?;
            println!("| {items} | {queued} | {} | {} |", ms(one.beyond.p50), ms(one.warm_cpu));
        }
        println!();
        Ok(())
    }

    /// Ten conversations at once on services that take their time.
    async fn batch(&self) -> anyhow::Result<()> {
        println!("## A batch of ten conversations, every call taking 250 ms\n");
        println!("| function | one, ms | ten, ms | ratio |\n| --- | --- | --- | --- |");
        for function in ["forward", "send"] {
            let binary = self.binary(function);
            let mut took = Vec::new();
            for customers in [1, 10] {
                let ground = Ground::start().await?;
                let program = [binary.as_str()];
                let plan = Plan { delay: 250, settle: 1, ..Self::plan(function, &program, 3) };
                let one = measure::run_on(&ground, &plan, &mut Scenario::batch_of(function, customers)).await?;
                took.push(one.warm.p50);
            }
            println!("| `{function}` | {} | {} | {:.2} |", ms(took[0]), ms(took[1]), ratio(took[1], took[0]));
        }
        println!();
        Ok(())
    }

    /// Files that never stand in memory as a whole.
    async fn files(&self) -> anyhow::Result<()> {
        println!("## Files\n\n| function | MB | ms | cpu, ms | peak, MiB |\n| --- | --- | --- | --- | --- |");
        for function in ["forward", "send"] {
            let binary = self.binary(function);
            for mb in [1, 16, 100_usize] {
                let ground = Ground::start().await?;
                let program = [binary.as_str()];
                let plan = Plan { settle: 0, ..Self::plan(function, &program, 1) };
                let one = measure::run_on(&ground, &plan, &mut Scenario::file_of(function, mb * 1_000_000)).await?;
                let peak = kib(one.peak_kib) / 1024.0;
                println!("| `{function}` | {mb} | {} | {} | {peak:.1} |", ms(one.warm.p50), ms(one.warm_cpu));
            }
        }
        println!();
        Ok(())
    }

    fn plan<'a>(function: &'a str, program: &'a [&'a str], calls: usize) -> Plan<'a> {
        Plan { function, program, settle: 3, calls, delay: 0, memory_mb: None, tls: false }
    }
}

/// The best of each figure.
async fn rounds(plan: &Plan<'_>) -> anyhow::Result<Figures> {
    let mut best = measure::run(plan).await?;
    for _ in 1..ROUNDS {
        let next = measure::run(plan).await?;
        for (best, next) in [
            (&mut best.start, next.start),
            (&mut best.start_cpu, next.start_cpu),
            (&mut best.first, next.first),
            (&mut best.first_beyond, next.first_beyond),
            (&mut best.first_cpu, next.first_cpu),
            (&mut best.warm.p50, next.warm.p50),
            (&mut best.warm.p99, next.warm.p99),
            (&mut best.beyond.p50, next.beyond.p50),
            (&mut best.beyond.p99, next.beyond.p99),
            (&mut best.warm_cpu, next.warm_cpu),
        ] {
            *best = (*best).min(next);
        }
        best.peak_kib = best.peak_kib.max(next.peak_kib);
    }
    Ok(best)
}

fn row(name: &str, file: &Path, one: &Figures) -> anyhow::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "far below")]
    let size = measure::size(file)? as f64 / 1e6;
    println!(
        "| `{name}` | {size:.1} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} |",
        ms(one.start),
        ms(one.start_cpu),
        ms(one.first_beyond),
        ms(one.first_cpu),
        ms(one.beyond.p50),
        ms(one.beyond.p99),
        ms(one.warm_cpu),
        one.calls_out,
        kib(one.peak_kib) / 1024.0,
        kib(one.own_kib) / 1024.0
    );
    Ok(())
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

fn kib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX))
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64().max(f64::EPSILON)
}
