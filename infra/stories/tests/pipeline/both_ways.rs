//! The main job: a customer and an agent talk.

use stories::World;

#[tokio::test]
async fn a_customer_and_an_agent_talk() {
    let world = World::start().await.unwrap();
    let ana = world.meta.customer("Ana", "5215555550123");
    ana.writes("hola").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola"]);
    let conversation = world.conversation("Ana").unwrap();
    world.chatwoot.agent("Sofía").replies(conversation, "¿En qué puedo ayudarle?").await;
    world.work().await.unwrap();
    assert_eq!(ana.heard(), ["¿En qué puedo ayudarle?"]);
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "agent: ¿En qué puedo ayudarle? ✓"]);
    ana.reads_all().await;
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", "agent: ¿En qué puedo ayudarle? ✓✓ read"]);
}
