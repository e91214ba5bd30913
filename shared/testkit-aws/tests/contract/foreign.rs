//! The same suite on emulators of others, held against a list of where they are known to differ.

use std::{collections::BTreeSet, pin::Pin, sync::Arc};

use testkit_aws::emulator::{self, Emulator, Make};
use tokio::task::{JoinError, JoinSet, LocalSet, spawn_local};

use crate::stage::Stage;

/// One check of the suite.
pub(crate) type Check = fn(Arc<Stage>) -> Pin<Box<dyn Future<Output = ()>>>;

/// Runs one check to its end, also if that is a panic.
pub(crate) async fn alone(stage: &Arc<Stage>, check: Check) -> Result<(), JoinError> {
    LocalSet::new().run_until(spawn_local(check(Arc::clone(stage)))).await
}

/// Where an emulator differs from AWS's documentation, which the suite follows. One that differs no more fails the test, too:
/// then the line has to go.
const KNOWN: [(Make, &str, &str); 26] = [
    (
        Make::Ministack,
        "a_handle_whose_time_is_over_deletes_nothing",
        "AWS refuses it in a FIFO queue; it says yes and deletes nothing while the message is out again",
    ),
    (Make::Ministack, "a_purge_empties_the_queue_once_a_minute", "AWS refuses a second one within 60 s; it takes it"),
    (Make::Ministack, "dead_letters_can_be_moved_back", "it has no StartMessageMoveTask"),
    (Make::Ministack, "the_same_token_puts_once", "AWS takes the repeat for the same version; it makes a new one"),
    (Make::Ministack, "wrong_parameters_are_refused", "AWS refuses a space in a group id; it takes it"),
    (Make::Ministack, "wrong_requests_are_refused", "AWS refuses a reserved word without `#`; it takes it"),
    (Make::Moto, "a_bad_entry_does_not_sink_its_neighbours", "it refuses the whole request for one entry"),
    (Make::Moto, "a_handle_whose_time_is_over_deletes_nothing", "AWS refuses it in a FIFO queue; it says yes"),
    (
        Make::Moto,
        "a_message_received_too_often_goes_to_the_dead_letters_as_it_is",
        "the dead letter lacks the queue it came from",
    ),
    (
        Make::Moto,
        "a_new_value_makes_the_old_one_previous",
        "AWS lists versions with a stage; it lists those without, too",
    ),
    (Make::Moto, "a_purge_empties_the_queue_once_a_minute", "AWS refuses a second one within 60 s; it takes it"),
    (
        Make::Moto,
        "a_repeat_is_taken_but_not_delivered_even_after_a_delete",
        "AWS answers a repeat with the first id, and remembers it after the delete; it does neither",
    ),
    (Make::Moto, "an_item_has_its_limit_and_a_batch_twenty_five", "AWS refuses 26 in a batch; it takes them"),
    (Make::Moto, "attributes_are_set_and_shown", "AWS refuses a visibility above twelve hours; it takes it"),
    (Make::Moto, "dead_letters_can_be_moved_back", "its StartMessageMoveTask answers 500"),
    (Make::Moto, "scope_message_group_looks_at_the_group_only", "it ignores the scope"),
    (Make::Moto, "the_same_request_token_writes_once", "it applies a transaction twice that has the same token"),
    (Make::Moto, "wrong_parameters_are_refused", "AWS refuses a space in a group id; it takes it"),
    (Make::Moto, "wrong_requests_are_refused", "AWS refuses a filter on a key; it takes it"),
    (
        Make::Ministack,
        "a_bad_entry_does_not_sink_its_neighbours",
        "AWS refuses a batch with a parameter missing; it takes the rest",
    ),
    (
        Make::Ministack,
        "expressions_are_complete_and_name_no_reserved_word",
        "AWS refuses a filter on a key; it takes it",
    ),
    (Make::Ministack, "no_key_and_no_bound_of_one_is_empty", "AWS refuses an empty key to start from; it takes it"),
    (Make::Moto, "batches_and_transactions_have_their_limits", "AWS refuses 26 in a batch; it takes them"),
    (Make::Moto, "expressions_are_complete_and_name_no_reserved_word", "AWS refuses a filter on a key; it takes it"),
    (Make::Moto, "keys_items_and_values_have_their_limits", "AWS refuses a long key that is asked for; it takes it"),
    (Make::Moto, "no_key_and_no_bound_of_one_is_empty", "AWS refuses an empty key to start from; it takes it"),
];

/// Where one differs now and then.
const BY_CHANCE: [(Make, &str, &str); 1] =
    [(Make::Moto, "a_group_comes_in_order_and_several_at_once", "its sequence numbers are random; AWS's rise")];

/// What is not run there, since nobody can move their clocks.
const TOO_LONG: [(&str, &str); 1] = [("a_repeat_is_forgotten_after_five_minutes", "five minutes of real time")];

/// Runs all checks at once, each with queues and tables of its own.
pub(crate) async fn run(make: Make, checks: Vec<(&'static str, Check)>) {
    let Some(emulator) = Emulator::start(make).await.unwrap() else {
        return emulator::skipped("the contract of AWS", make.name());
    };
    let known: BTreeSet<&str> = KNOWN.iter().filter(|known| known.0 == make).map(|known| known.1).collect();
    let by_chance: BTreeSet<&str> = BY_CHANCE.iter().filter(|known| known.0 == make).map(|known| known.1).collect();
    let named = known.union(&by_chance).copied().chain(TOO_LONG.map(|one| one.0));
    let unknown: Vec<&str> = named.filter(|name| checks.iter().all(|check| check.0 != *name)).collect();
    assert_eq!(unknown, [""; 0], "listed, and in no suite");
    let stage = Arc::new(Stage::at(emulator.url()));
    let together = async move {
        let mut running = JoinSet::new();
        for (name, check) in checks {
            if TOO_LONG.iter().any(|one| one.0 == name) {
                continue;
            }
            let stage = Arc::clone(&stage);
            running.spawn_local(async move { (name, spawn_local(check(stage)).await.is_err()) });
        }
        running.join_all().await
    };
    let outcomes = LocalSet::new().run_until(together).await;
    let differs: BTreeSet<&str> = outcomes.into_iter().filter(|(_, failed)| *failed).map(|(name, _)| name).collect();
    let new: Vec<_> = differs.difference(&known).filter(|name| !by_chance.contains(*name)).collect();
    let mended: Vec<_> = known.difference(&differs).collect();
    assert!(
        new.is_empty() && mended.is_empty(),
        "{}: fail and are not listed: {new:?}; listed, but hold: {mended:?}",
        make.name()
    );
}
