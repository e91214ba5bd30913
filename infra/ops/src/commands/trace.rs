//! Tells what became of a message, a conversation or a customer's messages: each step with its time, in order. No content.

mod logs;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use app::Clients;
use clap::Args;
use deletion::OperatorCommand;
use domain::{
    AccountId, Author, ConversationId, Delivery, KeyedHash, MessageId, Part, PhoneNumberId, Timestamp, Wamid,
    keyed_hash::WorkItem,
};
use serde_json::{Value, json};
use store::{Conversations, ItemState, MessageLinks, Outbox};

use crate::{
    access,
    output::Column,
    session::Session,
    stack::Stack,
    told::{NoSuch, Told, spelled},
};

const COLUMNS: &[Column] = &[("at", 20), ("conversation", 12), ("message", 8), ("step", 34)];

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// Meta's id of a message (`wamid.…`), a conversation's number in Chatwoot, or a customer's phone (7 digits or more).
    #[arg(value_name = "WAMID|CONVERSATION|PHONE")]
    of: String,
    /// The account of Chatwoot, where a conversation's number is in several.
    #[arg(long)]
    account: Option<i64>,
    /// Why it is looked at; this is recorded.
    #[arg(long, value_parser = access::why, default_value = "not said")]
    why: String,
}

/// One step.
struct Step {
    at: Option<Timestamp>,
    words: String,
    conversation: Option<(AccountId, ConversationId)>,
    message: Option<MessageId>,
    wamid: Option<Wamid>,
    trace: String,
}

/// What is to be told.
struct Traced<'s> {
    stack: &'s Stack,
    clients: Clients,
    steps: Vec<Step>,
    traces: BTreeSet<String>,
}

impl Trace {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let stack = session.deployed().await?;
        let clients = Box::pin(stack.clients()).await?;
        let mut traced = Traced { stack: &stack, clients, steps: Vec::new(), traces: BTreeSet::new() };
        let digits = self.of.chars().filter(char::is_ascii_digit).count();
        let is_number = self.of.chars().all(|letter| letter.is_ascii_digit() || "+ -()".contains(letter));
        if self.of.starts_with("wamid.") {
            traced.message(&Wamid::new(self.of.as_str())).await?;
        } else if is_number && digits >= 7 {
            traced.customer(&self.of).await?;
        } else if let Ok(id) = self.of.parse() {
            traced.conversation(self.account, ConversationId(id)).await?;
        } else {
            bail!("expected Meta's id of a message (wamid.…), a conversation's number, or a phone of 7 digits or more");
        }
        if traced.steps.is_empty() {
            return Err(
                NoSuch("nothing is known of it; what was erased, or is past its time, leaves no trace".into()).into()
            );
        }
        let subject = traced.traces.first().cloned().unwrap_or_default();
        access::record(&stack, "trace", subject, &self.why).await?;
        let Traced { mut steps, traces, .. } = traced;
        match logs::of(&stack, session, &traces).await {
            Ok(lines) => steps.extend(lines),
            Err(error) => session.output.remark(&format!("the logs cannot be read: {error:#}")),
        }
        steps.sort_by_key(|step| step.at);
        let mut list = session.output.list(COLUMNS);
        for step in steps {
            let Step { at, words, conversation, message, wamid, trace } = step;
            let row = json!({ "at": at.map(Timestamp::as_millis), "step": words,
                "account": conversation.map(|(account, _)| account), "conversation": conversation.map(|(_, id)| id),
                "message": message, "wamid": wamid, "trace": trace });
            let text = |value: Option<String>| value.unwrap_or_default();
            let cells = [
                text(at.map(spelled)),
                text(conversation.map(|(_, id)| id.to_string())),
                text(message.map(|id| id.to_string())),
                words,
            ];
            list.row(&row, &cells)?;
        }
        list.end("nothing is known of it")
    }
}

