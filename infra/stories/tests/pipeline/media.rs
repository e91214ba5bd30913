//! A file that cannot be fetched: a line stands for it at once, nobody waits for it, and it comes as long as Meta keeps it.

use std::time::Duration;

use simulator_chatwoot::{FileMode, MessageView};
use simulator_meta::{Customer, Rules};
use simulator_wire::{Effect, Fault};
use stories::{CHANNEL, World};

use crate::fixtures::{
    HOUR, MINUTE, always, ana, ana_wrote, answer, columns, goes_by, patience, post_all_again, rounds, sheet, source_ids,
};

const DAY: Duration = Duration::from_secs(86_400);

const LATER: &str = "[Imagen: el archivo aún no se pudo descargar de WhatsApp; se sigue intentando y llegará aquí. Si urge, pide al cliente que lo envíe otra vez]";

fn messages(world: &World) -> Vec<MessageView> {
    world.chatwoot.messages(world.conversation("Ana").unwrap())
}

fn files(world: &World) -> usize {
    messages(world).iter().map(|message| message.attachments.len()).sum()
}

/// The grey lines, which leave the customer's last words in the list of conversations.
fn lines(world: &World) -> Vec<MessageView> {
    messages(world).into_iter().filter(|message| message.message_type == "activity").collect()
}

#[tokio::test]
async fn a_line_stands_for_it_at_once_and_the_file_comes_quoting_it() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.meta.faults().add(always("GET", "", answer(500)));
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, Some("mi moto")).await.unwrap();
    ana.writes("¿la ve?").await.unwrap();
    world.work().await.unwrap();
    let told = format!("Ana: mi moto\n{LATER}");
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", told.as_str(), "Ana: ¿la ve?"]);
    assert_eq!(sheet(&world, CHANNEL).await, columns(&[("done", 3), ("received", 3)]));
    // As long as Meta is not well nothing changes, and she is heard all the while.
    rounds(&world, 3 * HOUR, 5 * MINUTE).await;
    ana.writes("¿hola?").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana").len(), 4);
    world.meta.faults().clear();
    rounds(&world, 6 * HOUR, 5 * MINUTE).await;
    let seen = messages(&world);
    assert_eq!(seen.len(), 5);
    let [file] = &seen[4].attachments[..] else { panic!("{:?}", seen[4]) };
    assert_eq!((file.bytes.as_ref(), file.filename.as_str()), (&b"a picture"[..], "image.jpg"));
    assert_eq!((seen[4].message_type.as_str(), seen[4].in_reply_to), ("incoming", Some(seen[1].id)));
    // Once, whatever is repeated.
    post_all_again(&world).await;
    rounds(&world, 2 * DAY, HOUR).await;
    assert_eq!((messages(&world).len(), lines(&world).len()), (5, 0));
    // What the bridge reminds itself of is no item of Meta's.
    assert_eq!(crate::fixtures::total(&world).await["waiting"], 0);
    assert!(world.dead_letters("inbound").is_empty());
}

#[tokio::test]
async fn the_gaps_grow() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.meta.faults().add(always("GET", "/v25.0/", answer(503)));
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    world.work().await.unwrap();
    let mut hints = Vec::new();
    for step in 0..(24 * 12) {
        world.pass(5 * MINUTE);
        world.reconcile().await.unwrap();
        if world.queued("inbound") > 0 {
            hints.push(step + 1);
        }
        world.work().await.unwrap();
    }
    let gaps: Vec<i32> = hints.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(hints[..4], [1, 3, 7, 15]);
    assert!(gaps.is_sorted() && hints.len() < 12, "{hints:?}");
}

#[tokio::test]
async fn on_the_last_day_the_agent_is_told_once_to_ask_again_and_then_it_is_over() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.meta.faults().add(always("GET", "", answer(500)));
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    world.work().await.unwrap();
    rounds(&world, 143 * HOUR, HOUR).await;
    assert_eq!(lines(&world).len(), 0);
    rounds(&world, 2 * HOUR, 5 * MINUTE).await;
    let told = lines(&world);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].in_reply_to, Some(messages(&world)[1].id));
    assert!(told[0].content.ends_with("pide al cliente que lo envíe otra vez]"), "{}", told[0].content);
    // Nobody but the agents reads it.
    assert_eq!(ana.heard(), [""; 0]);
    rounds(&world, 2 * DAY, HOUR).await;
    assert_eq!(lines(&world).len(), 1);
    // Too late: nobody asks any more.
    world.meta.faults().clear();
    rounds(&world, DAY, HOUR).await;
    assert_eq!((files(&world), lines(&world).len()), (0, 1));
}

