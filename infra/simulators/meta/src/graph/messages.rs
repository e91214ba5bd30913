//! `POST /{phone_number_id}/messages`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, State as Shared},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    error::GraphError,
    formats,
    links::{self, Linked},
    ok, recipient,
    recipient::Recipient,
    success,
    template::{self, Filled},
    validate,
};
use crate::{
    Bubble, Layout, Number, Request, Statuses, bubble, person,
    state::{Address, Media, Message, Origin, State},
    status,
    wamid::{self, Direction},
    world::World,
};

/// What a call comes to.
enum Accepted {
    /// The answer, the id, and what happens next.
    Message(Value, String, AcceptedThen),
    Read,
}

/// What Meta makes of a message it has accepted.
enum AcceptedThen {
    Delivered,
    Failed(u32, &'static str, &'static str),
    /// The file behind an address cannot be had, or is none for this kind of message.
    Unfetched(String),
}

const NOT_REACHABLE: AcceptedThen = AcceptedThen::Failed(131_026, "Message undeliverable", "Message undeliverable.");
const WINDOW_CLOSED: AcceptedThen = AcceptedThen::Failed(
    131_047,
    "Re-engagement message",
    "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
);
const MARKETING_STOPPED: AcceptedThen = AcceptedThen::Failed(
    131_050,
    "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages on WhatsApp from your \
     business",
    "This recipient has chosen to stop receiving marketing messages on WhatsApp from your business.",
);
const BAD_MEDIA: AcceptedThen = AcceptedThen::Failed(
    131_053,
    "Media upload error",
    "Unable to upload the media used in the message: its type does not fit the type of the message.",
);

pub(super) async fn send(
    Shared(world): Shared<Arc<World>>,
    Path((version, object)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let parsed = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let linked = links::fetch(&world, &parsed).await;
    let accepted = accept(&world, &version, &object, &headers, &parsed, linked);
    let to = parsed["to"].as_str().filter(|to| !to.is_empty()).or(parsed["recipient"].as_str());
    let mut request = Request {
        at: world.now(),
        number: object,
        to: to.unwrap_or_default().into(),
        status: 200,
        wamid: None,
        body: parsed.clone(),
    };
    match accepted {
        Ok(Accepted::Message(answer, wamid, fate)) => {
            request.wamid = Some(wamid.clone());
            world.state().requests.push(request);
            settle(&world, &wamid, &fate);
            ok(answer)
        }
        Ok(Accepted::Read) => {
            world.state().marks.push(request);
            success()
        }
        Err(error) => {
            request.status = error.status;
            let mut state = world.state();
            if parsed["status"].is_null() {
                state.requests.push(request);
            } else {
                state.marks.push(request);
            }
            error.into_response()
        }
    }
}

fn accept(
    world: &World,
    version: &str,
    object: &str,
    headers: &HeaderMap,
    body: &Value,
    linked: Option<Result<Linked, String>>,
) -> Result<Accepted, GraphError> {
    super::version(version)?;
    let number = super::number(world, headers, "POST", object)?;
    let json = headers.get("content-type").and_then(|value| value.to_str().ok());
    if !body.is_object() || !json.is_some_and(|kind| kind.starts_with("application/json")) {
        return Err(GraphError::new(400, 100, "(#100) The body must be a JSON object sent as application/json."));
    }
    let mut state = world.state();
    if !state.is_registered(&number) {
        return Err(GraphError::not_registered());
    }
    if !body["status"].is_null() {
        return mark_read(&mut state, &number, body, world.now());
    }
    let kind = validate::message(body)?;
    let recipient = recipient::find(&state, body)?;
    if let Address::Phone(digits) = &recipient.address
        && person::same_phone(digits, &number.display_phone_number)
    {
        return Err(GraphError::own_number());
    }
    let now = world.now();
    let filled = (kind == "template").then(|| template::fill(&state, &number.waba_id, &body[kind])).transpose()?;
    let (file_kind, file) = match &filled {
        Some(filled) => filled.file.as_ref().map_or((kind, &Value::Null), |(kind, file)| (*kind, file)),
        None => (kind, &body[kind]),
    };
    let bad_media = media(&state, &number, file_kind, file, now)?;
    rates(&mut state, &number, &recipient, now)?;

    let (linked, unfetched) = match linked {
        Some(Ok(linked)) => (Some(linked), None),
        Some(Err(details)) => (None, Some(details)),
        None => (None, None),
    };
    let open = |user_id: &String| state.window_is_open(&number.phone_number_id, user_id, now);
    let fate = match &recipient.user_id {
        None => NOT_REACHABLE,
        Some(user_id) if state.rules.window && kind != "template" && !open(user_id) => WINDOW_CLOSED,
        Some(_) if bad_media => BAD_MEDIA,
        Some(user_id)
            if is_marketing(filled.as_ref()) && state.has_stopped_marketing(&number.phone_number_id, user_id) =>
        {
            MARKETING_STOPPED
        }
        Some(_) => unfetched.map_or(AcceptedThen::Delivered, AcceptedThen::Unfetched),
    };
    let person = recipient.user_id.as_deref().and_then(|user_id| state.person(user_id));
    let peer = person.map_or_else(|| digits_of(&recipient.input), person::Person::peer);
    let wamid = wamid::mint(&peer, Direction::Out);

    let mut contact = json!({"input": recipient.input});
    match (&recipient.address, person) {
        (Address::Phone(digits), person) => {
            contact["wa_id"] = person.and_then(|person| person.wa_id.as_deref()).unwrap_or(digits).into();
        }
        (Address::UserId(user_id), _) => contact["user_id"] = user_id.as_str().into(),
    }
    let mut message = json!({"id": wamid});
    if kind == "template" {
        message["message_status"] = "accepted".into();
    }
    let answer = json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]});

    let shown = matches!(fate, AcceptedThen::Delivered);
    if let Some(user_id) = &recipient.user_id {
        state.types(&number.phone_number_id, user_id, None);
    }
    let mut sent = written(&state, &number, recipient, kind, body, filled, &wamid, shown, now);
    if let Some(linked) = linked {
        (sent.bubble.mime, sent.bubble.bytes) = (Some(linked.mime), Some(linked.bytes));
    }
    state.messages.push(sent);
    Ok(Accepted::Message(answer, wamid, fate))
}

