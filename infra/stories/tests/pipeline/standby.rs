//! A chat that Meta's own agent has: agents read along, and the bridge keeps its hands off.

use serde_json::json;
use stories::World;

use crate::{
    erasure::{done, state},
    erasure_doors::code_in,
    fixtures::{HOUR, MINUTE, ana, ana_wrote, goes_by},
};

/// How often the bridge called Graph for this chat: messages, ticks, typing.
fn touched(world: &World) -> usize {
    world.meta.requests().len() + world.meta.marks().len()
}

#[tokio::test]
async fn what_is_said_with_metas_agent_reads_as_that_and_nothing_is_done_about_it() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    ana.writes_to_meta_agent("¿qué piden para el crédito?").await.unwrap();
    ana.hears_from_meta_agent("Solo identificación.").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(
        world.agent_reads("Ana"),
        [
            "note: 🤖 El cliente escribe al agente de Meta, que tiene el chat:\n¿qué piden para el crédito?",
            "note: 🤖 El agente de Meta responde:\nSolo identificación.",
        ]
    );
    let conversation = world.conversation("Ana").unwrap();
    let sofia = world.chatwoot.agent("Sofía");
    sofia.types(conversation, true).await;
    sofia.resolves(conversation).await;
    world.work().await.unwrap();
    goes_by(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(touched(&world), 0);
    // It opened no window: what an agent writes all the same is told the truth.
    sofia.replies(conversation, "yo le ayudo").await;
    world.work().await.unwrap();
    assert_eq!(touched(&world), 0);
    assert!(world.agent_reads("Ana").last().unwrap().contains("lo atiende el agente de Meta"));
}

#[tokio::test]
async fn a_live_chat_that_metas_agent_takes_is_not_ticked_until_it_comes_back() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    let sofia = world.chatwoot.agent("Sofía");
    ana.is_passed(false).await.unwrap();
    ana.writes_to_meta_agent("sigo aquí").await.unwrap();
    world.work().await.unwrap();
    sofia.types(conversation, true).await;
    sofia.resolves(conversation).await;
    world.work().await.unwrap();
    goes_by(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(touched(&world), 0);
    ana.is_passed(true).await.unwrap();
    ana.writes("¿hola?").await.unwrap();
    world.work().await.unwrap();
    let read = world.agent_reads("Ana");
    assert_eq!(read[1], "system: 🤖 El agente de Meta tiene ahora el chat y responde él");
    assert!(
        read.contains(&"system: 🤖 El agente de Meta les pasó el chat: ahora responden ustedes".to_owned()),
        "{read:?}"
    );
    sofia.replies(conversation, "aquí estoy").await;
    world.work().await.unwrap();
    assert_eq!((ana.heard(), ana.ticked().len()), (vec!["aquí estoy".to_owned()], 2));
}

#[tokio::test]
async fn a_wish_to_be_forgotten_told_to_metas_agent_is_followed_and_told_the_agents_alone() {
    for (answer, then, told) in [
        ("SÍ BORRAR", "erased", ""),
        ("NO BORRAR", "withdrawn", "↩️ El cliente anuló el borrado a tiempo"),
        // Said to Meta's agent, who may have asked anything.
        ("sí", "received", "sí"),
    ] {
        let world = World::start().await.unwrap();
        let (ana, _) = ana_wrote(&world).await;
        ana.writes_to_meta_agent("BORRAR MIS DATOS").await.unwrap();
        world.work().await.unwrap();
        let note = world.agent_reads("Ana").pop().unwrap();
        assert!(note.starts_with("note: 🗑️ El cliente pidió borrar sus datos"), "{note}");
        assert!(note.contains("SÍ BORRAR en 24 h") && note.contains("NO BORRAR"), "{note}");
        let code = code_in(&note);
        assert_eq!(state(&world, &code).await["state"], "received");
        world.later(MINUTE).await.unwrap();
        ana.writes_to_meta_agent(answer).await.unwrap();
        world.work().await.unwrap();
        if then == "erased" {
            done(&world, &code).await;
            assert!(world.conversation("Ana").is_err());
        } else {
            let read = world.agent_reads("Ana").pop().unwrap();
            assert!(read.starts_with("note: ") && read.contains(told), "{read}");
            let known = state(&world, &code).await;
            assert_eq!(known.get("state").map_or(json!("withdrawn"), Clone::clone), then, "{answer}");
        }
        assert_eq!((touched(&world), ana.heard().len()), (0, 0), "{answer}");
    }
}

#[tokio::test]
async fn a_wish_told_to_metas_agent_lapses_and_may_be_confirmed_once_the_chat_is_passed() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    ana.writes_to_meta_agent("BORRAR MIS DATOS").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, 25 * HOUR, 5 * HOUR).await;
    ana.writes_to_meta_agent("SÍ BORRAR").await.unwrap();
    world.later(MINUTE).await.unwrap();
    let read = world.agent_reads("Ana").pop().unwrap();
    assert!(read.starts_with("note: El cliente confirmó") && read.contains("no se borra nada"), "{read}");
    ana.writes_to_meta_agent("borrar mis datos").await.unwrap();
    world.later(MINUTE).await.unwrap();
    let code = code_in(&world.agent_reads("Ana").pop().unwrap());
    assert_eq!((touched(&world), ana.heard().len()), (0, 0));
    ana.is_passed(true).await.unwrap();
    ana.writes("sí borrar").await.unwrap();
    world.work().await.unwrap();
    done(&world, &code).await;
    assert!(world.conversation("Ana").is_err());
}