#[tokio::test]
async fn it_may_still_come_on_the_last_day() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.meta.faults().add(always("GET", "", answer(500)));
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    world.work().await.unwrap();
    rounds(&world, 6 * DAY + HOUR, HOUR).await;
    world.meta.faults().clear();
    rounds(&world, 12 * HOUR, HOUR).await;
    assert_eq!((files(&world), lines(&world).len()), (1, 1));
}

#[tokio::test]
async fn a_damaged_file_never_arrives_and_a_whole_one_does() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let damaged = Effect::Answer { status: 200, content_type: "image/jpeg".to_owned(), body: "a pictuRe".to_owned() };
    // Once on the way: it is asked for again at once.
    world.meta.faults().add(Fault { times: Some(1), ..always("GET", "/media/", damaged.clone()) });
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    world.work().await.unwrap();
    assert_eq!(messages(&world)[1].attachments[0].bytes.as_ref(), b"a picture");
    // Some times more, by and by.
    world.meta.faults().add(Fault { times: Some(4), ..always("GET", "/media/", damaged) });
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, Some("otra")).await.unwrap();
    ana.writes("¿llegó?").await.unwrap();
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana")[2..], [format!("Ana: otra\n{LATER}"), "Ana: ¿llegó?".to_owned()]);
    rounds(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(messages(&world)[4].attachments[0].bytes.as_ref(), b"a picture");
    assert_eq!((messages(&world).len(), files(&world)), (5, 2));
}

#[tokio::test]
async fn a_file_meta_no_longer_has_is_told_in_words() {
    let world = World::start().await.unwrap();
    let ana = ana(&world);
    ana.sends_file("document", b"x".to_vec(), "application/pdf", Some("a.pdf"), Some("mi recibo")).await.unwrap();
    // The queue stood still for longer than Meta keeps files.
    world.later(8 * DAY).await.unwrap();
    let told = "Ana: mi recibo\n[Documento: el archivo no está disponible; pide al cliente que lo envíe otra vez]";
    assert_eq!(world.agent_reads("Ana"), [told]);
    rounds(&world, DAY, HOUR).await;
    assert_eq!(world.agent_reads("Ana"), [told]);
}

#[tokio::test]
async fn a_file_too_large_for_chatwoot_says_so() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.faults().add(Fault { times: Some(1), ..always("POST", "/messages", answer(413)) });
    ana.sends_file("video", vec![7; 9000], "video/mp4", None, Some("el ruido")).await.unwrap();
    world.work().await.unwrap();
    let told = "Ana: el ruido\n[Video: el archivo es demasiado grande para Chatwoot; míralo en el teléfono o pide al cliente una versión más ligera]";
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", told]);
    rounds(&world, DAY, HOUR).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola", told]);
}

#[tokio::test]
async fn a_file_chatwoot_refuses_says_so_and_is_offered_once_more() {
    for second_time in [false, true] {
        let world = World::start().await.unwrap();
        let (ana, _) = ana_wrote(&world).await;
        world.chatwoot.faults().add(Fault { times: Some(1), ..always("POST", "/messages", answer(422)) });
        ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
        world.work().await.unwrap();
        let told = "Ana: [Imagen: Chatwoot no aceptó el archivo; se intentará una vez más]";
        assert_eq!(world.agent_reads("Ana"), ["Ana: hola", told]);
        if second_time {
            world.chatwoot.faults().add(Fault { times: Some(1), ..always("POST", "/messages", answer(422)) });
        }
        rounds(&world, HOUR, 5 * MINUTE).await;
        let last = world.agent_reads("Ana").pop().unwrap();
        let expected =
            if second_time { "system: [Imagen: Chatwoot no acepta este archivo; míralo" } else { "Ana:  [image.jpg]" };
        assert!(last.starts_with(expected), "{last}");
        rounds(&world, DAY, HOUR).await;
        assert_eq!(world.agent_reads("Ana").len(), 3);
    }
}

