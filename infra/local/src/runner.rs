//! Puts everything together, in the order in which each needs the other, and takes it apart again.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::{Router, serve::ListenerExt as _};
use domain::Clock as _;
use futures_util::future::join_all;
use simulator_aws::Aws;
use simulator_wire::{Faults, MovableClock, Server};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};

use crate::{
    channels,
    cloud::Cloud,
    config::Config,
    control::{self, Control},
    environments::{Environments, Functions},
    file_clock,
    flow::{Flow, Leads},
    foreign::Foreign,
    front, functions,
    gateway::Gateway,
    intrinsics::{ACCOUNT, REGION, STACK},
    log_book::LogBook,
    monitor::Monitor,
    options::Options,
    poller,
    process::{Heard, Launcher, ProcessSettings},
    recovery, resources,
    routes::Routes,
    schedule::Schedules,
    simulators::Simulators,
    stop::{self, Stop, Stopped},
    template::{Function, Mapping, Surroundings, Template},
};

/// How long running invocations may go on after the runner was told to end.
const LAST_WORK: Duration = Duration::from_secs(2);
/// And how long whoever waited for them has to settle it.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// How often expired items are deleted while nobody moves the clock, and how often that is thought of.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
const LOOK: Duration = Duration::from_secs(10);
/// Batches of a queue at once, as in an account of the usual size; the template's own default is for a new, small one.
const USUAL_CONCURRENCY: &str = "10";
/// Environments of a function that has no event source mapping.
const MOST_FOR_THE_API: usize = 8;

/// Starts the whole, says where everything is, and ends it when it is told to.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let world = Runner::start(options).await?;
    world.announce()?;
    world.warm();
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    world.end().await
}

/// The running whole.
struct Runner {
    cloud: Arc<Cloud>,
    functions: Functions,
    runtime_api: Server,
    simulators: Simulators,
    template: Template,
    api_url: String,
    /// Where the control routes are, if not beside the API.
    control_url: Option<String>,
    stop: Stop,
    work: JoinSet<()>,
    _home: Home,
}

/// Where the clock's offset and, with `--data`, everything else is kept.
struct Home {
    directory: PathBuf,
    /// Whether a runner kept its things here before.
    used_before: bool,
    _lock: File,
    _temporary: Option<TempDir>,
}

impl Home {
    fn open(data: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(data) = data {
            fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
            return Self::take(data.canonicalize()?, None);
        }
        let temporary = tempfile::Builder::new().prefix("lmotos-local-").tempdir()?;
        Self::take(temporary.path().to_owned(), Some(temporary))
    }

    /// Two runners in one directory would each write over what the other keeps there.
    fn take(directory: PathBuf, temporary: Option<TempDir>) -> anyhow::Result<Self> {
        let used_before = directory.join("clock").exists();
        let lock = File::create(directory.join("lock"))?;
        lock.try_lock().with_context(|| format!("another runner works in {}", directory.display()))?;
        Ok(Self { directory, used_before, _lock: lock, _temporary: temporary })
    }

    fn clock_file(&self) -> PathBuf {
        self.directory.join("clock")
    }
}

