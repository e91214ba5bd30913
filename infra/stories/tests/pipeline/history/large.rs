//! Imports of thousands of messages: each there once, in its place, with its time, and slower than Chatwoot bears.

use std::collections::BTreeMap;

use domain::{Clock as _, Timestamp};
use serde_json::{Value, json};
use simulator_wire::Fault;
use stories::World;

use super::{DAY, NOW, OWN, chunk, imported, posted, progress, silent, status, theirs};
use crate::{
    erasure,
    fixtures::{HOUR, MINUTE, answer, body, goes_by, post},
};

/// The chat of the person who is erased meanwhile.
const ERASED: usize = 5;

/// The one who writes while the import runs.
const GREETER: usize = 8;

/// A chat of so many messages, the last of which are newest.
#[derive(Clone, Copy)]
struct Chat {
    at: usize,
    messages: usize,
}

impl Chat {
    /// Every fourth person shows no phone.
    fn phone(self) -> Option<String> {
        (self.at % 4 != 3).then(|| format!("521555{:07}", self.at + 1))
    }

    fn user(self) -> String {
        format!("MX.9031177264550{:05}", self.at)
    }

    fn time(self, n: usize) -> i64 {
        NOW - 100 * DAY + i64::try_from(self.at * 7 + n * 75_000).unwrap()
    }

    fn by_shop(self, n: usize) -> bool {
        (self.at + n).is_multiple_of(3)
    }

    fn words(self, n: usize) -> String {
        format!("m{}·{n}.", self.at)
    }

    /// Its line in a note.
    fn line(self, n: usize) -> String {
        let minute = (self.time(n) / 60 - 360).rem_euclid(24 * 60);
        let side = if self.by_shop(n) { "Tienda" } else { "Cliente" };
        format!("{:02}:{:02} **{side}:** {}", minute / 60, minute % 60, self.words(n))
    }

    /// Meta and other senders say in many ways who wrote, and leave texts empty.
    fn message(self, n: usize) -> Value {
        let mut message = json!({"id": format!("wamid.L{}.{n}", self.at), "timestamp": self.time(n).to_string(),
            "type": "text", "text": {"body": self.words(n)}, "context": {"id": ""}, "to": ""});
        let by_shop = self.by_shop(n);
        match (n % 5, self.phone()) {
            (0, _) => message["history_context"] = json!({"status": "DELIVERED", "from_me": by_shop}),
            (1, _) => message["direction"] = if by_shop { "OUTBOUND" } else { "INBOUND" }.into(),
            (2, _) => message["direction"] = if by_shop { "outbound" } else { "inbound" }.into(),
            (_, Some(phone)) if by_shop => (message["from"], message["to"]) = (OWN.into(), phone.into()),
            (_, None) if by_shop => (message["from"], message["to_user_id"]) = (OWN.into(), self.user().into()),
            (_, Some(phone)) => message["from"] = phone.into(),
            (_, None) => (message["from"], message["from_user_id"]) = ("".into(), self.user().into()),
        }
        message
    }

    /// The messages of some places in it, in the order of `seed`.
    fn thread(self, places: std::ops::Range<usize>, seed: u64) -> Value {
        let mut messages: Vec<Value> = places.map(|n| self.message(n)).collect();
        shuffle(&mut messages, seed);
        match self.phone() {
            Some(phone) => json!({"id": phone, "context": {"wa_id": phone, "username": ""}, "messages": messages}),
            None => json!({"id": "", "context": {"wa_id": "", "user_id": self.user()}, "messages": messages}),
        }
    }
}

/// The same disorder each time.
fn shuffle<T>(all: &mut [T], seed: u64) {
    let mut state = seed.wrapping_mul(2) + 1;
    for at in (1..all.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
    }
}

/// Three phases of three chunks, the newest first; each has a tenth of every chat, and the last what is left.
fn chunks(chats: &[Chat], seed: u64) -> Vec<Value> {
    let part = |chat: &Chat, at: usize| chat.messages * (8 - at) / 9..chat.messages * (9 - at) / 9;
    let one = |at: i64| {
        let place = usize::try_from(at).unwrap();
        let thread = |chat: &Chat| chat.thread(part(chat, place), seed + u64::try_from(at).unwrap());
        chunk(at / 3, at % 3 + 1, (at + 1) * 11 + 1, &chats.iter().map(thread).collect::<Vec<_>>())
    };
    (0..9).map(one).collect()
}

/// The most requests to Chatwoot within a minute, from then on.
fn most_a_minute(world: &World, began: Timestamp) -> usize {
    let mut times: Vec<Timestamp> = world.chatwoot.requests().iter().map(|request| request.at).collect();
    times.retain(|at| *at >= began);
    times.sort();
    (0..times.len())
        .map(|from| times[from..].iter().take_while(|at| at.since(times[from]) < MINUTE).count())
        .max()
        .unwrap_or_default()
}

/// All conversations as agents read them: the name of the contact, and the messages below one another.
fn transcripts(world: &World) -> Vec<(String, String)> {
    let read = |row: simulator_chatwoot::ConversationView| {
        let said = world.chatwoot.messages(row.id).into_iter().map(|message| message.content);
        (row.contact_name, said.collect::<Vec<_>>().join("\n"))
    };
    world.chatwoot.conversations().into_iter().map(read).collect()
}

/// Each message of a chat stands in one conversation, once, below the older ones, with side and time.
fn assert_there(all: &[(String, String)], chat: Chat) {
    let first = chat.line(0);
    let holders: Vec<&String> = all.iter().map(|(_, text)| text).filter(|text| text.contains(&first)).collect();
    assert_eq!(holders.len(), 1, "chat {}", chat.at);
    let mut below = 0;
    for n in 0..chat.messages {
        let line = chat.line(n);
        let found: Vec<usize> = holders[0].match_indices(&line).map(|(at, _)| at).collect();
        assert_eq!(found.len(), 1, "{line}: {}", holders[0]);
        assert!(found[0] >= below, "{line} is not below the older ones");
        below = found[0];
    }
}

