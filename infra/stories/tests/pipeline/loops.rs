//! Rules, bots and macros that answer what the bridge writes: nothing goes round, and fast work of people is not braked.

use std::time::Duration;

use serde_json::json;
use simulator_chatwoot::{Robot, Rule, RuleAction};

use crate::{
    fixtures::{MINUTE, goes_by},
    open_chat::OpenChat,
    templates,
};

const BRAKED: &str = "🛑 Una automatización";

impl OpenChat {
    async fn has_a_price_list(&self) {
        let components = json!([templates::body("El precio de la RX 150 está en la lista.")]);
        self.offers(vec![templates::template("precio_lista", "UTILITY", &components)]).await;
    }

    fn has_a_rule(&self, contains: &str, actions: Vec<RuleAction>) {
        self.world.chatwoot.add_rule(Rule { contains: contains.to_owned(), message_type: None, actions });
    }

    fn has_a_robot(&self, says: &str, private: bool, as_user: bool) {
        let (name, says) = ("Autómata".to_owned(), says.to_owned());
        self.world.chatwoot.add_robot(Robot {
            name,
            says,
            private,
            as_user,
            on_updates: !private,
            customers_only: false,
        });
    }

    async fn ana_writes(&self, text: &str) {
        // Nobody writes twice within a second.
        self.world.pass(5 * Duration::from_secs(1));
        self.ana.writes(text).await.unwrap();
        self.world.work().await.unwrap();
        goes_by(&self.world, MINUTE, 10 * Duration::from_secs(1)).await;
    }

    /// A rule of the dealer's goes round once.
    pub(crate) async fn loops(&self) {
        self.has_a_price_list().await;
        self.has_a_rule("precio", vec![RuleAction::AddPrivateNote("/plantilla precio_lista".to_owned())]);
        self.ana_writes("¿qué precio tiene?").await;
    }

    /// What was told under commands that were not done.
    fn told(&self, why: &str) -> Vec<String> {
        self.notes().into_iter().filter(|note| note.starts_with("🛑 No se hizo") && note.contains(why)).collect()
    }

    fn brakes(&self) -> usize {
        self.notes().iter().filter(|note| note.starts_with(BRAKED)).count()
    }
}

#[tokio::test]
async fn a_rule_without_a_message_type_sends_one_template_for_each_thing_the_customer_wrote() {
    let shop = OpenChat::open().await;
    shop.has_a_price_list().await;
    shop.has_a_rule("precio", vec![RuleAction::AddPrivateNote("/plantilla precio_lista".to_owned())]);
    shop.ana_writes("¿qué precio tiene?").await;
    assert_eq!(shop.ana.heard().len(), 1);
    assert_eq!((shop.answers().len(), shop.brakes()), (1, 1), "{:?}", shop.notes());
    shop.ana_writes("¿y el precio de la otra?").await;
    assert_eq!((shop.ana.heard().len(), shop.brakes()), (2, 1), "told once an hour");
    shop.later(61 * MINUTE).await;
    shop.ana_writes("¿y con qué precio a plazos?").await;
    assert_eq!((shop.ana.heard().len(), shop.brakes()), (3, 2));
}

#[tokio::test]
async fn a_rule_that_sets_itself_off_by_any_command_is_answered_once() {
    for command in ["/ayuda", "/estado", "/nada"] {
        let shop = OpenChat::open().await;
        shop.has_a_rule("", vec![RuleAction::AddPrivateNote(command.to_owned())]);
        shop.ana_writes("buenas").await;
        assert_eq!((shop.answers().len(), shop.brakes()), (1, 1), "{command}: {:?}", shop.notes());
        // A person's command is still answered.
        shop.world.chatwoot.clear_automation();
        shop.asks("/estado").await;
        assert_eq!(shop.answers().len(), 2, "{command}");
    }
}

#[tokio::test]
async fn two_rules_that_set_each_other_off_come_to_an_end() {
    let shop = OpenChat::open().await;
    shop.has_a_price_list().await;
    shop.has_a_rule("precio", vec![RuleAction::AddPrivateNote("/ayuda".to_owned())]);
    shop.has_a_rule("comandos", vec![RuleAction::AddPrivateNote("/plantilla precio_lista".to_owned())]);
    shop.ana_writes("¿precio?").await;
    assert_eq!((shop.ana.heard().len(), shop.answers().len(), shop.brakes()), (1, 2, 1), "{:?}", shop.notes());
}

#[tokio::test]
async fn a_rule_that_asks_for_the_message_type_runs_as_often_as_the_customer_writes() {
    let shop = OpenChat::open().await;
    shop.has_a_price_list().await;
    let actions = vec![RuleAction::AddPrivateNote("/plantilla precio_lista".to_owned())];
    let rule = Rule { contains: "precio".to_owned(), message_type: Some("incoming".to_owned()), actions };
    shop.world.chatwoot.add_rule(rule);
    for at in 0..4 {
        shop.ana_writes(&format!("precio {at}")).await;
    }
    assert_eq!((shop.ana.heard().len(), shop.answers().len(), shop.brakes()), (4, 4, 0));
}

#[tokio::test]
async fn an_integration_with_a_users_token_sends_one_template_for_each_thing_the_customer_wrote() {
    let shop = OpenChat::open().await;
    shop.has_a_price_list().await;
    shop.has_a_robot("/plantilla precio_lista", true, true);
    for times in 1..=2 {
        shop.ana_writes("¿precio?").await;
        assert_eq!((shop.answers().len(), shop.ana.heard().len()), (times, times), "{:?}", shop.notes());
        // It answers what it is told, too; that has an end.
        let told = shop.told("esa misma plantilla ya salió").len();
        assert!((1..=5 * times).contains(&told), "{told}: {:?}", shop.notes());
        goes_by(&shop.world, 30 * MINUTE, MINUTE).await;
        assert_eq!((shop.answers().len(), shop.ana.heard().len()), (times, times), "it does not begin again");
    }
}