fn is_marketing(filled: Option<&Filled>) -> bool {
    filled.is_some_and(|filled| filled.category == "marketing")
}

/// Queues what Meta reports by itself.
fn settle(world: &World, wamid: &str, fate: &AcceptedThen) {
    match fate {
        AcceptedThen::Failed(code, title, details) => {
            world.status(wamid, "failed", Some(json!([status::error(*code, title, details)])));
        }
        AcceptedThen::Unfetched(details) => {
            world.status(wamid, "failed", Some(json!([status::error(131_053, "Media upload error", details)])));
        }
        AcceptedThen::Delivered if world.state().statuses == Statuses::Automatic => {
            world.status(wamid, "sent", None);
            world.status(wamid, "delivered", None);
        }
        AcceptedThen::Delivered => {}
    }
}

fn mark_read(state: &mut State, number: &Number, body: &Value, now: domain::Timestamp) -> Result<Accepted, GraphError> {
    validate::product(body)?;
    if body["status"] != "read" {
        return Err(GraphError::parameter("Param status must be one of {READ}"));
    }
    let typing = &body["typing_indicator"];
    if !typing.is_null() && typing["type"] != "text" {
        return Err(GraphError::parameter("Param typing_indicator['type'] must be one of {TEXT}"));
    }
    validate::some_text(&body["message_id"], "message_id")?;
    let wamid = body["message_id"].as_str().unwrap_or_default();
    let at = state.messages.iter().position(|message| {
        message.bubble.wamid == wamid && !message.bubble.from_business && message.number == number.phone_number_id
    });
    let Some(at) = at else {
        return Err(GraphError::value("The message id is not one of a message this number received."));
    };
    let person = state.messages[at].person.clone();
    let earlier = state.messages[..=at].iter_mut().filter(|message| {
        !message.bubble.from_business && message.person == person && message.number == number.phone_number_id
    });
    earlier.for_each(|message| "read".clone_into(&mut message.bubble.status));
    if let Some(person) = person.filter(|_| !typing.is_null()) {
        state.types(&number.phone_number_id, &person, Some(now));
    }
    Ok(Accepted::Read)
}

