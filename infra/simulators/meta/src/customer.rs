//! Somebody who writes to the business, reads, and looks at the phone.

mod forms;
mod preferences;
mod standby;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};

pub use forms::Upload;

use crate::{
    Bubble, Layout, bubble,
    person::{self, Person},
    postman,
    state::{Address, Message, Origin, State},
    wamid::{self, Direction},
    webhook,
    world::World,
};

pub(crate) const WEBHOOK_MEDIA_LIVES: Duration = Duration::from_secs(7 * 24 * 3600);
const URL_LIVES: Duration = Duration::from_secs(5 * 60);
const LARGEST_FILE: usize = 100 * 1024 * 1024;

/// A customer, in the chat with one business number. Clones are the same person.
///
/// What writes posts a webhook and gives the id of the message; it fails if the webhook was not answered 200, which
/// [`Meta::redeliver`](crate::Meta::redeliver) makes good.
#[derive(Clone, Debug)]
pub struct Customer {
    world: Arc<World>,
    user_id: String,
    number: String,
}

impl Customer {
    pub(crate) fn new(world: &Arc<World>, name: &str, wa_id: &str) -> Self {
        let digits = person::digits(wa_id).unwrap_or_else(|| wa_id.to_owned());
        let mut state = world.state();
        let known = state.person_by_phone(&digits).map(|person| person.user_id.clone());
        let user_id = known.unwrap_or_else(|| {
            let person = Person::new(name, &digits);
            let user_id = person.user_id.clone();
            state.people.push(person);
            user_id
        });
        if let Some(person) = state.person_mut(&user_id).filter(|_| !name.is_empty()) {
            name.clone_into(&mut person.name);
        }
        Self::of(world, &state, user_id)
    }

    /// The person with this user id, in the chat with the first number.
    pub(crate) fn of(world: &Arc<World>, state: &State, user_id: String) -> Self {
        let number = state.numbers.first().map(|number| number.phone_number_id.clone()).unwrap_or_default();
        Self { world: Arc::clone(world), user_id, number }
    }

    /// The same person in the chat with another business number.
    #[must_use]
    pub fn at(&self, phone_number_id: &str) -> Self {
        Self { number: phone_number_id.into(), ..self.clone() }
    }

    /// From now on the business sees a username and no phone.
    #[must_use]
    pub fn without_phone(self) -> Self {
        if let Some(person) = self.world.state().person_mut(&self.user_id) {
            person.phone_visible = false;
            let first = person.name.split_whitespace().next().unwrap_or("cliente").to_lowercase();
            person.username = Some(format!("@{first}.{}", &person.user_id[person.user_id.len().saturating_sub(4)..]));
        }
        self
    }

    /// The business sees the phone again; the username stays.
    #[must_use]
    pub fn with_phone(self) -> Self {
        if let Some(person) = self.world.state().person_mut(&self.user_id) {
            person.phone_visible = true;
        }
        self
    }

    /// The business-scoped user id.
    pub fn user_id(&self) -> String {
        self.user_id.clone()
    }

    /// The phone in WhatsApp's spelling, also where the business can't see it.
    pub fn wa_id(&self) -> Option<String> {
        self.world.state().person(&self.user_id).and_then(|person| person.wa_id.clone())
    }

    /// The username, if there is one.
    pub fn username(&self) -> Option<String> {
        self.world.state().person(&self.user_id).and_then(|person| person.username.clone())
    }

    /// Writes a text.
    pub async fn writes(&self, text: &str) -> anyhow::Result<String> {
        self.sends(json!({"type": "text", "text": {"body": text}})).await
    }

    /// Writes a text that quotes a message of this chat.
    pub async fn replies_to(&self, wamid: &str, text: &str) -> anyhow::Result<String> {
        let context = self.context(wamid)?;
        self.sends(json!({"type": "text", "text": {"body": text}, "context": context})).await
    }