#[tokio::test]
async fn an_integration_with_a_users_token_that_asks_anything_else_is_braked_by_the_count() {
    let shop = OpenChat::open().await;
    shop.has_a_robot("/estado", true, true);
    shop.ana_writes("buenas").await;
    let told = shop.told("demasiados comandos").len();
    assert!(shop.answers().len() == 12 && told == 5, "{told}: {:?}", shop.notes());
    goes_by(&shop.world, 30 * MINUTE, MINUTE).await;
    assert_eq!(shop.answers().len(), 12, "it does not begin again");
}

#[tokio::test]
async fn whoever_asks_too_much_reads_why_under_each_command() {
    let shop = OpenChat::open().await;
    shop.has_a_price_list().await;
    shop.asks("/plantilla precio_lista").await;
    shop.asks("/plantilla precio_lista").await;
    assert_eq!((shop.answers().len(), shop.told("espera diez segundos").len()), (1, 1), "{:?}", shop.notes());
    shop.later(Duration::from_secs(11)).await;
    shop.asks("/plantilla precio_lista").await;
    assert_eq!((shop.answers().len(), shop.ana.heard().len()), (2, 2), "it was meant");
    for _ in 0..13 {
        shop.asks("/estado").await;
    }
    // Three templates were asked for before.
    assert_eq!((shop.answers().len(), shop.told("demasiados comandos").len()), (11, 4), "{:?}", shop.notes());
    shop.later(MINUTE).await;
    shop.asks("/estado").await;
    assert_eq!((shop.answers().len(), shop.brakes()), (12, 0));
}

#[tokio::test]
async fn two_things_the_customer_wrote_together_are_answered_twice() {
    let shop = OpenChat::open().await;
    shop.has_a_price_list().await;
    shop.has_a_rule("precio", vec![RuleAction::AddPrivateNote("/plantilla precio_lista".to_owned())]);
    shop.later(MINUTE).await;
    shop.ana.writes("¿precio de la 150?").await.unwrap();
    shop.ana.writes("¿y el precio de la 250?").await.unwrap();
    shop.world.work().await.unwrap();
    goes_by(&shop.world, MINUTE, 10 * Duration::from_secs(1)).await;
    assert_eq!((shop.ana.heard().len(), shop.brakes()), (2, 1), "{:?}", shop.notes());
}

#[tokio::test]
async fn a_bot_that_answers_marks_is_braked_and_retry_sends_what_is_needed() {
    let shop = OpenChat::open().await;
    shop.has_a_robot("¡Gracias por escribir!", false, false);
    shop.ana.writes("buenas").await.unwrap();
    for _ in 0..40 {
        shop.world.work().await.unwrap();
        shop.ana.reads_all().await;
    }
    let heard = shop.ana.heard().len();
    assert!((1..=20).contains(&heard), "{heard}");
    assert_eq!(shop.brakes(), 1);
    shop.world.chatwoot.clear_automation();
    let red = shop.world.chatwoot.messages(shop.conversation).into_iter().find(|one| one.status == "failed").unwrap();
    assert!(shop.mark(red.id).contains("un bot o una automatización"), "{}", shop.mark(red.id));
    // Chatwoot itself takes 200 messages a minute.
    shop.later(2 * MINUTE).await;
    shop.retries(red.id).await;
    assert_eq!(shop.ana.heard().len(), heard + 1);
    // What people write meanwhile goes out.
    shop.says("¿En qué puedo ayudarle?").await;
    assert_eq!(shop.ana.heard().len(), heard + 2);
}

#[tokio::test]
async fn rules_that_put_the_label_of_an_erasure_on_and_off_come_to_an_end() {
    let shop = OpenChat::open().await;
    let label = || "borrar-datos".to_owned();
    // Each notice has the other rule's word in it.
    shop.has_a_rule("borrar mi", vec![RuleAction::AddLabel(label())]);
    shop.has_a_rule("Quita la etiqueta", vec![RuleAction::RemoveLabel(label())]);
    shop.has_a_rule("no se borra", vec![RuleAction::AddLabel(label())]);
    shop.has_a_rule("etiqueta", vec![RuleAction::RemoveLabel(label()), RuleAction::AddLabel(label())]);
    shop.ana_writes("quiero borrar mi pedido").await;
    let notes = shop.notes().len();
    assert!(notes <= 8, "{:?}", shop.notes());
    goes_by(&shop.world, 5 * MINUTE, MINUTE).await;
    assert!(shop.notes().len() <= notes + 6, "{:?}", shop.notes());
}

#[tokio::test]
async fn fast_work_of_people_is_not_braked() {
    let shop = OpenChat::open().await;
    shop.has_a_price_list().await;
    for at in 0..30 {
        shop.sofia.replies(shop.conversation, &format!("foto {at}")).await;
    }
    shop.sofia.runs_macro(shop.conversation, &["/estado", "/plantilla precio_lista", "revisado"]).await;
    shop.world.work().await.unwrap();
    for _ in 0..4 {
        shop.later(Duration::from_secs(11)).await;
        shop.asks("/plantilla precio_lista").await;
        shop.asks("/estado").await;
    }
    assert_eq!((shop.answers().len(), shop.brakes(), shop.ana.heard().len()), (10, 0, 35));
}