/// Whether the file exists for this number, and whether Meta will find later that it does not fit.
fn media(
    state: &State,
    number: &Number,
    kind: &str,
    object: &Value,
    now: domain::Timestamp,
) -> Result<bool, GraphError> {
    let Some(id) = object["id"].as_str().filter(|_| super::is_file(kind)) else { return Ok(false) };
    let own = |media: &&Media| media.uploaded && media.number == number.phone_number_id && media.gone_at > now;
    let media = state.media.get(id).filter(own).ok_or_else(|| {
        GraphError::parameter(format!(
            "Param {kind}['id'] is not a valid whatsapp business account media attachment ID"
        ))
    })?;
    Ok(!formats::fits(kind, media, object["voice"] == true))
}

fn rates(state: &mut State, number: &Number, recipient: &Recipient, now: domain::Timestamp) -> Result<(), GraphError> {
    let rules = state.rules;
    let person = recipient.user_id.as_deref().unwrap_or(&recipient.input);
    if rules.throughput {
        let per_second = if number.coexistence { 20 } else { 80 };
        if !state.limits.throughput(&number.phone_number_id, per_second, now) {
            return Err(GraphError::throughput());
        }
    }
    if rules.pair_rate && !state.limits.pair(&number.phone_number_id, person, now) {
        return Err(GraphError::pair_rate());
    }
    Ok(())
}

/// The message as the customer's phone shows it.
#[expect(clippy::too_many_arguments, reason = "a message is made of all of these, in this one place")]
fn written(
    state: &State,
    number: &Number,
    recipient: Recipient,
    kind: &str,
    body: &Value,
    filled: Option<Filled>,
    wamid: &str,
    shown: bool,
    at: domain::Timestamp,
) -> Message {
    let category = filled.as_ref().map(|filled| filled.category);
    let (text, options, layout, file) = match filled {
        Some(filled) => (filled.lines.join("\n"), filled.options, filled.layout, filled.file),
        None => (
            bubble::text_of(kind, body),
            bubble::options_of(kind, body),
            Layout::of(kind, body),
            bubble::header_file(kind, body),
        ),
    };
    let (file_kind, object) = file.as_ref().map_or((kind, &body[kind]), |(kind, file)| (*kind, file));
    let media_id = object["id"].as_str().map(str::to_owned);
    let media = media_id.as_ref().and_then(|id| state.media.get(id));
    let quoted = body["context"]["message_id"].as_str().filter(|quoted| state.message(quoted).is_some());
    let quoted = quoted.or_else(|| object["message_id"].as_str().filter(|_| kind == "reaction"));
    let filename = object["filename"].as_str().map(str::to_owned);
    let bubble = Bubble {
        from_business: true,
        kind: if object["voice"] == true { "voice".into() } else { kind.into() },
        text,
        options,
        layout,
        filename: filename
            .or_else(|| media.and_then(|media| media.filename.clone()).filter(|_| file_kind == "document")),
        mime: media.map(|media| media.mime.clone()),
        bytes: media.map(|media| media.bytes.clone()),
        media_id: media.and(media_id.clone()),
        status: "accepted".into(),
        wamid: wamid.into(),
        quoted: quoted.map(str::to_owned),
        at,
    };
    Message {
        number: number.phone_number_id.clone(),
        person: recipient.user_id,
        address: recipient.address,
        biz_opaque_callback_data: body["biz_opaque_callback_data"].as_str().map(str::to_owned),
        origin: category.map_or(Origin::Api, Origin::ApiTemplate),
        priced: false,
        shown,
        bubble,
    }
}

fn digits_of(input: &str) -> String {
    input.chars().filter(char::is_ascii_digit).take(15).collect()
}