/// A picture that Meta did not give out at first, hinted at and not yet fetched.
async fn is_asked_for_again(world: &World, ana: &Customer) -> String {
    world.meta.faults().add(always("GET", "", answer(500)));
    let wamid = ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    world.work().await.unwrap();
    world.meta.faults().clear();
    world.pass(5 * MINUTE);
    world.reconcile().await.unwrap();
    wamid
}

#[tokio::test]
async fn asking_again_is_killed_anywhere_and_the_file_is_there_once() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let (mut awaits, mut lives, mut expected) = (0, 0, 0);
    while lives < 6 {
        is_asked_for_again(&world, &ana).await;
        expected += 1;
        let killed = world.forward_killed(awaits).await.unwrap();
        world.calm().await;
        rounds(&world, 30 * MINUTE, 6 * MINUTE).await;
        assert_eq!(files(&world), expected, "killed at await {awaits}");
        lives = if killed { 0 } else { lives + 1 };
        awaits += 1;
    }
    assert!(awaits > 12, "only {awaits} moments to die at");
    assert_eq!(source_ids(&world).len(), 1 + 2 * expected);
}

#[tokio::test]
async fn a_file_that_kills_forward_every_time_goes_without() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    ana.writes("sigue").await.unwrap();
    for _ in 0..3 {
        assert!(world.forward_killed(8).await.unwrap());
        world.calm().await;
        world.pass(13 * MINUTE);
    }
    world.work().await.unwrap();
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola".to_owned(), format!("Ana: {LATER}"), "Ana: sigue".to_owned()]);
    rounds(&world, HOUR, 5 * MINUTE).await;
    assert_eq!(world.agent_reads("Ana").pop().unwrap(), "Ana:  [image.jpg]");
}

#[tokio::test]
async fn a_placeholder_whose_end_was_not_written_down_is_still_followed_by_its_file() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let (mut awaits, mut lives, mut expected) = (0, 0, 0);
    while lives < 6 {
        world.meta.faults().add(always("GET", "", answer(500)));
        ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
        let killed = world.forward_killed(awaits).await.unwrap();
        world.calm().await;
        world.later(13 * MINUTE).await.unwrap();
        world.meta.faults().clear();
        expected += 1;
        rounds(&world, 30 * MINUTE, 6 * MINUTE).await;
        assert_eq!(files(&world), expected, "killed at await {awaits}");
        lives = if killed { 0 } else { lives + 1 };
        awaits += 1;
    }
    assert_eq!(source_ids(&world).len(), 1 + 2 * expected);
}

#[tokio::test]
async fn the_table_holds_no_name_of_a_file() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.meta.faults().add(always("GET", "", answer(500)));
    let name = Some("recibo de Ana.pdf");
    ana.sends_file("document", b"%PDF".to_vec(), "application/pdf", name, Some("mi recibo")).await.unwrap();
    world.work().await.unwrap();
    let aws = platform::aws::Aws::from_env(world.stage.operator()).unwrap();
    let scan = aws.dynamodb.scan().table_name(world.stage.table().unwrap()).send().await.unwrap();
    let rows: Vec<String> = scan.items().iter().map(|item| format!("{item:?}")).collect();
    assert!(rows.iter().any(|row| row.contains("file#")));
    assert!(rows.iter().all(|row| !row.contains("recibo")));
    assert!(rows.iter().filter(|row| row.contains("file#")).all(|row| row.contains("expires_at")));
    world.meta.faults().clear();
    rounds(&world, HOUR, 5 * MINUTE).await;
    let last = messages(&world).pop().unwrap();
    assert_eq!(last.attachments[0].filename, "document.pdf");
}

#[tokio::test]
async fn an_agent_deletes_the_conversation_before_the_file_comes() {
    let world = World::start().await.unwrap();
    let (ana, conversation) = ana_wrote(&world).await;
    world.meta.faults().add(always("GET", "", answer(500)));
    ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
    world.work().await.unwrap();
    world.chatwoot.agent("Sofía").deletes_conversation(conversation).await;
    world.meta.faults().clear();
    rounds(&world, DAY, HOUR).await;
    ana.writes("hola otra vez").await.unwrap();
    patience(&world).await;
    goes_by(&world, MINUTE, MINUTE).await;
    assert_eq!(world.agent_reads("Ana"), ["Ana: hola otra vez"]);
    assert_eq!((world.queued("inbound"), world.dead_letters("inbound").len()), (0, 0));
}