    /// Taps what stands under a message of the business: the first option with this title.
    pub async fn taps(&self, wamid: &str, title: &str) -> anyhow::Result<String> {
        let context = self.context(wamid)?;
        let (option, of_template) = {
            let state = self.world.state();
            let message = state.message(wamid).filter(|message| message.shown && message.bubble.from_business);
            let of_template = message.is_some_and(|message| message.bubble.kind == "template");
            let mut options = message.into_iter().flat_map(|message| &message.bubble.options);
            let option = options.find(|option| option.title == title).cloned();
            (option.context("nothing of this title can be tapped")?, of_template)
        };
        if of_template {
            let button = json!({"payload": option.id, "text": option.title});
            return self.sends(json!({"type": "button", "button": button, "context": context})).await;
        }
        let kind = if option.in_list { "list_reply" } else { "button_reply" };
        let mut reply = json!({"id": option.id, "title": option.title});
        if let Some(description) = option.description {
            reply["description"] = description.into();
        }
        let interactive = json!({"type": kind, kind: reply});
        self.sends(json!({"type": "interactive", "interactive": interactive, "context": context})).await
    }

    /// Taps the button that shares the own number, under a message that has it.
    pub async fn shares_number(&self, wamid: &str) -> anyhow::Result<String> {
        let context = self.context(wamid)?;
        let phone = {
            let state = self.world.state();
            let message = state.message(wamid).filter(|message| message.shown && message.bubble.from_business);
            let mut options = message.into_iter().flat_map(|message| &message.bubble.options);
            anyhow::ensure!(options.any(|option| option.id == bubble::SHARE_NUMBER), "there is no such button");
            state.person(&self.user_id).and_then(|person| person.wa_id.clone()).context("this person has no number")?
        };
        let card = json!({"phones": [{"phone": format!("+{phone}"), "wa_id": phone}], "origin": "contact_request"});
        self.sends(json!({"type": "contacts", "contacts": [card], "context": context})).await
    }

    /// Reacts to a message; an empty emoji takes the reaction back.
    pub async fn reacts(&self, wamid: &str, emoji: &str) -> anyhow::Result<String> {
        self.sends(json!({"type": "reaction", "reaction": {"message_id": wamid, "emoji": emoji}})).await
    }

    /// Changes a text written before.
    pub async fn edits(&self, wamid: &str, text: &str) -> anyhow::Result<String> {
        let message = json!({"type": "text", "text": {"body": text}});
        self.sends(json!({"type": "edit", "edit": {"original_message_id": wamid, "message": message}})).await
    }

    /// Deletes a message written before, for everyone.
    pub async fn revokes(&self, wamid: &str) -> anyhow::Result<String> {
        self.sends(json!({"type": "revoke", "revoke": {"original_message_id": wamid}})).await
    }

    /// Sends a file as `image`, `video`, `audio`, `voice`, `document` or `sticker`.
    pub async fn sends_file(
        &self,
        kind: &str,
        bytes: Vec<u8>,
        mime: &str,
        filename: Option<&str>,
        caption: Option<&str>,
    ) -> anyhow::Result<String> {
        anyhow::ensure!(bytes.len() <= LARGEST_FILE, "WhatsApp takes files up to 100 MB");
        let kind_on_wire = if kind == "voice" { "audio" } else { kind };
        let now = self.world.now();
        let bytes = Bytes::from(bytes);
        let id = self.world.keep(&self.number, bytes.clone(), mime, filename, now + WEBHOOK_MEDIA_LIVES, false);
        let mut object = json!({
            "id": id, "mime_type": mime, "sha256": STANDARD.encode(crate::wire::sha256(&bytes)),
            "url": self.world.media_url(&id, "webhook", now + URL_LIVES),
        });
        match kind {
            "image" | "video" => {}
            "audio" => object["voice"] = false.into(),
            "voice" => object["voice"] = true.into(),
            "sticker" => object["animated"] = false.into(),
            "document" => webhook::merge(&mut object, filename.map_or(Value::Null, |name| json!({"filename": name}))),
            _ => anyhow::bail!("{kind} is no kind of file"),
        }
        webhook::merge(&mut object, caption.map_or(Value::Null, |caption| json!({"caption": caption})));
        self.sends(json!({"type": kind_on_wire, kind_on_wire: object})).await
    }