impl Traced<'_> {
    /// One message, of a customer or of an agent.
    async fn message(&mut self, wamid: &Wamid) -> anyhow::Result<()> {
        let links = MessageLinks::new(self.stack.table(), self.clients.key.clone());
        for channel in self.clients.channels.all().await? {
            self.claim(&channel.phone_number_id, wamid).await?;
        }
        let Some(link) = links.get(wamid).await? else { return Ok(()) };
        let conversation = (link.account, link.conversation);
        let outbox = Outbox::new(self.stack.table());
        if let Some(entry) = outbox.get(link.account, link.conversation, link.message).await? {
            self.sent(conversation, &entry.outgoing, link.message);
        }
        let mut known = BTreeMap::from([(link.message, wamid.clone())]);
        self.shown(conversation, &mut known, Some(link.message)).await?;
        if link.author == Author::Customer {
            self.step(link.sent_at, "written on the phone", Some(conversation), Some(link.message), Some(wamid), None);
        }
        Ok(())
    }

    /// Whether a task of this message waits, is worked on, or is done.
    async fn claim(&mut self, number: &PhoneNumberId, wamid: &Wamid) -> anyhow::Result<()> {
        let item: KeyedHash<WorkItem> = self.clients.key.item(["message", number.as_str(), wamid.as_str()]);
        let Some(state) = self.clients.claims.state(&item).await? else { return Ok(()) };
        let words = match state {
            ItemState::Received => "received; no worker has had it yet",
            ItemState::Leased => "a worker has it, or had it and did not finish",
            ItemState::Parked => "waits for something other than its task",
            ItemState::DeadLettered => "in the dead letters",
            ItemState::Done => "handled",
        };
        self.step(None, words, None, None, Some(wamid), Some(item.to_string()));
        Ok(())
    }

    async fn customer(&mut self, phone: &str) -> anyhow::Result<()> {
        let Some(mut subject) = OperatorCommand::Phone(phone.to_owned()).target()? else { return Ok(()) };
        self.stack.belongings().await?.gather(&mut subject).await?;
        for (account, conversation, _) in &subject.conversations {
            self.whole((*account, *conversation)).await?;
        }
        Ok(())
    }

    async fn conversation(&mut self, account: Option<i64>, id: ConversationId) -> anyhow::Result<()> {
        let mut accounts: BTreeSet<AccountId> =
            self.clients.channels.all().await?.iter().map(|one| one.account).collect();
        accounts.retain(|known| account.is_none_or(|account| known.0 == account));
        for account in accounts {
            self.whole((account, id)).await?;
        }
        Ok(())
    }

    async fn whole(&mut self, conversation: (AccountId, ConversationId)) -> anyhow::Result<()> {
        let (account, id) = conversation;
        let Some(known) = Conversations::new(self.stack.table()).get(account, id).await? else { return Ok(()) };
        self.step(Some(known.known_since), "the bridge begins to handle it", Some(conversation), None, None, None);
        self.step(known.synced_at, "last looked at for answers", Some(conversation), known.settled, None, None);
        for entry in Outbox::new(self.stack.table()).after(account, id, None).await? {
            self.sent(conversation, &entry.outgoing, entry.message);
        }
        let mut ids = BTreeMap::new();
        self.shown(conversation, &mut ids, None).await?;
        for (message, wamid) in ids {
            self.claim(&known.channel, &wamid).await?;
            if let Some(last) = self.steps.last_mut().filter(|step| step.wamid.as_ref() == Some(&wamid)) {
                last.message.get_or_insert(message);
            }
        }
        Ok(())
    }

    /// An agent's message: when it was seen, and how far each of its parts is.
    fn sent(&mut self, conversation: (AccountId, ConversationId), outgoing: &domain::Outgoing, message: MessageId) {
        let at = outgoing.asked_at();
        self.step(Some(at), "seen by the bridge", Some(conversation), Some(message), None, None);
        for part in outgoing.parts() {
            let (words, wamid) = match part {
                Part::Planned { .. } => ("waits for its turn", None),
                Part::Sending { .. } => ("its call has not ended", None),
                Part::Waiting { .. } => ("not taken yet; tried again by itself", None),
                Part::Accepted { wamid, delivery, .. } => (word(delivery), Some(wamid)),
                Part::Failed { .. } => ("not sent; the message says why", None),
                Part::Uncertain { .. } => ("may have been sent; the agent decides", None),
            };
            self.step(Some(at), words, Some(conversation), Some(message), wamid, None);
        }
    }

    /// When Chatwoot showed it; its content is not told.
    async fn shown(
        &mut self,
        conversation: (AccountId, ConversationId),
        ids: &mut BTreeMap<MessageId, Wamid>,
        only: Option<MessageId>,
    ) -> anyhow::Result<()> {
        let (account, id) = conversation;
        let chatwoot = self.clients.chatwoot(account).await?;
        for message in chatwoot.message_documents(id).await? {
            let Some(number) = message["id"].as_i64().map(MessageId) else { continue };
            if only.is_some_and(|only| only != number) {
                continue;
            }
            let source = message["source_id"].as_str().filter(|source| source.starts_with("wamid."));
            let wamid = source.map(Wamid::new);
            if let Some(wamid) = &wamid {
                ids.insert(number, wamid.clone());
            }
            let at = message["created_at"].as_i64().map(Timestamp::from_secs);
            self.step(at, kind(&message), Some(conversation), Some(number), wamid.as_ref(), None);
        }
        Ok(())
    }

    fn step(
        &mut self,
        at: Option<Timestamp>,
        words: &str,
        conversation: Option<(AccountId, ConversationId)>,
        message: Option<MessageId>,
        wamid: Option<&Wamid>,
        trace: Option<String>,
    ) {
        let of_conversation = conversation.map(|(account, id)| format!("{account}/{id}"));
        let trace = trace.or(of_conversation).unwrap_or_default();
        if !trace.is_empty() {
            self.traces.insert(trace.clone());
        }
        self.steps.push(Step { at, words: words.to_owned(), conversation, message, wamid: wamid.cloned(), trace });
    }
}

fn word(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery::Accepted => "taken by Meta",
        Delivery::Sent => "sent by Meta",
        Delivery::Played => "played by the customer",
        Delivery::Delivered => "delivered to the phone",
        Delivery::Read => "read by the customer",
        Delivery::Failed { .. } => "Meta reports that it failed",
    }
}

fn kind(message: &Value) -> &'static str {
    match (message["private"].as_bool(), message["message_type"].as_i64()) {
        (_, Some(0)) => "shown to the agents",
        (Some(true), _) => "note written in Chatwoot",
        (_, Some(1)) => "written in Chatwoot",
        _ => "line of Chatwoot's",
    }
}
