//! How fast messages go out: Meta allows one message to a person each six seconds with bursts of 45, and so many a second from
//! a number. Whoever keeps to that is never refused.

use std::time::Duration;

use domain::Clock as _;
use simulator_wire::{Effect, Fault};
use stories::COEXISTENCE_CHANNEL;

use crate::{
    fixtures::{MINUTE, goes_by},
    open_chat::{OpenChat, at, proxy_page, refuses},
};

const SECOND: Duration = Duration::from_secs(1);

/// Whatever Meta was asked to send, it took.
fn nothing_was_refused(shop: &OpenChat) {
    let requests = shop.world.meta.requests();
    assert!(requests.iter().all(|request| request.status == 200), "{requests:?}");
}

#[tokio::test]
async fn sixty_answers_in_a_row_arrive_in_order_and_none_is_refused() {
    let shop = OpenChat::open().await;
    let beto = shop.world.meta.customer("Beto", "5215555550199");
    beto.writes("buenas").await.unwrap();
    shop.world.work().await.unwrap();
    let said: Vec<String> = (1..=60).map(|number| format!("respuesta {number}")).collect();
    for text in &said {
        shop.sofia.replies(shop.conversation, text).await;
    }
    shop.world.work().await.unwrap();
    assert_eq!(shop.ana.heard(), said[..45], "a burst goes out at once");
    // Who is answered slowly delays nobody else.
    shop.sofia.replies(shop.world.conversation("Beto").unwrap(), "para Beto").await;
    shop.world.work().await.unwrap();
    assert_eq!(beto.heard(), ["para Beto"]);

    goes_by(&shop.world, 2 * MINUTE, SECOND).await;
    assert_eq!(shop.ana.heard(), said);
    nothing_was_refused(&shop);
    assert!(shop.notes().is_empty(), "nothing is wrong: {:?}", shop.notes());
}

#[tokio::test]
async fn trouble_behind_a_long_wait_for_one_s_turn_is_waited_out_as_any_other() {
    let shop = OpenChat::open().await;
    let said: Vec<String> = (1..=60).map(|number| format!("respuesta {number}")).collect();
    for text in &said {
        shop.sofia.replies(shop.conversation, text).await;
    }
    shop.world.work().await.unwrap();
    goes_by(&shop.world, MINUTE, SECOND).await;
    let before = shop.ana.heard().len();
    assert!((50..58).contains(&before), "{before}");
    let path = format!("/conversations/{}/messages", shop.conversation);
    shop.world.chatwoot.faults().add(Fault { method: Some("GET".to_owned()), ..at(&path, proxy_page(503), Some(1)) });
    goes_by(&shop.world, 3 * MINUTE, SECOND).await;
    assert_eq!(shop.ana.heard(), said, "one answer of 503 costs no quarter of an hour");
}

#[tokio::test]
async fn what_was_borrowed_is_remembered_by_the_next_look() {
    let shop = OpenChat::open().await;
    for number in 0..45 {
        shop.says(&format!("respuesta {number}")).await;
    }
    assert_eq!(shop.ana.heard().len(), 45);
    shop.says("una más").await;
    assert_eq!(shop.ana.heard().len(), 45);
    goes_by(&shop.world, 7 * SECOND, SECOND).await;
    assert_eq!(shop.ana.heard().last().unwrap(), "una más");
    nothing_was_refused(&shop);
}

#[tokio::test]
async fn a_number_sends_no_more_in_a_second_than_it_may() {
    let shop = OpenChat::open().await;
    let customer = |number: u32| {
        let phone = format!("52155555502{number:02}");
        shop.world.meta.customer(&format!("Cliente {number:02}"), &phone).at(COEXISTENCE_CHANNEL)
    };
    let customers: Vec<_> = (0..50).map(customer).collect();
    for customer in &customers {
        customer.writes("hola").await.unwrap();
    }
    shop.world.work().await.unwrap();
    for number in 0..50 {
        let conversation = shop.world.conversation(&format!("Cliente {number:02}")).unwrap();
        shop.sofia.replies(conversation, "Buenas").await;
    }
    let began = shop.world.clock.now();
    shop.world.work().await.unwrap();
    assert!(customers.iter().all(|customer| customer.heard() == ["Buenas"]));
    let took = shop.world.clock.now().since(began);
    assert!(
        (Duration::from_millis(2_450)..Duration::from_millis(2_780)).contains(&took),
        "50 at 18 to 20 a second: {took:?}"
    );
    nothing_was_refused(&shop);
}

