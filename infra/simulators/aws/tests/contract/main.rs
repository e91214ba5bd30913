//! What the bridge relies on in SQS, DynamoDB and Secrets Manager: one suite for every AWS.
//!
//! It runs on the embedded one, on two emulators of others and, with credentials, on the real one
//! (`cargo test -p simulator-aws --test contract -- --ignored --test-threads 8`).

#![expect(clippy::disallowed_types, reason = "real time is measured or waited for")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod dedup;
mod foreign;
mod known;
mod limits;
mod order;
mod points;
mod polling;
mod queues;
mod redrive;
mod refusals;
mod secrets;
mod stage;
mod table;
mod writes;

/// Each check becomes two tests, and a part of those on the emulators of others.
macro_rules! contract {
    ($($area:ident: $($check:ident),+;)+) => {
        mod embedded {
            $($(
                #[tokio::test]
                async fn $check() {
                    let stage = crate::stage::Stage::embedded().await;
                    crate::$area::$check(&stage).await;
                    stage.points.all_hold();
                }
            )+)+
        }
        mod aws {
            $($(
                #[tokio::test]
                #[ignore = "needs AWS credentials"]
                async fn $check() {
                    let stage = std::sync::Arc::new(crate::stage::Stage::aws());
                    let checked = crate::foreign::alone(&stage, |stage| {
                        Box::pin(async move { crate::$area::$check(&stage).await })
                    });
                    let checked = checked.await;
                    // What a check made costs money, also where the check fails.
                    stage.clean_up().await;
                    checked.unwrap();
                    stage.points.all_hold();
                }
            )+)+
        }
        mod others {
            use simulator_aws::emulator::Make;

            fn checks() -> Vec<(&'static str, crate::foreign::Check)> {
                vec![$($(
                    (stringify!($check), |stage| Box::pin(async move { crate::$area::$check(&stage).await })),
                )+)+]
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn ministack() {
                crate::foreign::run(Make::Ministack, checks()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn moto() {
                crate::foreign::run(Make::Moto, checks()).await;
            }
        }
    };
}

contract! {
    order: a_group_comes_in_order_and_several_at_once,
        a_group_is_blocked_while_one_of_it_is_out_and_freed_by_a_delete,
        after_a_timeout_the_head_comes_first_and_is_counted,
        visibility_can_be_given_back_or_changed_and_the_count_stays,
        a_handle_whose_time_is_over_deletes_nothing,
        a_queue_delay_hides_new_messages;
    dedup: a_repeat_is_taken_but_not_delivered_even_after_a_delete,
        a_repeat_is_forgotten_after_five_minutes,
        scope_message_group_looks_at_the_group_only,
        content_is_its_own_deduplication_id;
    limits: wrong_parameters_are_refused,
        a_batch_has_one_to_ten_entries_of_different_ids,
        one_mebibyte_is_taken_and_one_byte_more_is_not,
        a_bad_entry_does_not_sink_its_neighbours,
        a_missing_queue_is_a_modelled_error;
    polling: a_long_poll_waits_and_wakes_when_a_message_comes,
        a_long_poll_wakes_when_a_message_shows_again;
    queues: attributes_are_set_and_shown,
        a_message_carries_what_is_known_of_it,
        a_purge_empties_the_queue_once_a_minute;
    redrive: a_message_received_too_often_goes_to_the_dead_letters_as_it_is,
        dead_letters_can_be_moved_back;
    table: a_query_on_an_index_descends_and_has_the_included_attributes,
        an_index_cannot_be_read_consistently,
        a_limit_counts_before_the_filter_and_pages_go_on,
        a_page_ends_at_one_megabyte,
        time_to_live_deletes_what_is_due;
    writes: a_conditional_put_shows_the_item_that_was_in_the_way,
        an_update_expression_does_seven_things_at_once,
        a_cancelled_transaction_says_why_and_writes_nothing,
        the_same_request_token_writes_once,
        an_item_has_its_limit_and_a_batch_twenty_five,
        forty_at_once_lose_nothing,
        wrong_requests_are_refused;
    refusals: no_key_and_no_bound_of_one_is_empty,
        keys_items_and_values_have_their_limits,
        batches_and_transactions_have_their_limits,
        expressions_are_complete_and_name_no_reserved_word;
    secrets: a_new_value_makes_the_old_one_previous,
        the_same_token_puts_once,
        a_missing_secret_is_a_modelled_error,
        a_stage_can_be_moved_back;
}
