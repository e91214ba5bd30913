//! The whole processes: `cargo bench -p rig --bench functions [-- start instructions share growth batch files --delay=MS]`. Builds
//! the functions as they are shipped, and prints tables; what needs a tool that is not here says so. With `--delay` every call to AWS,
//! Meta and Chatwoot takes so many milliseconds longer in the parts `start`, `share` and `growth`.

#![recursion_limit = "256"]
#![expect(clippy::print_stdout, reason = "tables are what a bench is for")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rig::{
    BenchStack,
    functions::{self, Profile},
    guard, instructions,
    measure::{self, Figures, Plan, Spread},
    peer,
    quota::Quota,
    scenario::Scenario,
};

/// Rounds, in each of which everybody has a turn: what the machine does besides meets all alike, and ratios are formed within a round.
const ROUNDS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    let delay = std::env::args().find_map(|argument| Some(argument.strip_prefix("--delay=")?.parse()));
    let bench = Bench {
        folder: functions::binaries(Profile::Release)?,
        floor: functions::build_floor()?,
        peer: peer::bundle(),
        delay: delay.transpose()?.unwrap_or_default(),
    };
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
    /// What Lambda's runtime needs for itself.
    floor: PathBuf,
    peer: anyhow::Result<PathBuf>,
    /// What every call out takes longer, in milliseconds.
    delay: u64,
}

/// What is measured, and with which events.
struct Candidate {
    name: String,
    function: String,
    program: Vec<String>,
    newcomers: bool,
}

impl Candidate {
    fn scenario(&self) -> anyhow::Result<Scenario> {
        if self.newcomers { Ok(Scenario::newcomers()) } else { Scenario::of(&self.function) }
    }
}

/// The peer, as it stands in the tables.
const PEER: &str = "Node 20: webhook";

/// The floor, as it stands in the tables.
const FLOOR: &str = "floor: an echo";

impl Bench {
    fn binary(&self, function: &str) -> String {
        functions::binary(&self.folder, function).display().to_string()
    }

    /// Every function, `forward` once more for new customers, and the peer next to the function it is a peer of.
    fn subjects(&self) -> anyhow::Result<Vec<Candidate>> {
        let mut subjects = Vec::new();
        let subject = |name: &str, function: &str, program: Vec<String>| Candidate {
            name: name.to_owned(),
            function: function.to_owned(),
            program,
            newcomers: false,
        };
        for name in functions::names()? {
            subjects.push(subject(&name, &name, vec![self.binary(&name)]));
            if name == "forward" {
                let newcomers = subject("forward, a new customer", &name, vec![self.binary(&name)]);
                subjects.push(Candidate { newcomers: true, ..newcomers });
            }
        }
        subjects.push(subject(FLOOR, "webhook", vec![self.floor.display().to_string()]));
        if let Ok(bundle) = &self.peer {
            subjects.push(subject(PEER, "webhook", vec![peer::NODE.to_owned(), bundle.display().to_string()]));
        }
        Ok(subjects)
    }

    /// Figures of every subject, round by round.
    async fn rounds(&self, subjects: &[Candidate], plan: &Plan<'_>) -> anyhow::Result<Vec<Vec<Figures>>> {
        let mut all = vec![Vec::new(); subjects.len()];
        for _ in 0..ROUNDS {
            for (subject, figures) in subjects.iter().zip(&mut all) {
                let program: Vec<&str> = subject.program.iter().map(String::as_str).collect();
                // A number sends 80 in a row and then rests for a second, so that no more of `send` are called here.
                let calls = if subject.function == "send" { plan.calls.min(50) } else { plan.calls };
                let plan = Plan { function: &subject.function, program: &program, calls, ..plan.clone() };
                let ground = BenchStack::start().await?;
                figures.push(measure::run_on(&ground, &plan, &mut subject.scenario()?).await?);
            }
        }
        Ok(all)
    }

