//! One message is erased by an agent: it goes from Chatwoot, and a line in the ledger says so.

use domain::{AccountId, ConversationId, MessageId};
use serde_json::json;
use simulator_chatwoot::{Rule, RuleAction};
use simulator_wire::Effect;
use store::{ErasedMessage, ErasureLedger};
use stories::ACCOUNT;

use crate::{
    fixtures::{MINUTE, always, answer, once, table},
    open_chat::OpenChat,
};

impl OpenChat {
    async fn erases(&self, message: i64) {
        self.sofia.notes_about(self.conversation, message, "/borrar").await;
        self.world.work().await.unwrap();
    }

    async fn line(&self, message: i64) -> Option<ErasedMessage> {
        let ledger = ErasureLedger::new(table(&self.world));
        let (account, conversation) = (AccountId(ACCOUNT), ConversationId(self.conversation));
        ledger.erased_message(account, conversation, MessageId(message)).await.unwrap()
    }

    fn is_gone(&self, message: i64) -> bool {
        let shown = self.message(message);
        shown.content_attributes.get("deleted") == Some(&json!(true)) && shown.attachments.is_empty()
    }
}

#[tokio::test]
async fn what_a_customer_wrote_goes_with_its_edits_and_stays_blank_when_meta_repeats_it() {
    let shop = OpenChat::open().await;
    let wamid = shop.ana.writes("mi CURP es LOAA900101").await.unwrap();
    shop.ana.edits(&wamid, "mi CURP es LOAA900102").await.unwrap();
    shop.world.work().await.unwrap();
    let message = shop.message_of("mi CURP es LOAA900101").id;
    shop.erases(message).await;
    assert!(shop.is_gone(message));
    let all: Vec<_> = shop.world.chatwoot.messages(shop.conversation).into_iter().map(|one| one.content).collect();
    assert!(!all.iter().any(|content| content.contains("CURP")), "{all:?}");
    let line = shop.line(message).await.unwrap();
    assert_eq!((line.copies, line.files, line.by.is_some()), (1, 0, true));
    let said = serde_json::to_string(&line).unwrap();
    assert!(!said.contains("CURP") && !said.contains("wamid"), "{said}");
    assert!(shop.answers()[0].starts_with("Borrado de Chatwoot y apuntado"), "{:?}", shop.answers());
    shop.world.ledger().await.unwrap();
}

#[tokio::test]
async fn an_agents_file_goes_too_and_a_message_that_is_not_quoted_stays() {
    let shop = OpenChat::open().await;
    let files = vec![crate::open_chat::file("ine.png", "image/png", b"\x89PNG ine")];
    let sent = shop.sofia.sends_files(shop.conversation, Some("su INE"), files).await;
    shop.world.work().await.unwrap();
    shop.asks("/borrar").await;
    assert!(shop.answers()[0].contains("como nota que cita"), "{:?}", shop.answers());
    assert!(!shop.is_gone(sent));
    shop.erases(sent).await;
    assert!(shop.is_gone(sent) && shop.line(sent).await.unwrap().files == 1);
    shop.later(5 * MINUTE).await;
    shop.reconciles().await;
    assert_eq!(shop.ana.received().len(), 1, "it is on the phone, once");
}

#[tokio::test]
async fn the_line_stands_before_anything_goes_and_once_whatever_breaks_off() {
    let shop = OpenChat::open().await;
    let message = shop.message_of("hola").id;
    shop.world.chatwoot.faults().add(always("DELETE", "/messages", answer(503)));
    shop.erases(message).await;
    let first = shop.line(message).await.unwrap();
    assert!(!shop.is_gone(message) && shop.answers().is_empty());
    shop.world.chatwoot.faults().clear();
    shop.world.chatwoot.faults().add(once("DELETE", "/messages", Effect::DropAfter));
    for _ in 0..4 {
        shop.later(5 * MINUTE).await;
    }
    assert!(shop.is_gone(message));
    assert_eq!((shop.line(message).await.unwrap(), shop.answers().len()), (first, 1));
}

#[tokio::test]
async fn a_rule_erases_nothing() {
    let shop = OpenChat::open().await;
    let actions = vec![RuleAction::AddPrivateNote("/borrar".to_owned())];
    shop.world.chatwoot.add_rule(Rule { contains: "olvídelo".to_owned(), message_type: None, actions });
    shop.ana.writes("olvídelo").await.unwrap();
    shop.world.work().await.unwrap();
    assert!(shop.answers()[0].contains("una regla o un bot no lo hace"), "{:?}", shop.answers());
}