    /// Sends a place.
    pub async fn sends_location(&self, latitude: f64, longitude: f64, name: Option<&str>) -> anyhow::Result<String> {
        let mut location = json!({"latitude": latitude, "longitude": longitude});
        webhook::merge(&mut location, name.map_or(Value::Null, |name| json!({"name": name})));
        self.sends(json!({"type": "location", "location": location})).await
    }

    /// Shares cards of others, as names and phones.
    pub async fn sends_contacts(&self, cards: &[(&str, &str)]) -> anyhow::Result<String> {
        let card = |(name, phone): &(&str, &str)| {
            json!({
                "name": {"formatted_name": name, "first_name": name}, "phones": [{"phone": phone, "type": "CELL"}],
                "origin": "other",
            })
        };
        let cards: Vec<_> = cards.iter().map(card).collect();
        self.sends(json!({"type": "contacts", "contacts": cards})).await
    }

    /// Sends a message of any type: `type` and the object named like it, merged into the message as Meta would post it.
    pub async fn sends(&self, message: Value) -> anyhow::Result<String> {
        let (wamid, posted) = {
            let mut state = self.world.state();
            let now = self.world.now();
            let number = state.number(&self.number).context("no such business number")?.clone();
            let person = state.person(&self.user_id).context("no such person")?.clone();
            let wamid = wamid::mint(&person.peer(), Direction::In);
            let mut item = json!({"id": wamid, "timestamp": now.as_secs().to_string(), "from_user_id": person.user_id});
            if let Some(phone) = person.visible_phone() {
                item["from"] = phone.into();
            }
            webhook::merge(&mut item, message);
            let body = webhook::envelope(
                &number,
                "messages",
                json!({"contacts": [webhook::contact(&person, true)], "messages": [item]}),
            );
            arrive(&mut state, &self.number, &self.user_id, &item, now, now);
            // Queued under the lock, so that what is shown and what is posted have the same order.
            (wamid, self.world.postman.queue(&self.number, &body))
        };
        let status = postman::outcome(posted).await?;
        anyhow::ensure!(status == 200, "the webhook was answered {status}");
        Ok(wamid)
    }

    /// Reads a message of the business: the status `read` is posted.
    pub async fn reads(&self, wamid: &str) {
        self.status(wamid, "read", None).await;
    }

    /// Meta reports a status of a message to this customer, whatever came before. Nothing is reported of what was not sent
    /// through the API.
    pub async fn status(&self, wamid: &str, status: &str, errors: Option<Value>) {
        if let Some(posted) = self.world.status(wamid, status, errors) {
            // An attempt that failed is in the log and waits for the next delivery.
            drop(postman::outcome(posted).await);
        }
    }

    /// Reads everything the business wrote and that isn't read yet.
    pub async fn reads_all(&self) {
        for bubble in self.phone() {
            if bubble.from_business && !matches!(bubble.status.as_str(), "read" | "played") {
                self.reads(&bubble.wamid).await;
            }
        }
    }

    /// What the phone shows, in order. What Meta refused to deliver or the customer deleted isn't there.
    pub fn phone(&self) -> Vec<Bubble> {
        let state = self.world.state();
        state.chat(&self.number, &self.user_id).filter(|message| message.shown).map(|m| m.bubble.clone()).collect()
    }

    /// Whether the phone shows that the business is typing.
    pub fn sees_typing(&self) -> bool {
        self.world.state().is_typing(&self.number, &self.user_id, self.world.now())
    }

    /// The customer's own messages with blue ticks.
    pub fn ticked(&self) -> Vec<String> {
        let own = |bubble: &Bubble| !bubble.from_business && bubble.status == "read";
        self.phone().into_iter().filter(own).map(|bubble| bubble.text).collect()
    }

    /// What of it the business sent.
    pub fn received(&self) -> Vec<Bubble> {
        self.phone().into_iter().filter(|bubble| bubble.from_business).collect()
    }

    /// The texts the business sent, as the phone shows them.
    pub fn heard(&self) -> Vec<String> {
        self.received().into_iter().map(|bubble| bubble.text).collect()
    }

