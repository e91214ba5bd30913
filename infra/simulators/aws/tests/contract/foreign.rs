//! The same suite on emulators of others, held against the list of where they differ.

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use simulator_aws::emulator::{self, Emulator, Make};
use tokio::task::{JoinError, JoinSet, LocalSet, spawn_local};

use crate::{known, stage::Stage};

/// One check of the suite.
pub(crate) type Check = fn(Arc<Stage>) -> Pin<Box<dyn Future<Output = ()>>>;

/// Runs one check to its end, also if that is a panic.
pub(crate) async fn alone(stage: &Arc<Stage>, check: Check) -> Result<(), JoinError> {
    LocalSet::new().run_until(spawn_local(check(Arc::clone(stage)))).await
}

/// What is not run there, since nobody can move their clocks.
const TOO_LONG: [(&str, &str); 1] = [("a_repeat_is_forgotten_after_five_minutes", "five minutes of real time")];

/// Runs all checks at once, each with queues and tables of its own.
pub(crate) async fn run(make: Make, checks: Vec<(&'static str, Check)>) {
    let Some(emulator) = Emulator::start(make).await.unwrap() else {
        return emulator::skipped("the contract of AWS", make.name());
    };
    let names = |known: &'static [(&str, &str)]| known.iter().map(|known| known.0).collect::<BTreeSet<&str>>();
    let (known, by_chance) = (names(known::always(make)), names(known::by_chance(make)));
    assert!(TOO_LONG.iter().all(|one| checks.iter().any(|check| check.0 == one.0)), "listed, and in no suite");
    let url = emulator.url().to_owned();
    let together = async move {
        let mut running = JoinSet::new();
        for (name, check) in checks {
            if is_too_long(name) {
                continue;
            }
            let stage = Arc::new(Stage::at(&url));
            running.spawn_local(async move {
                let panicked = spawn_local(check(Arc::clone(&stage))).await.is_err();
                Outcome::of(name, panicked, &stage)
            });
        }
        running.join_all().await
    };
    let outcomes = LocalSet::new().run_until(together).await;
    let asked: BTreeSet<&str> = outcomes.iter().flat_map(|outcome| &outcome.asked).map(String::as_str).collect();
    let unknown: Vec<_> = known.union(&by_chance).filter(|name| !asked.contains(*name)).collect();
    let differs: BTreeSet<&str> =
        outcomes.iter().flat_map(|outcome| &outcome.differ).map(|(name, _)| name.as_str()).collect();
    let new: Vec<_> = outcomes
        .iter()
        .flat_map(|outcome| &outcome.differ)
        .filter(|(name, _)| !known.contains(name.as_str()) && !by_chance.contains(name.as_str()))
        .collect();
    let mended: Vec<_> = known.difference(&differs).collect();
    assert!(
        new.is_empty() && mended.is_empty() && unknown.is_empty(),
        "{}: fail and are not listed: {new:#?}; listed, but hold: {mended:?}; listed, but were not asked: {unknown:?}",
        make.name()
    );
}

fn is_too_long(name: &str) -> bool {
    TOO_LONG.iter().any(|one| one.0 == name)
}

/// What became of a check.
struct Outcome {
    /// Itself and its points, `check/point`.
    asked: Vec<String>,
    /// Those that are not as AWS does it, with what came instead. A check that broke off stands there as a whole.
    differ: Vec<(String, String)>,
}

impl Outcome {
    fn of(check: &str, panicked: bool, stage: &Stage) -> Self {
        let point = |name: String| format!("{check}/{name}");
        let whole = panicked.then(|| (check.to_owned(), "broke off".to_owned()));
        let differ = stage.points.differences().into_iter().map(|(name, wrong)| (point(name), wrong));
        Self {
            asked: stage.points.names().into_iter().map(point).chain([check.to_owned()]).collect(),
            differ: differ.chain(whole).collect(),
        }
    }
}
