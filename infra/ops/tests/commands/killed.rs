//! Commands that are killed at any call and run again: they come to the same end.

use serde_json::{Map, Value, json};
use simulator_wire::{Effect, Fault};
use stories::{CHANNEL, World};

use crate::support::{ops, says, start, words};

const APP: [&str; 3] = ["app", "--app-id", "100000000000001"];
const GIVEN: &str = "app-secret-of-the-stories\ntoken-of-the-administrator\n";

/// Kills it at each call to each side in turn, until one run goes through. `before` sets the stage, `after` looks at it.
async fn killed_at_any_call(
    world: &World,
    asks: &[&str],
    input: &str,
    before: impl Fn(&World),
    after: impl AsyncFn(&World, &str),
) {
    let mut killed = 0;
    for (side, faults) in
        [("chatwoot", world.chatwoot.faults()), ("meta", world.meta.faults()), ("aws", world.stage.aws.faults())]
    {
        for call in 0.. {
            assert!(call < 60, "{side}: it never ends");
            before(world);
            faults.add(Fault {
                method: None,
                path: String::new(),
                skip: call,
                times: Some(1),
                effect: Effect::HangAfter,
            });
            let mut process = start(world, asks, input);
            let ended = loop {
                if let Some(ended) = process.try_wait().unwrap() {
                    break Some(ended);
                }
                if faults.list().is_empty() {
                    process.kill().unwrap();
                    process.wait().unwrap();
                    killed += 1;
                    break None;
                }
                std::thread::yield_now();
            };
            faults.clear();
            after(world, &format!("{side}, call {call}")).await;
            if ended.is_some_and(|ended| ended.success()) {
                break;
            }
        }
    }
    assert!(killed > 1, "{killed}");
}

async fn secret(world: &World, name: &str) -> Option<Map<String, Value>> {
    let secrets = platform::aws::Aws::from_env(world.stage.operator()).unwrap().secrets;
    let told = secrets.get_secret_value().secret_id(name).send().await.ok()?;
    Some(serde_json::from_str(&told.secret_string.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_out_of_service_with_its_token() {
    let world = World::start_now().await.unwrap();
    world.meta.set_app_id("100000000000001");
    let api = world.url();
    let asks = ["channel", "remove", CHANNEL, "--yes"];
    let before = |world: &World| {
        says(world, 0, &["channel", "add", CHANNEL, "--api-url", &api], &format!("token-of-{CHANNEL}"));
    };
    killed_at_any_call(&world, &asks, "", before, async |world, at| {
        let again = ops(world, &asks, "");
        // Where all was done before the kill, there is no such number any more.
        assert!(matches!(again.status.code(), Some(0 | 3)), "{at}: {}", words(&again));
        assert_eq!(ops(world, &asks, "").status.code(), Some(3), "{at}");
        assert_eq!(secret(world, &format!("lmotos/channel/{CHANNEL}")).await, None, "{at}: its token is still there");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_held_and_goes_on() {
    let world = World::start_now().await.unwrap();
    let state = |world: &World| {
        let all = says(world, 0, &["channel", "list"], "");
        let found = all.as_array().unwrap().iter().find(|one| one["phone_number_id"] == CHANNEL).cloned();
        found.unwrap()["paused"].clone()
    };
    let (pause, resume) = (["channel", "pause", CHANNEL], ["channel", "resume", CHANNEL]);
    let resumed = |world: &World| drop(says(world, 0, &resume, ""));
    killed_at_any_call(&world, &pause, "", resumed, async |world, at| {
        says(world, 0, &pause, "");
        assert_eq!(state(world), json!({ "outgoing": true, "incoming": false }), "{at}");
    })
    .await;

    let customer = world.meta.customer("Ana", "5215555550123");
    customer.writes("hola").await.unwrap();
    world.work().await.unwrap();
    let conversation = world.conversation("Ana").unwrap();
    let paused = |world: &World| drop(says(world, 0, &pause, ""));
    killed_at_any_call(&world, &resume, "", paused, async |world, at| {
        says(world, 0, &resume, "");
        assert_eq!(state(world), json!({ "outgoing": false, "incoming": false }), "{at}");
    })
    .await;
    world.later(std::time::Duration::from_secs(61)).await.unwrap();
    world.chatwoot.agent("Sofía Ledesma").replies(conversation, "¿Qué moto?").await;
    world.work().await.unwrap();
    assert_eq!(customer.heard(), ["¿Qué moto?"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_an_app_are_drawn_once() {
    let world = World::start_now().await.unwrap();
    world.meta.set_app_id("100000000000001");
    let name = world.stage.app_secret().unwrap().to_owned();
    let bare = json!({ "app_id": "1", "subject_key": "subject-key-of-the-stories" });
    let before = |world: &World| world.stage.aws.put_secret(&name, &bare.to_string());
    killed_at_any_call(&world, &APP, GIVEN, before, async |world, at| {
        let drawn = secret(world, &name).await.unwrap().get("link_key").cloned();
        says(world, 0, &APP, GIVEN);
        let stored = secret(world, &name).await.unwrap();
        assert_eq!(stored["subject_key"], "subject-key-of-the-stories", "{at}");
        assert!(drawn.is_none_or(|drawn| drawn == stored["link_key"]), "{at}");
        assert_eq!(says(world, 0, &APP, "")["changed"], json!(false), "{at}");
    })
    .await;
}