    pub(crate) async fn hears_from_the_phone_app(&self, text: &str) -> anyhow::Result<String> {
        let (wamid, posted) = {
            let mut state = self.world.state();
            let now = self.world.now();
            let number = state.number(&self.number).context("no such business number")?.clone();
            anyhow::ensure!(number.coexistence, "this number is not in the phone app");
            let person = state.person(&self.user_id).context("no such person")?.clone();
            let wamid = wamid::mint(&person.peer(), Direction::Echo);
            let mut item = json!({
                "from": number.display_phone_number, "to_user_id": person.user_id, "id": wamid,
                "timestamp": now.as_secs().to_string(), "type": "text", "text": {"body": text},
            });
            if let Some(phone) = person.visible_phone() {
                item["to"] = phone.into();
            }
            let mut message = written(&state, &self.number, &self.user_id, &item, now);
            message.origin = Origin::PhoneApp;
            message.bubble.from_business = true;
            "delivered".clone_into(&mut message.bubble.status);
            state.messages.push(message);
            let contacts = [webhook::contact(&person, true)];
            let members = json!({"contacts": contacts, "message_echoes": [item]});
            let body = webhook::envelope(&number, "smb_message_echoes", members);
            (wamid, self.world.postman.queue(&self.number, &body))
        };
        let status = postman::outcome(posted).await?;
        anyhow::ensure!(status == 200, "the webhook was answered {status}");
        Ok(wamid)
    }

    fn context(&self, wamid: &str) -> anyhow::Result<Value> {
        let state = self.world.state();
        let quoted = state.message(wamid).context("the quoted message is not in this chat")?;
        let from = if quoted.bubble.from_business {
            state.number(&self.number).map(|number| number.display_phone_number.clone())
        } else {
            state.person(&self.user_id).and_then(|person| person.visible_phone()).map(str::to_owned)
        };
        let mut context = json!({"id": wamid});
        webhook::merge(&mut context, from.map_or(Value::Null, |from| json!({"from": from})));
        Ok(context)
    }
}

/// A message of the customer reaches Meta: it is shown, or changes one that is, and opens the window.
pub(crate) fn arrive(
    state: &mut State,
    number: &str,
    user_id: &str,
    item: &Value,
    at: domain::Timestamp,
    now: domain::Timestamp,
) {
    let kind = item["type"].as_str().unwrap_or_default();
    let original = item[kind]["original_message_id"].as_str().unwrap_or_default();
    match kind {
        "system" => {}
        "edit" => {
            let edited = &item["edit"]["message"];
            let text = bubble::text_of(edited["type"].as_str().unwrap_or_default(), edited);
            if let Some(message) = state.message_mut(original) {
                message.bubble.text = text;
            }
        }
        "revoke" => {
            if let Some(message) = state.message_mut(original) {
                message.shown = false;
            }
        }
        _ => {
            let message = written(state, number, user_id, item, at);
            state.messages.push(message);
            state.open_window(number, user_id, at, now);
        }
    }
}

/// The message as the customer's phone shows it.
fn written(state: &State, number: &str, user_id: &str, item: &Value, at: domain::Timestamp) -> Message {
    let kind = item["type"].as_str().unwrap_or_default();
    let object = &item[kind];
    let media_id = object["id"].as_str().map(str::to_owned);
    let media = media_id.as_ref().and_then(|id| state.media.get(id));
    let quoted = item["context"]["id"].as_str().or(object["message_id"].as_str());
    let shown_kind = if object["voice"] == true { "voice" } else { kind };
    let bubble = Bubble {
        from_business: false,
        kind: shown_kind.into(),
        text: bubble::text_of(kind, item),
        options: bubble::options_of(kind, item),
        layout: Layout::of(kind, item),
        filename: object["filename"].as_str().map(str::to_owned),
        mime: object["mime_type"].as_str().map(str::to_owned),
        bytes: media.map(|media| media.bytes.clone()),
        media_id: media.and(media_id.clone()),
        status: "sent".into(),
        wamid: item["id"].as_str().unwrap_or_default().into(),
        quoted: quoted.map(str::to_owned),
        at,
    };
    Message {
        number: number.into(),
        person: Some(user_id.into()),
        address: Address::UserId(user_id.into()),
        biz_opaque_callback_data: None,
        origin: Origin::Customer,
        priced: false,
        shown: true,
        bubble,
    }
}