#[tokio::test]
async fn a_number_at_its_limit_sends_nine_tenths_of_what_it_may_and_keeps_the_order() {
    let shop = OpenChat::open().await;
    let customer =
        |number: u32| shop.world.meta.customer(&format!("Cliente {number:02}"), &format!("52155555502{number:02}"));
    let customers: Vec<_> = (0..12).map(customer).collect();
    for customer in &customers {
        customer.writes("hola").await.unwrap();
    }
    shop.world.work().await.unwrap();
    shop.world.pass(MINUTE);
    let said: Vec<String> = (1..=20).map(|number| format!("respuesta {number}")).collect();
    for text in &said {
        for number in 0..12 {
            let conversation = shop.world.conversation(&format!("Cliente {number:02}")).unwrap();
            shop.sofia.replies(conversation, text).await;
        }
    }
    let began = shop.world.clock.now();
    shop.world.work().await.unwrap();
    let took = shop.world.clock.now().since(began);
    for customer in &customers {
        assert_eq!(customer.heard(), said);
    }
    let rate = 240.0 / took.as_secs_f64();
    assert!((72.0..=80.0).contains(&rate), "{rate} a second");
    nothing_was_refused(&shop);
}

#[tokio::test]
async fn several_processes_share_a_number_s_places() {
    let shop = OpenChat::open().await;
    let processes: Vec<_> = (0..4).map(|_| store::NumberRateLimit::new(crate::fixtures::table(&shop.world))).collect();
    let number = domain::PhoneNumberId::new("1");
    let (mut places, mut turned_away) = (Vec::new(), 0);
    for round in 0..400 {
        for process in [round % 4, round % 3] {
            match processes[process].take(&number, 80, Duration::ZERO).await.unwrap() {
                store::Slot::At(at) => places.push(at),
                store::Slot::NotBefore(after) => {
                    assert!(after < SECOND);
                    turned_away += 1;
                }
            }
        }
        shop.world.pass(Duration::from_millis(10));
    }
    places.sort();
    let apart = places.windows(2).map(|two| two[1].since(two[0])).min().unwrap();
    assert!(apart >= Duration::from_millis(13), "{apart:?}");
    let took = places.last().unwrap().since(places[0]).as_secs_f64();
    let rate = f64::from(u32::try_from(places.len() - 1).unwrap()) / took;
    assert!((72.0..80.0).contains(&rate) && turned_away > 0, "{rate} a second, {turned_away} turned away");
}

/// How many places the number took since it was last asked.
fn places_taken(shop: &OpenChat) -> usize {
    let calls = shop.world.stage.aws.calls().take();
    calls.iter().filter(|call| String::from_utf8_lossy(&call.body).contains("pace#")).count()
}

#[tokio::test]
async fn a_place_that_is_over_before_the_call_is_given_up_for_another_one() {
    let shop = OpenChat::open().await;
    let aws = &shop.world.stage.aws;
    aws.calls().record_bodies();
    shop.says("uno").await;
    let calls = aws.calls().take();
    let place = calls.iter().position(|call| String::from_utf8_lossy(&call.body).contains("pace#")).unwrap();
    let written = calls.iter().position(|call| String::from_utf8_lossy(&call.body).contains("sending")).unwrap();
    assert!(place < written, "the part is written down behind its place");
    let late = |nth: usize, millis: u64| {
        let target = calls[nth].target.clone();
        let skip = calls[..nth].iter().filter(|call| call.target == target).count();
        let (skip, effect) = (u32::try_from(skip).unwrap(), Effect::Late { millis });
        Fault { method: None, path: target, skip, times: Some(1), effect }
    };
    // The write behind the place, the place itself, and neither by much.
    for (nth, millis, places) in
        [(written, 41, 2), (written, 500, 2), (place, 300, 2), (written, 40, 1), (place, 40, 1)]
    {
        shop.world.pass(MINUTE);
        aws.calls().take();
        aws.faults().add(late(nth, millis));
        shop.says("más").await;
        assert_eq!((places_taken(&shop), aws.faults().list().len()), (places, 0), "{nth} {millis}");
    }
    assert_eq!(shop.ana.heard().len(), 6);
    nothing_was_refused(&shop);
}