#[tokio::test]
async fn a_message_taken_back_takes_its_late_file_with_it_wherever_forward_dies() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    let (mut awaits, mut lives) = (0, 0);
    while lives < 6 {
        let wamid = is_asked_for_again(&world, &ana).await;
        let killed = world.forward_killed(awaits).await.unwrap();
        ana.revokes(&wamid).await.unwrap();
        world.work().await.unwrap();
        world.calm().await;
        rounds(&world, 30 * MINUTE, 6 * MINUTE).await;
        assert_eq!(files(&world), 0, "killed at await {awaits}");
        lives = if killed { 0 } else { lives + 1 };
        awaits += 1;
    }
    assert!(awaits > 12, "only {awaits} moments to die at");
}

#[tokio::test]
async fn a_file_chatwoot_always_breaks_on_holds_nobody_up_for_long() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    world.chatwoot.serve_files(FileMode::Broken);
    ana.sends_file("video", b"a long one".to_vec(), "video/mp4", None, Some("mi ruta")).await.unwrap();
    ana.writes("¿la ve?").await.unwrap();
    world.work().await.unwrap();
    goes_by(&world, HOUR / 2, MINUTE).await;
    assert_eq!(world.agent_reads("Ana").len(), 3, "{:?}", world.agent_reads("Ana"));
    assert!(world.dead_letters("inbound").is_empty());
    // Storage works again, and the file comes.
    world.chatwoot.serve_files(FileMode::Normal);
    rounds(&world, 2 * HOUR, 5 * MINUTE).await;
    assert_eq!(files(&world), 1);
}

/// Ana's last file once more, under a digest that is not its own.
async fn comes_again_under_a_wrong_digest(world: &World) {
    let body = String::from_utf8(world.meta.deliveries().pop().unwrap().body.to_vec()).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&body).unwrap();
    let message = &mut value["entry"][0]["changes"][0]["value"]["messages"][0];
    message["id"] = "wamid.HBgNNTIxNTU1NTU1MDEyMxUCABIYIEE=".into();
    message["image"]["sha256"] = format!("{}=", "A".repeat(43)).into();
    world.meta.post(value.to_string().as_bytes()).await.unwrap();
    world.work().await.unwrap();
}

#[tokio::test]
async fn a_wrong_checksum_in_the_webhook_costs_no_time_where_metas_own_is_right_or_there_is_none() {
    for digests in [true, false] {
        let world = World::start().await.unwrap();
        world.meta.set_rules(Rules { digests, ..Rules::default() });
        let (ana, _) = ana_wrote(&world).await;
        ana.sends_file("image", b"a picture".to_vec(), "image/jpeg", None, None).await.unwrap();
        comes_again_under_a_wrong_digest(&world).await;
        let seen = messages(&world);
        assert_eq!((seen.len(), files(&world)), (3, 2), "{digests}: {:?}", world.agent_reads("Ana"));
    }
}

#[tokio::test]
async fn a_customers_file_is_called_as_its_type_is() {
    let world = World::start().await.unwrap();
    let (ana, _) = ana_wrote(&world).await;
    for (mime, name, expected) in [
        ("audio/ogg; codecs=opus", "nota.opus", "nota.ogg"),
        ("application/pdf", "recibo", "recibo.pdf"),
        ("application/pdf", "cotizaci%C3%B3n%20final.pdf", "cotización final.pdf"),
        ("application/xml", "factura.xml", "factura.xml"),
        ("application/msword", "contrato.docx", "contrato.docx"),
        ("application/msword", "contrato.rtf", "contrato.rtf"),
        ("application/vnd.ms-excel", "lista.csv", "lista.csv"),
        ("application/vnd.ms-excel", "precios.xlsx", "precios.xlsx"),
        ("application/vnd.ms-excel", "precios", "precios.xls"),
        ("application/zip", "contrato.docx", "contrato.docx"),
        ("application/octet-stream", "lista.csv", "lista.csv"),
    ] {
        ana.sends_file("document", b"x".to_vec(), mime, Some(name), None).await.unwrap();
        world.work().await.unwrap();
        assert_eq!(messages(&world).pop().unwrap().attachments[0].filename, expected);
    }
}