    /// Start, first call, warm calls of every function, and of the peer.
    async fn start(&self) -> anyhow::Result<()> {
        println!("## Every function, everything at hand, stubs {} ms slower\n", self.delay);
        println!(
            "Times in ms; *beyond* is without the time AWS, Meta or Chatwoot had a call in hand. Of {ROUNDS} rounds in turn: the least of start and processor time, the median of the rest.\n"
        );
        println!(
            "| function | size, MB | start | its cpu | first call beyond | its cpu | warm p50 beyond | p99 beyond | warm cpu | calls out | peak, MiB | its own |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        let subjects = self.subjects()?;
        let plan = Plan { settle: 20, calls: 150, ..self.plan("", &[], 0) };
        let all = self.rounds(&subjects, &plan).await?;
        for (subject, rounds) in subjects.iter().zip(&all) {
            let file = subject.program.last().map(String::as_str).unwrap_or_default();
            row(&subject.name, Path::new(file), &together(rounds))?;
        }
        let find = |name: &str| subjects.iter().position(|subject| subject.name == name).map(|at| &all[at]);
        for other in [PEER, FLOOR] {
            let (Some(ours), Some(theirs)) = (find("webhook"), find(other)) else { continue };
            let part = |of: fn(&Figures) -> f64| {
                middle(ours.iter().zip(theirs).map(|(ours, theirs)| of(ours) / of(theirs).max(f64::EPSILON)).collect())
            };
            println!(
                "\n`webhook` as a part of {other}, the median of the rounds: start {:.3}, first call {:.3}, start and first {:.3}, warm p50 {:.3}, p99 {:.3}, cpu {:.3}, memory {:.3}\n",
                part(|one| one.start.as_secs_f64()),
                part(|one| one.first_beyond.as_secs_f64()),
                part(|one| (one.start + one.first).as_secs_f64()),
                part(|one| one.beyond.p50.as_secs_f64()),
                part(|one| one.beyond.p99.as_secs_f64()),
                part(|one| one.warm_cpu.as_secs_f64()),
                part(|one| kib(one.peak_kib)),
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
        for (name, function) in functions::counted()? {
            let counted = Box::pin(instructions::count(&name, &function, &self.folder, None)).await?;
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
        let subjects = self.subjects()?;
        let plan = Plan { settle: 5, memory_mb: Some(128), tls: true, ..self.plan("", &[], 30) };
        let all = self.rounds(&subjects, &plan).await?;
        for (Candidate { name, .. }, rounds) in subjects.iter().zip(&all) {
            let one = together(rounds);
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
        println!("## Growth of `webhook` with the body, its messages of fifty customers\n");
        println!(
            "| messages | KiB | warm p50 beyond, ms | as a part of Node's | cpu, ms | us of it a message | as a part of Node's | peak, MiB |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        let binary = self.binary("webhook");
        let program = [binary.as_str()];
        let bundle = self.peer.as_ref().ok().map(|bundle| bundle.display().to_string());
        for messages in [1, 10, 100, 500, 1_000, 2_000, 5_000_u32] {
            let ground = BenchStack::start().await?;
            let mut scenario = Scenario::body_of(usize::try_from(messages)?);
            let bytes = scenario.next(&ground).await?.len();
            let plan = self.plan("webhook", &program, if messages > 100 { 5 } else { 30 });
            let one = measure::run_on(&ground, &plan, &mut scenario).await?;
            let (mut time, mut cpu) = ("—".to_owned(), "—".to_owned());
            if let Some(bundle) = &bundle {
                let plan = Plan { program: &[peer::NODE, bundle], ..plan };
                let ground = BenchStack::start().await?;
                let theirs =
                    measure::run_on(&ground, &plan, &mut Scenario::body_of(usize::try_from(messages)?)).await?;
                time = format!("{:.2}", ratio(one.beyond.p50, theirs.beyond.p50));
                cpu = format!("{:.2}", ratio(one.warm_cpu, theirs.warm_cpu));
            }
            println!(
                "| {messages} | {} | {} | {time} | {} | {:.1} | {cpu} | {:.1} |",
                bytes / 1024,
                ms(one.beyond.p50),
                ms(one.warm_cpu),
                one.warm_cpu.as_secs_f64() * 1e6 / f64::from(messages),
                kib(one.peak_kib) / 1024.0
            );
        }
        println!("\n## `forward` with so much standing behind it\n");
        println!("| items in the table | messages in the queue | warm p50 beyond, ms | cpu, ms |");
        println!("| --- | --- | --- | --- |");
        let binary = self.binary("forward");
        let program = [binary.as_str()];
        let ways = [(0, 0), (10_000, 0), (100_000, 0), (1_000_000, 0), (0, 1_000), (0, 10_000)];
        for (items, queued) in ways {
            let ground = BenchStack::start().await?;
            ground.fill_table(items).await?;
            let plan = self.plan("forward", &program, 30);
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
                let ground = BenchStack::start().await?;
                let program = [binary.as_str()];
                let plan = Plan { delay: 250, settle: 1, ..self.plan(function, &program, 3) };
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
                let ground = BenchStack::start().await?;
                let program = [binary.as_str()];
                let plan = Plan { settle: 0, delay: 0, ..self.plan(function, &program, 1) };
                let one = measure::run_on(&ground, &plan, &mut Scenario::file_of(function, mb * 1_000_000)).await?;
                let peak = kib(one.peak_kib) / 1024.0;
                println!("| `{function}` | {mb} | {} | {} | {peak:.1} |", ms(one.warm.p50), ms(one.warm_cpu));
            }
        }
        println!();
        Ok(())
    }

    fn plan<'a>(&self, function: &'a str, program: &'a [&'a str], calls: usize) -> Plan<'a> {
        Plan { function, program, settle: 3, calls, delay: self.delay, memory_mb: None, tls: false }
    }
}

/// One figure out of the rounds. What other work adds to a start or to processor time is never negative, so the least is nearest to the
/// truth; of what a caller sees, the middle.
fn together(rounds: &[Figures]) -> Figures {
    let least = |of: fn(&Figures) -> Duration| rounds.iter().map(of).min().unwrap_or_default();
    let median = |of: fn(&Figures) -> Duration| {
        let mut all: Vec<Duration> = rounds.iter().map(of).collect();
        all.sort();
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Figures {
        start: least(|one| one.start),
        start_cpu: least(|one| one.start_cpu),
        first: median(|one| one.first),
        first_beyond: median(|one| one.first_beyond),
        first_cpu: least(|one| one.first_cpu),
        warm: Spread { p50: median(|one| one.warm.p50), p99: median(|one| one.warm.p99) },
        beyond: Spread { p50: median(|one| one.beyond.p50), p99: median(|one| one.beyond.p99) },
        warm_cpu: least(|one| one.warm_cpu),
        calls_out: rounds.last().map_or(0.0, |one| one.calls_out),
        peak_kib: rounds.iter().map(|one| one.peak_kib).max().unwrap_or_default(),
        own_kib: rounds.iter().map(|one| one.own_kib).max().unwrap_or_default(),
    }
}

fn middle(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
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