impl Runner {
    /// Starts everything; when it returns, the API answers.
    async fn start(options: &Options) -> anyhow::Result<Self> {
        let config = Config::read(options.config.as_deref())?;
        let home = Home::open(options.data.as_deref())?;
        let clock_file = home.clock_file();
        let offset =
            file_clock::read_offset(&clock_file).with_context(|| format!("cannot read {}", clock_file.display()))?;
        file_clock::write_offset(&clock_file, offset)?;
        let clock = MovableClock::running(offset);

        let listener =
            TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
        let api_url = format!("http://{}", listener.local_addr()?);
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let data = options.data.as_ref().map(|_| home.directory.clone());
        let embedded = async {
            match &options.aws_url {
                Some(_) => Ok(None),
                None => {
                    Aws::start(simulator_aws::Settings { listen: any_port, clock: clock.clone(), data }).await.map(Some)
                }
            }
        };
        let simulators = Simulators::start(options, &config, &clock, &api_url);
        let (embedded, simulators) = tokio::try_join!(embedded, simulators)?;
        let aws_url = embedded.as_ref().map(|aws| aws.url().to_owned()).or_else(|| options.aws_url.clone());
        let aws_url = aws_url.unwrap_or_default();
        let template = Template::read(&Surroundings {
            aws_url: aws_url.clone(),
            api_url: api_url.clone(),
            parameters: parameters(&config, &simulators),
        })?;
        let cloud = if let Some(aws) = embedded {
            resources::create(&aws, &template)?;
            resources::restrict(&aws, &template)?;
            resources::put_secrets(&aws, &template, &config)?;
            Cloud::Embedded(aws)
        } else {
            Cloud::Foreign(Foreign::take_over(&aws_url, &template, &config, clock.clone()).await?)
        };
        channels::put(&aws_url, &template, &config, Arc::new(clock.clone()))
            .await
            .context("the channels could not be written into the table")?;

        if let (Cloud::Embedded(aws), Some(_)) = (&cloud, &options.data) {
            recovery::take_up_work(aws, &template, &clock).await?;
        }
        let cloud = Arc::new(cloud);

        let heard =
            Heard { flow: Flow::default(), monitor: Monitor::new(clock.clone()), log: LogBook::new(clock.clone()) };
        let (functions, runtime_api) = start_functions(&template, &aws_url, &clock, clock_file.clone(), &heard).await?;
        let schedules = Arc::new(Schedules::new(&template, functions.clone(), clock.clone(), home.used_before));
        let (stop, stopped) = stop::signal();
        let mut work = JoinSet::new();
        for (function, mapping) in template.functions.iter().flat_map(|f| f.mappings.iter().map(move |m| (f, m))) {
            let Some(environments) = functions.get(&function.name) else { continue };
            for _ in 0..pollers(&cloud, mapping) {
                work.spawn(poller::poll(
                    Arc::clone(&cloud),
                    mapping.clone(),
                    Arc::clone(environments),
                    stopped.clone(),
                ));
            }
        }
        work.spawn(Arc::clone(&schedules).keep(stopped.clone()));
        work.spawn(sweep(Arc::clone(&cloud), clock.clone(), stopped.clone()));

        work.spawn(heard.monitor.clone().keep(Arc::clone(&cloud), template.alarms.clone(), stopped.clone()));

        let gateway =
            Gateway::new(Routes::new(&template), functions.clone(), Arc::new(clock.clone()), heard.monitor.clone());
        let balance = channels::balance(&aws_url, &template, Arc::new(clock.clone()))?;
        let watch = channels::watch(&aws_url, &template, Arc::new(clock.clone()))?;
        let links = channels::links(&aws_url, &template, &config, &api_url, Arc::new(clock.clone()))?;
        let control = Control {
            whereabouts: describe(&template, cloud.url(), &simulators, &api_url),
            cloud: Arc::clone(&cloud),
            balance,
            watch,
            links,
            flow: heard.flow,
            leads: Leads::all(&template),
            monitor: heard.monitor,
            log: heard.log,
            alarms: template.alarms.clone(),
            clock,
            clock_file,
            functions: functions.clone(),
            schedules,
            moving: tokio::sync::Mutex::default(),
        };
        let api = front::api(Arc::new(gateway));
        let control = front::control(&simulators, Arc::new(control));
        // Whoever bridges real ones opens the API to the world; what moves the clock must not stand there.
        let control_url = if simulators.are_here() {
            work.spawn(serve(listener, control.merge(api), stopped));
            None
        } else {
            let beside = TcpListener::bind(any_port).await.context("cannot listen for the control routes")?;
            let url = format!("http://{}", beside.local_addr()?);
            work.spawn(serve(beside, control, stopped.clone()));
            work.spawn(serve(listener, api, stopped));
            Some(url)
        };
        Ok(Self { cloud, functions, runtime_api, simulators, template, api_url, control_url, stop, work, _home: home })
    }

    /// The lines of the contract, the last of which says that everything is ready.
    fn announce(&self) -> io::Result<()> {
        let names = |names: Vec<&str>| names.join(" ");
        let mut out = io::stdout().lock();
        writeln!(out, "aws {}", self.cloud.url())?;
        // The bridge's own; the copy of its ledger stands beside it.
        writeln!(
            out,
            "table {}",
            names(self.template.tables.iter().take(1).map(|table| table.name.as_str()).collect())
        )?;
        writeln!(out, "queues {}", names(self.template.queues.iter().map(|queue| queue.name.as_str()).collect()))?;
        writeln!(out, "meta {}", self.simulators.meta_url)?;
        writeln!(out, "chatwoot {}", self.simulators.chatwoot_url)?;
        if let Some(control) = &self.control_url {
            writeln!(out, "control {control}")?;
        }
        writeln!(out, "ready {}", self.api_url)?;
        out.flush()
    }

    /// Starts one process of each function before somebody waits for it.
    fn warm(&self) {
        for function in self.functions.all() {
            let function = Arc::clone(function);
            tokio::spawn(async move { function.ready().await });
        }
    }