#[tokio::test]
async fn a_call_that_is_repeated_with_a_new_token_has_a_place_of_its_own() {
    let shop = OpenChat::open().await;
    shop.world.stage.aws.calls().record_bodies();
    shop.meta_will(refuses(401, 190), 1);
    shop.says("uno").await;
    assert_eq!((places_taken(&shop), shop.ana.heard()), (2, vec!["uno".to_owned()]));
}

#[tokio::test]
async fn where_one_second_of_the_clock_ends_a_number_sends_no_more_either() {
    let shop = OpenChat::open().await;
    let mut conversations = Vec::new();
    let mut customers = Vec::new();
    for number in 0..40 {
        let (name, phone) = (format!("Cliente {number:02}"), format!("52155555502{number:02}"));
        let customer = shop.world.meta.customer(&name, &phone).at(COEXISTENCE_CHANNEL);
        customer.writes("hola").await.unwrap();
        shop.world.work().await.unwrap();
        conversations.push(shop.world.conversation(&name).unwrap());
        customers.push(customer);
    }
    shop.world.pass(Duration::from_millis(950));
    for step in conversations.chunks(20) {
        for conversation in step {
            shop.sofia.replies(*conversation, "Buenas").await;
        }
        shop.world.work().await.unwrap();
        shop.world.pass(Duration::from_millis(60));
    }
    assert!(customers.iter().all(|customer| customer.heard() == ["Buenas"]));
    nothing_was_refused(&shop);
}

#[tokio::test]
async fn a_person_meta_counts_more_for_is_left_alone_for_a_while() {
    let shop = OpenChat::open().await;
    shop.meta_will(refuses(400, 131_056), 1);
    shop.says("uno").await;
    shop.sofia.replies(shop.conversation, "dos").await;
    for second in 1..=5 {
        shop.later(SECOND).await;
        assert!(shop.ana.heard().is_empty(), "second {second}");
    }
    goes_by(&shop.world, 3 * SECOND, SECOND).await;
    assert_eq!(shop.ana.heard(), ["uno"], "and then one at a time");
    goes_by(&shop.world, 8 * SECOND, SECOND).await;
    assert_eq!(shop.ana.heard(), ["uno", "dos"]);
}

#[tokio::test]
async fn an_account_that_called_too_often_waits_as_long_as_meta_says() {
    for (code, header, before, after) in
        [(80_007, Some(r#"{"1":[{"estimated_time_to_regain_access":3}]}"#), 175, 190), (4, None, 55, 70)]
    {
        let shop = OpenChat::open().await;
        let headers = header.map(|usage| ("x-business-use-case-usage".to_owned(), usage.to_owned()));
        let body = format!(r#"{{"error":{{"message":"(#{code}) limit","code":{code}}}}}"#);
        shop.meta_will(Effect::AnswerWith { status: 400, headers: headers.into_iter().collect(), body }, 1);
        let message = shop.says("Buenas").await;
        goes_by(&shop.world, before * SECOND, 5 * SECOND).await;
        assert_eq!(shop.world.meta.requests().len(), 0, "{code}");
        goes_by(&shop.world, (after - before) * SECOND, 5 * SECOND).await;
        assert_eq!((shop.ana.heard(), shop.mark(message).as_str()), (vec!["Buenas".to_owned()], "sent"), "{code}");
    }
}
