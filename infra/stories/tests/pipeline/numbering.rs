//! Two people whose numbers look alike stay two: in, out, and when one of them is erased.

use serde_json::json;
use stories::World;

use crate::{
    erasure::{done, operator_asks},
    identity::{AT, answers, arrives, conversations, from},
};

/// A landline in São Paulo and the mobile with the same eight digits behind a `9`: two numbers of the plan.
const LANDLINE: &str = "551132345678";
const MOBILE: &str = "5511932345678";

/// Whom the messages went to, in order.
fn recipients(world: &World) -> Vec<String> {
    let sent = world.meta.requests().into_iter().map(|request| request.to);
    sent.filter(|to| !to.is_empty()).collect()
}

#[tokio::test]
async fn a_landline_and_the_mobile_with_its_digits_are_two_customers() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(LANDLINE), Some("BR.1"), "wamid.1", AT, "taller")).await;
    arrives(&world, &from(Some(MOBILE), Some("BR.2"), "wamid.2", AT + 1, "rafael")).await;
    arrives(&world, &from(Some(LANDLINE), None, "wamid.3", AT + 2, "taller otra vez")).await;
    assert_eq!(conversations(&world), [vec!["taller", "taller otra vez"], vec!["rafael"]]);
    for conversation in world.chatwoot.conversations() {
        answers(&world, conversation.id, "sí").await;
    }
    assert_eq!(recipients(&world), [LANDLINE, MOBILE]);
}

#[tokio::test]
async fn erasing_the_one_by_phone_leaves_the_other() {
    for (erased, left) in [(MOBILE, "taller"), (LANDLINE, "rafael")] {
        let world = World::start().await.unwrap();
        arrives(&world, &from(Some(LANDLINE), Some("BR.1"), "wamid.1", AT, "taller")).await;
        arrives(&world, &from(Some(MOBILE), Some("BR.2"), "wamid.2", AT + 1, "rafael")).await;
        let code = operator_asks(&world, json!({ "phone": erased })).await;
        done(&world, &code).await;
        assert_eq!(conversations(&world), [[left]], "{erased}");
    }
}

#[tokio::test]
async fn a_template_to_a_number_reaches_that_number() {
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(LANDLINE), None, "wamid.1", AT, "taller")).await;
    arrives(&world, &from(Some(MOBILE), None, "wamid.2", AT + 1, "rafael")).await;
    let phones: Vec<_> = world.chatwoot.contacts().into_iter().filter_map(|contact| contact.phone_number).collect();
    assert_eq!(phones, [format!("+{LANDLINE}"), format!("+{MOBILE}")]);
    answers(&world, world.chatwoot.conversations()[1].id, "para el móvil").await;
    assert_eq!(recipients(&world), [MOBILE]);
}

#[tokio::test]
async fn two_numbers_that_the_plan_both_has_are_two_customers() {
    let (radio, mobile) = ("551178123456", "5511978123456");
    let world = World::start().await.unwrap();
    arrives(&world, &from(Some(radio), None, "wamid.1", AT, "radio")).await;
    arrives(&world, &from(Some(mobile), None, "wamid.2", AT + 1, "rafael")).await;
    assert_eq!(conversations(&world), [["radio"], ["rafael"]]);
    let code = operator_asks(&world, json!({ "phone": radio })).await;
    done(&world, &code).await;
    assert_eq!(conversations(&world), [["rafael"]]);
}