    /// Ends: no new work, a moment for what is being worked on, then everything is closed.
    async fn end(mut self) -> anyhow::Result<()> {
        self.stop.now();
        if timeout(LAST_WORK, self.work_over()).await.is_err() {
            tracing::warn!("what is still being worked on goes on after the next start");
        }
        join_all(self.functions.all().map(|function| function.stop())).await;
        // Nobody waits for a function any more; what they had in hand is given back.
        let _ = timeout(LAST_ANSWERS, self.work_over()).await;
        self.runtime_api.close();
        self.cloud.close().await
    }

    async fn work_over(&mut self) {
        while self.work.join_next().await.is_some() {}
    }
}

/// The template's parameters. A dialog of Meta's that is on this machine is at the simulator's one address; the true one is where the
/// template says.
fn parameters(config: &Config, simulators: &Simulators) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::from([
        ("ForwardConcurrency".to_owned(), USUAL_CONCURRENCY.to_owned()),
        ("SendConcurrency".to_owned(), USUAL_CONCURRENCY.to_owned()),
        ("ChatwootUrl".to_owned(), simulators.chatwoot_url.clone()),
        ("GraphUrl".to_owned(), simulators.meta_url.clone()),
    ]);
    parameters.extend(config.signup.parameters(&simulators.meta_url));
    parameters
}

/// What `ops --local` is told.
fn describe(template: &Template, aws_url: &str, simulators: &Simulators, api_url: &str) -> control::Whereabouts {
    let versions = template.functions.iter().filter_map(|function| function.environment.get("GRAPH_VERSION"));
    control::Whereabouts {
        stack: STACK,
        aws: control::AwsAccess {
            endpoint: aws_url.to_owned(),
            region: REGION,
            access_key_id: ACCOUNT,
            secret_access_key: "local",
        },
        table: template.tables.first().map(|table| table.name.clone()).unwrap_or_default(),
        queues: template.queues.iter().map(|queue| queue.name.clone()).collect(),
        graph_url: simulators.meta_url.clone(),
        graph_version: versions.into_iter().next().cloned().unwrap_or_default(),
        chatwoot_url: simulators.chatwoot_url.clone(),
        api_url: api_url.to_owned(),
    }
}

/// Answers on a port until the end.
async fn serve(listener: TcpListener, router: Router, mut until: Stopped) {
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(async move { until.wait().await }).await;
    if let Err(error) = served {
        tracing::error!(%error, "a port is answered no longer");
    }
}

/// Deletes items past their time about once an hour, as AWS does within two days; moving the clock does it at once.
async fn sweep(cloud: Arc<Cloud>, clock: MovableClock, mut stopped: Stopped) {
    let mut swept_at = clock.now();
    while timeout(LOOK, stopped.wait()).await.is_err() {
        if clock.now().since(swept_at) < SWEEP_EVERY {
            continue;
        }
        swept_at = clock.now();
        if let Err(error) = cloud.sweep_ttl().await {
            tracing::warn!(%error, "items past their time were not deleted");
        }
    }
}

async fn start_functions(
    template: &Template,
    aws_url: &str,
    clock: &MovableClock,
    clock_file: PathBuf,
    heard: &Heard,
) -> anyhow::Result<(Functions, Server)> {
    // The Runtime API has to know the functions, and each function where the Runtime API listens: the port comes first.
    let known = Arc::new(OnceLock::new());
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let runtime_api =
        Server::start(any_port, crate::runtime_api::router(Arc::clone(&known)), Faults::default()).await?;
    let ground = ProcessSettings {
        aws_url: aws_url.to_owned(),
        runtime_api: runtime_api.url(),
        clock_file,
        heard: heard.clone(),
    };
    let environments = template.functions.iter().map(|function| {
        ensure!(functions::NAMES.contains(&function.name.as_str()), "the function {} is not linked", function.name);
        let launcher = Launcher::new(function, &ground)?;
        Ok(Environments::new(function, most(function), launcher, Arc::new(clock.clone()), heard.clone()))
    });
    let started = Functions::new(environments.collect::<anyhow::Result<Vec<_>>>()?);
    Ok((known.get_or_init(|| started).clone(), runtime_api))
}

/// One where a queue is not ours: not every emulator keeps two receives apart.
fn pollers(cloud: &Cloud, mapping: &Mapping) -> usize {
    if matches!(cloud, Cloud::Foreign(_)) { 1 } else { poller::concurrency(mapping) }
}

fn most(function: &Function) -> usize {
    let polled: usize = function.mappings.iter().map(poller::concurrency).sum();
    if !function.routes.is_empty() {
        MOST_FOR_THE_API + polled
    } else if polled > 0 {
        polled
    } else {
        // Runs of a schedule follow one another.
        1
    }
}
