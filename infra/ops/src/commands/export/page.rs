//! The page on which a person reads what is held of them.

use domain::Timestamp;
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use super::list;
use crate::told::spelled;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}\
    .in,.out,.note{margin:.5rem 0;padding:.5rem .8rem;border-radius:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}\
    .in{background:#eee}.out{background:#dff3dc}.note{background:#fff4d6}small{color:#555}@media(prefers-color-scheme:dark){\
    body{background:#111;color:#eee}.in{background:#333}.out{background:#1f3d1c}.note{background:#453a16}small{color:#bbb}a{color:#9cf}}";

/// The page of all that was found.
pub(super) fn of(written_at: &str, data: &Value) -> Markup {
    let chatwoot = &data["chatwoot"];
    html! {
        (DOCTYPE)
        html lang="es" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Tus datos" }
                style { (STYLE) }
            }
            body {
                main {
                    h1 { "Lo que guardamos sobre ti" }
                    p { "Al " (written_at) " (UTC). Lo mismo, completo y para programas, está en data.json." }
                    @for contact in list(&chatwoot["contacts"]) {
                        (self::contact(&contact["contact"]))
                    }
                    @for conversation in list(&chatwoot["conversations"]) {
                        h2 { "Conversación " (conversation["id"]) }
                        @for message in list(&conversation["messages"]) {
                            (self::message(message))
                        }
                    }
                    h2 { "Datos técnicos" }
                    p {
                        (list(&data["bridge"]).len()) " registros: direcciones, identificadores y horas, sin el texto de tus \
                        mensajes. Están en data.json."
                    }
                }
            }
        }
    }
}

fn contact(contact: &Value) -> Markup {
    let text = |name: &str| contact[name].as_str().filter(|text| !text.is_empty());
    html! {
        h2 { "Contacto" }
        dl {
            @for (name, label) in [("name", "Nombre"), ("phone_number", "Teléfono"), ("email", "Correo")] {
                @if let Some(text) = text(name) {
                    dt { (label) }
                    dd { (text) }
                }
            }
            @for (name, value) in contact["custom_attributes"].as_object().into_iter().flatten() {
                dt { (name) }
                dd { (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) }
            }
        }
    }
}

fn message(message: &Value) -> Markup {
    let is_private = message["private"].as_bool() == Some(true);
    let (class, who) = match message["message_type"].as_i64() {
        Some(0) => ("in", "Tú"),
        _ if is_private => ("note", "Nota interna"),
        Some(1 | 3) => ("out", "Nosotros"),
        _ => ("note", "Sistema"),
    };
    let at = message["created_at"].as_i64().map(|at| spelled(Timestamp::from_secs(at))).unwrap_or_default();
    html! {
        div class=(class) {
            small { (who) " · " (at) }
            div { (message["content"].as_str().unwrap_or_default()) }
            @for file in list(&message["attachments"]) {
                @if let Some(url) = file["data_url"].as_str() {
                    div { a href=(url) { "Archivo" } }
                }
            }
        }
    }
}
