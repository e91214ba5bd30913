//! What one program needs for its start, its first call and its warm calls.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use simulator_wire::answering;

use crate::{BenchStack, Process, quota::Quota, scenario::Scenario, tls::Tls};

/// How a program is measured.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Which function it is.
    pub function: &'a str,
    /// The program and its arguments.
    pub program: &'a [&'a str],
    /// Calls before the warm ones are measured.
    pub settle: usize,
    /// Warm calls.
    pub calls: usize,
    /// What every call to AWS, Meta and Chatwoot takes longer, in milliseconds.
    pub delay: u64,
    /// The processor share of so much memory, from the first event on; all of a processor without it.
    pub memory_mb: Option<u64>,
    /// Whether AWS is spoken to over TLS.
    pub tls: bool,
}

/// Figures of one run. "Beyond" is without the time in which AWS, Meta or Chatwoot had a call of it in hand.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Start of the process to its first question for an event.
    pub start: Duration,
    /// Processor time of that.
    pub start_cpu: Duration,
    /// The first call.
    pub first: Duration,
    /// The same, beyond.
    pub first_beyond: Duration,
    /// Processor time of that.
    pub first_cpu: Duration,
    /// Warm calls.
    pub warm: Spread,
    /// The same, beyond.
    pub beyond: Spread,
    /// Processor time of a warm call, the mean.
    pub warm_cpu: Duration,
    /// Calls out in a warm call, the mean.
    pub calls_out: f64,
    /// Most memory resident, in KiB.
    pub peak_kib: u64,
    /// Memory of its own at the end, without pages of files, in KiB.
    pub own_kib: u64,
}

/// The middle and the tail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    /// The median.
    pub p50: Duration,
    /// What one in a hundred exceeds.
    pub p99: Duration,
}

impl Spread {
    /// Of these.
    pub fn of(mut all: Vec<Duration>) -> Self {
        all.sort();
        let at = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an index"
            )]
            let index = ((all.len() as f64 * share).ceil() as usize).saturating_sub(1);
            all.get(index).copied().unwrap_or_default()
        };
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

struct Taken {
    took: Duration,
    beyond: Duration,
    out: usize,
}

/// Runs the plan once, on this ground and with the events of this scenario.
pub async fn run_on(ground: &BenchStack, plan: &Plan<'_>, scenario: &mut Scenario) -> anyhow::Result<Figures> {
    ground.record();
    let mut variables = ground.variables(plan.function)?;
    let tls = if plan.tls { Some(Tls::in_front_of(ground.world.stage.aws.url()).await?) } else { None };
    if let Some(tls) = &tls {
        tls.lead(&mut variables);
        // The second is Node's.
        for name in ["AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
            variables.insert(name.to_owned(), tls.authority().display().to_string());
        }
    }
    // The first event is made before the process starts: what that needs is not the function's.
    let mut event = scenario.next(ground).await?;
    ground.slow_down(plan.delay);
    let mut process = Process::start(plan.program, &variables, Stdio::null()).await?;
    let start_cpu = process.processor()?;
    let quota = plan.memory_mb.map(|memory| Quota::set(process.id()?, memory)).transpose()?;
    let mut figures = Figures { start: process.start, start_cpu, ..Figures::default() };
    let (mut took, mut beyond, mut out) = (Vec::new(), Vec::new(), 0);
    let mut cpu_before = start_cpu;
    for at in 0..=plan.settle + plan.calls {
        let taken = call(ground, &mut process, scenario, event).await?;
        if at == 0 {
            (figures.first, figures.first_beyond) = (taken.took, taken.beyond);
            figures.first_cpu = process.processor()?.saturating_sub(start_cpu);
        } else if at > plan.settle {
            took.push(taken.took);
            beyond.push(taken.beyond);
            out += taken.out;
        }
        if at == plan.settle {
            cpu_before = process.processor()?;
        }
        ground.slow_down(0);
        event = scenario.next(ground).await?;
        ground.slow_down(plan.delay);
    }
    let calls = u32::try_from(plan.calls.max(1))?;
    figures.warm_cpu = process.processor()?.saturating_sub(cpu_before) / calls;
    figures.calls_out = f64::from(u32::try_from(out)?) / f64::from(calls);
    figures.warm = Spread::of(took);
    figures.beyond = Spread::of(beyond);
    figures.peak_kib = process.peak_kib()?;
    figures.own_kib = process.own_kib()?;
    ground.slow_down(0);
    process.terminate().await?;
    drop(quota);
    Ok(figures)
}

async fn call(
    ground: &BenchStack,
    process: &mut Process,
    scenario: &mut Scenario,
    event: String,
) -> anyhow::Result<Taken> {
    process.ready().await?;
    ground.calls();
    let outcome = process.call(event).await?;
    let calls: Vec<_> = ground.calls().into_iter().map(|(_, call)| call).collect();
    let answer = outcome.answer.map_err(|report| anyhow::anyhow!("{}", String::from_utf8_lossy(&report)))?;
    process.ready().await?;
    scenario.settle(ground, &answer).await?;
    Ok(Taken { took: outcome.took, beyond: outcome.took.saturating_sub(answering(&calls)), out: calls.len() })
}

/// Size of a file in bytes.
pub fn size(file: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(file)?.len())
}

/// How long `work` took.
pub async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let began = Instant::now();
    let done = work.await;
    (began.elapsed(), done)
}
