//! What a batch costs together that would cost much one by one.

use simulator_wire::{Effect, Fault};
use stories::World;

#[tokio::test]
async fn customers_who_are_done_together_are_taken_out_of_the_queue_together() {
    let world = World::start().await.unwrap();
    for customer in 0..10 {
        let customer = world.meta.customer(&format!("Cliente {customer}"), &format!("52155555501{customer:02}"));
        customer.writes("¡Hola!").await.unwrap();
    }
    world.calm().await;
    world.stage.aws.calls().record();
    // So that everybody is done at about the same time, long before the first call to the queue is.
    let effect = Effect::Slow { millis: 60 };
    world.stage.aws.faults().add(Fault { method: None, path: String::new(), skip: 0, times: None, effect });
    assert!(world.forward_once().await.unwrap());
    let calls = world.stage.aws.calls().take();
    let deletes = calls.iter().filter(|call| call.target == "AmazonSQS.DeleteMessageBatch").count();
    assert!(deletes <= 3, "{deletes} calls");
    assert_eq!(world.queued("inbound"), 0);
}
