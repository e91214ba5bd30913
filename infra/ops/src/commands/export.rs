//! Writes down what the bridge and Chatwoot hold of a person, for that person.

mod page;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use app::Clients;
use clap::Args;
use deletion::OperatorCommand;
use serde_json::{Value, json};
use store::DataSubject;

use crate::{
    access,
    session::Session,
    told::{NoSuch, Told, spelled},
};

/// The command.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The person's phone, in any usual spelling.
    #[arg(long, required_unless_present = "user_id", conflicts_with = "user_id")]
    phone: Option<String>,
    /// Or their user id.
    #[arg(long)]
    user_id: Option<String>,
    /// Why it is written down; this is recorded.
    #[arg(long, value_parser = access::why)]
    why: String,
    /// The directory for `data.json` and `page.html`. It must not be there yet.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

impl Export {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<Told> {
        let command = match (&self.phone, &self.user_id) {
            (Some(phone), _) => OperatorCommand::Phone(phone.clone()),
            (None, user_id) => OperatorCommand::UserId(user_id.clone().unwrap_or_default()),
        };
        let mut subject = command.target()?.unwrap_or_default();
        let stack = session.deployed().await?;
        let (inventory, clients) = (stack.belongings().await?, Box::pin(stack.clients()).await?);
        session.output.progress("looking for the person");
        // As an erasure does: all they are known by, customers that were merged among it.
        inventory.gather(&mut subject).await?;
        if subject.customers.is_empty() {
            return Err(NoSuch("nothing is known of this person".to_owned()).into());
        }
        let hash = subject.aliases.first().map(ToString::to_string).unwrap_or_default();
        access::record(&stack, "export", hash, &self.why).await?;
        let bridge = inventory.documents(&subject).await?;
        let chatwoot = of_chatwoot(session, &clients, &subject).await?;
        session.output.progress_over();
        let written_at = spelled(stack.clock().now());
        let data = json!({ "written_at": written_at, "bridge": bridge, "chatwoot": chatwoot });
        fs::create_dir(&self.to).with_context(|| self.to.display().to_string())?;
        write(&self.to.join("data.json"), &serde_json::to_string_pretty(&data)?)?;
        write(&self.to.join("page.html"), &page::of(&written_at, &data).into_string())?;
        let conversations = data["chatwoot"]["conversations"].as_array().map_or(0, Vec::len);
        let messages =
            list(&data["chatwoot"]["conversations"]).iter().map(|one| list(&one["messages"]).len()).sum::<usize>();
        let told = json!({ "items": bridge.len(), "contacts": list(&data["chatwoot"]["contacts"]).len(),
            "conversations": conversations, "messages": messages, "directory": self.to });
        let words = format!(
            "{} items of the bridge, {conversations} conversations with {messages} messages are in {}: data.json, page.html. \
             Files are named by their addresses in Chatwoot. Delete it once the person has it.",
            bridge.len(),
            self.to.display()
        );
        Ok(Told::new(told, words))
    }
}

/// Contacts and conversations, as Chatwoot shows them.
async fn of_chatwoot(session: &Session, clients: &Clients, subject: &DataSubject) -> anyhow::Result<Value> {
    let (mut contacts, mut conversations) = (Vec::new(), Vec::new());
    for (account, contact) in &subject.contacts {
        let chatwoot = clients.chatwoot(*account).await?;
        contacts.extend(
            chatwoot.contact_document(*contact).await?.map(|shown| json!({ "account": account, "contact": shown })),
        );
    }
    for (account, conversation, number) in &subject.conversations {
        session.output.progress(&format!("reading conversation {conversation}"));
        let chatwoot = clients.chatwoot(*account).await?;
        let Some(shown) = chatwoot.conversation_document(*conversation).await? else { continue };
        let messages = chatwoot.message_documents(*conversation).await?;
        conversations.push(json!({ "account": account, "id": conversation, "phone_number_id": number,
            "conversation": shown, "messages": messages }));
    }
    Ok(json!({ "contacts": contacts, "conversations": conversations }))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Only who wrote it may read it.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| path.display().to_string())
}