async fn imports(messages: usize, seed: u64) {
    let world = World::start().await.unwrap();
    let _agents = [world.chatwoot.agent("Sofía"), world.chatwoot.agent("Luz")];
    silent::greets_and_surveys(&world).await;
    let chats: Vec<Chat> = (0..40).map(|at| Chat { at, messages }).collect();
    let mut bodies = chunks(&chats, seed);
    // What is too old, and one whose file comes before it.
    let phone = chats[0].phone().unwrap();
    let picture = json!({"from": phone, "id": "wamid.picture", "timestamp": (NOW - DAY).to_string(),
        "type": "media_placeholder"});
    let odd = [theirs(&phone, "wamid.old", NOW - 400 * DAY, "viejísimo"), picture];
    bodies.push(chunk(2, 4, 100, &[json!({"id": phone, "messages": odd})]));
    // The file's chunk comes later, and Meta names the customer.
    let media = world.meta.holds_file(stories::CHANNEL, vec![b'f'; 900], "image/jpeg");
    let file = json!({"from": phone, "id": "wamid.picture", "timestamp": (NOW - DAY).to_string(), "type": "image",
        "image": {"id": media, "mime_type": "image/jpeg"}});
    posted(&world, &[body("history", &json!({"messages": [file]}))]).await;
    // Shuffled, a third of them twice, and some cut otherwise.
    let mut order: Vec<usize> = (0..bodies.len()).chain((0..bodies.len()).step_by(3)).collect();
    shuffle(&mut order, seed);
    for at in order {
        assert_eq!(post(&world, &bodies[at]).await, 200);
    }
    let again = [chats[3].thread(0..messages / 2, seed + 77), chats[4].thread(messages / 3..messages, seed + 78)];
    assert_eq!(post(&world, &chunk(1, 2, 70, &again)).await, 200);
    world.work().await.unwrap();
    assert_eq!(world.chatwoot.contacts().len(), 0, "nothing before it is likely to be all");

    let began = world.clock.now();
    // Until a fifth of it is written.
    while world.chatwoot.conversations().len() < 9 {
        if !world.import_once().await.unwrap() {
            world.pass(MINUTE);
        }
    }
    assert!(progress(&world).await.counts.waiting() > 1_000, "the import is in its middle");
    // A greeting, an erasure, and a Chatwoot that has too much.
    let greeter = world.meta.customer("Greta", &chats[GREETER].phone().unwrap());
    greeter.writes("¿Siguen abiertos?").await.unwrap();
    world.work().await.unwrap();
    let erased = chats[ERASED].phone().unwrap();
    let code = erasure::operator_asks(&world, json!({ "phone": erased })).await;
    let much = Fault { method: None, path: "/messages".to_owned(), skip: 0, times: Some(2), effect: answer(429) };
    world.chatwoot.faults().add(much);
    goes_by(&world, HOUR, 5 * MINUTE).await;
    world.chatwoot.faults().clear();
    imported(&world).await;
    erasure::done(&world, &code).await;
    for _ in 0..3 {
        world.reconcile().await.unwrap();
        goes_by(&world, 10 * MINUTE, 5 * MINUTE).await;
    }

    let most = most_a_minute(&world, began);
    assert!(most <= 200, "{most} requests in a minute");
    let all = transcripts(&world);
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().flat_map(|(_, text)| text.split_whitespace()).for_each(|word| *words.entry(word).or_default() += 1);
    let said = words.iter().filter(|(word, _)| word.starts_with('m') && word.contains('·'));
    assert_eq!(said.clone().count(), 39 * messages);
    assert!(said.clone().all(|(_, count)| *count == 1), "twice: {said:?}");
    for chat in chats.iter().filter(|chat| chat.at != ERASED) {
        assert_there(&all, *chat);
    }
    assert!(!all.iter().any(|(_, text)| text.contains("viejísimo") || text.contains(&chats[ERASED].words(1))));
    assert_eq!(all.iter().map(|(_, text)| text.matches("¿Siguen abiertos?").count()).sum::<usize>(), 1);
    assert_eq!(all.len(), 39, "one conversation each");
    for row in world.chatwoot.conversations() {
        let greeted = row.contact_name == "Greta";
        assert_eq!(status(&world, row.id), if greeted { "open" } else { "resolved" }, "{}", row.contact_name);
    }
    assert_eq!(silent::told(&world), [], "nobody is told");
    assert_eq!(greeter.heard(), Vec::<String>::new(), "nothing goes out by itself");
    let conversation = world.conversation(&format!("+{phone}")).unwrap();
    let files = world.chatwoot.messages(conversation).into_iter().filter(|one| !one.attachments.is_empty());
    assert_eq!(files.map(|one| one.private).collect::<Vec<_>>(), [true]);
    let counts = progress(&world).await.counts;
    assert_eq!(counts.waiting(), 0, "{counts:?}");
    assert_eq!(counts.refused.get("past_retention"), Some(&1), "{counts:?}");
    assert_eq!((world.dead_letters("inbound").len(), world.dead_letters("history").len()), (0, 0));
    let balance = world.reconcile().await.unwrap();
    assert_eq!((balance.difference, balance.waiting), (0, 0));
}

#[tokio::test]
async fn three_thousand_six_hundred_messages_are_there_once_in_their_place() {
    Box::pin(imports(90, 3)).await;
}

#[tokio::test]
async fn four_thousand_messages_are_there_once_in_their_place() {
    Box::pin(imports(100, 11)).await;
}
