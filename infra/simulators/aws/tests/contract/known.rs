//! Where emulators differ from AWS's documentation, which the suite follows: by check and point.
//!
//! One that differs no more fails the test, too: then the line has to go. What stands without a point is a check that breaks off.

use simulator_aws::emulator::Make;

type Known = (&'static str, &'static str);

const TAKES: &str = "AWS refuses it; it takes it";

/// Where an emulator always differs, and how.
pub(crate) fn always(make: Make) -> &'static [Known] {
    match make {
        Make::Ministack => &MINISTACK,
        Make::Moto => &MOTO,
    }
}

/// Where one differs now and then.
pub(crate) fn by_chance(make: Make) -> &'static [Known] {
    match make {
        Make::Ministack => &[],
        Make::Moto => &MOTO_BY_CHANCE,
    }
}

const MOTO_BY_CHANCE: [Known; 3] = [
    (
        "a_purge_empties_the_queue_once_a_minute/a second one within a minute",
        "AWS refuses it; 5.2.5 does so too, where it is strict, and 5.2.1 takes it",
    ),
    ("a_group_comes_in_order_and_several_at_once", "its sequence numbers are random; AWS's rise"),
    (
        "batches_and_transactions_have_their_limits/one key twice",
        "it compares keys as JSON, whose order of attributes is that of the client's hash map",
    ),
];

const MINISTACK: [Known; 19] = [
    (
        "a_handle_whose_time_is_over_deletes_nothing",
        "AWS refuses it in a FIFO queue; it says yes and deletes nothing while the message is out again",
    ),
    ("dead_letters_can_be_moved_back", "it has no StartMessageMoveTask"),
    ("the_same_token_puts_once", "AWS takes the repeat for the same version; it makes a new one"),
    ("a_purge_empties_the_queue_once_a_minute/a second one within a minute", TAKES),
    (
        "a_bad_entry_does_not_sink_its_neighbours/a parameter that is missing refuses the whole",
        "it refuses that entry only",
    ),
    ("a_bad_entry_does_not_sink_its_neighbours/nothing of the refused came in", "it took the other entry"),
    ("wrong_parameters_are_refused/a group with a space", TAKES),
    ("wrong_parameters_are_refused/a wait of 21 seconds", TAKES),
    ("wrong_parameters_are_refused/a deduplication id in a standard queue", TAKES),
    ("wrong_requests_are_refused/a broken expression", TAKES),
    ("wrong_requests_are_refused/a filter on a key", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/in a start key", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/in a scan's start key", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/a filter on the sort key", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/a filter on the key", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/an empty filter", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/an empty map of values", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/one path twice", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/two clauses of a kind", TAKES),
];

const MOTO: [Known; 36] = [
    ("a_handle_whose_time_is_over_deletes_nothing", "AWS refuses it in a FIFO queue; it says yes"),
    ("a_message_received_too_often_goes_to_the_dead_letters_as_it_is", "the dead letter lacks the queue it came from"),
    ("a_new_value_makes_the_old_one_previous", "AWS lists versions with a stage; it lists those without, too"),
    (
        "a_repeat_is_taken_but_not_delivered_even_after_a_delete",
        "AWS answers a repeat with the first id, and remembers it after the delete; it does neither",
    ),
    ("dead_letters_can_be_moved_back", "its StartMessageMoveTask answers 500"),
    ("scope_message_group_looks_at_the_group_only", "it ignores the scope"),
    ("the_same_request_token_writes_once", "it applies a transaction twice that has the same token"),
    ("attributes_are_set_and_shown/a visibility above twelve hours", TAKES),
    (
        "a_bad_entry_does_not_sink_its_neighbours/content is a matter of each entry",
        "AWS refuses a control character; it takes it",
    ),
    ("a_bad_entry_does_not_sink_its_neighbours/the good ones came in", "the bad one came in, too"),
    ("an_item_has_its_limit_and_a_batch_twenty_five/26 in a batch", TAKES),
    ("wrong_parameters_are_refused/a group with a space", TAKES),
    ("wrong_parameters_are_refused/a control character", TAKES),
    ("wrong_parameters_are_refused/a deduplication id in a standard queue", TAKES),
    ("wrong_parameters_are_refused/nothing of all that came in", "it took what has a space in its group"),
    ("wrong_requests_are_refused/a filter on a key", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/in a start key", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/in a scan's start key", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/delete", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/update", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/an index key of another type", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/a check", TAKES),
    ("no_key_and_no_bound_of_one_is_empty/batch get", TAKES),
    ("keys_items_and_values_have_their_limits/a long key that is asked for", TAKES),
    ("keys_items_and_values_have_their_limits/a set with one twice", TAKES),
    ("keys_items_and_values_have_their_limits/a number of 39 digits", TAKES),
    ("keys_items_and_values_have_their_limits/a number too large", TAKES),
    ("batches_and_transactions_have_their_limits/26 writes", TAKES),
    ("batches_and_transactions_have_their_limits/a put and a delete of one key", TAKES),
    ("batches_and_transactions_have_their_limits/no write", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/a filter on the sort key", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/a filter on the key", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/an unused value", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/an undefined value", "AWS refuses it; it answers 500"),
    ("expressions_are_complete_and_name_no_reserved_word/an expression over 4 KB", TAKES),
    ("expressions_are_complete_and_name_no_reserved_word/two conditions on one key", TAKES),
];
