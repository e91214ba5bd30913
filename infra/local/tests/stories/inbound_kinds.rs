//! Every body of `events/meta`, one after the other, and what the agent reads of it; what is not in the table is nothing an
//! agent should read. The files of these bodies are not at Meta, so each stands there in words.

use std::{collections::BTreeSet, fs, path::Path};

use testkit::World;

/// File → whose conversation it comes into, and what stands there. `←` is the business itself, from the phone app.
#[rustfmt::skip]
const TABLE: &[(&str, &[&str])] = &[
    ("batch-many-entries-two-wabas", &["María Fernanda López: Hola Norte", "Diego Quispe: Hola Sur"]),
    ("batch-messages-and-statuses", &["María Fernanda López: Listo, ya pagué el apartado"]),
    ("batch-three-messages-one-change", &["María Fernanda López: Ya voy para allá", "Lucía: ¿Y en azul?", "Julián Pereyra: ¿Aceptan permuta?"]),
    ("batch-two-changes", &["María Fernanda López: ¿Me confirman?", "María Fernanda López ←: Confirmado"]),
    ("bsuid-contact-no-username", &["Lu: info porfa"]),
    ("bsuid-image-no-phone", &["Lucía: Algo así\n[Imagen…]"]),
    ("bsuid-reply-no-phone", &["Lucía: ↩️ … Esa me gusta"]),
    ("bsuid-text-empty-strings-draft", &["Lucía: Hola, ¿hacen envíos?"]),
    ("bsuid-text-no-phone", &["Lucía: Hola, busco una moto de enduro para principiante"]),
    ("bsuid-text-parent", &["Patricio Vega: ¿Tienen repuestos para KLR 650?"]),
    ("bsuid-text-username-without-at", &["Lucía: ¿Y tallas de casco?"]),
    ("bsuid-text-with-phone-and-username", &["Camila Ríos: ¿Siguen abiertos?"]),
    ("call-connect", &["María Fernanda López: 📞 Llamada de WhatsApp (connect)"]),
    ("call-terminate", &["María Fernanda López: 📞 Llamada de WhatsApp (terminate COMPLETED)"]),
    ("coex-echo-bsuid-only", &["Lucía ←: Hola Lucía, tenemos la XR 150 L"]),
    ("coex-echo-edit", &["María Fernanda López ←: ↩️ … ✏️ Editado\nCon gusto, le aparto la 250Z roja hasta el domingo."]),
    ("coex-echo-image", &["Julián Pereyra ←: Así quedó tu moto después del service\n[Imagen…]"]),
    ("coex-echo-revoke", &["María Fernanda López ←: ↩️ … 🗑️ El cliente eliminó este mensaje"]),
    ("coex-echo-text-legacy", &["+5215555550187 ←: Claro, se la envío"]),
    ("coex-echo-text", &["María Fernanda López ←: Con gusto, le aparto la 250Z roja hasta el sábado."]),
    ("coex-echo-unsupported", &["Diego Quispe ←: ⚠️ … (unsupported, 131051)"]),
    ("coex-echo-voice", &["Julián Pereyra ←: [Nota de voz…]"]),
    ("coex-history-bsuid-thread", &["dead letter: unknown_field"]),
    ("coex-history-chunk-lowercase", &["dead letter: unknown_field"]),
    ("coex-history-chunk", &["dead letter: unknown_field"]),
    ("coex-history-declined-bare", &["dead letter: unreadable_body"]),
    ("coex-history-declined", &["dead letter: unknown_field"]),
    ("coex-history-empty-threads", &["dead letter: unknown_field"]),
    ("coex-history-final", &["dead letter: unknown_field"]),
    ("coex-history-media-echo", &["dead letter: unknown_field"]),
    ("coex-history-media-inbound", &["dead letter: unknown_field"]),
    ("coex-state-sync-add-legacy", &["dead letter: unknown_field"]),
    ("coex-state-sync-add", &["dead letter: unknown_field"]),
    ("coex-state-sync-bsuid-only", &["dead letter: unknown_field"]),
    ("coex-state-sync-remove", &["dead letter: unknown_field"]),
    ("in-audio-file", &["Rafael Souza: [Audio…]"]),
    ("in-button-template-quick-reply", &["María Fernanda López: ↩️ … Eligió: Quiero cotizar"]),
    ("in-button-without-context", &["María Fernanda López: Eligió: Sí"]),
    ("in-contact-without-profile", &["+447700900123: 12345 es tu código de Instagram. No lo compartas."]),
    ("in-contacts-own-number-request", &["Lucía: ↩️ … 👤 Contacto: –\n+52 1 55 5555 0199"]),
    ("in-contacts-shared", &["María Fernanda López: 👤 Contacto: Ernesto Salas\nMotos Salas\n+52 1 55 5555 0170\nernesto@example.com\n\n👤 Contacto: Taller\n55 5555 0171"]),
    ("in-document-no-filename", &["Camila Ríos: [Documento…]"]),
    ("in-document", &["Camila Ríos: Mi recibo de nómina para el crédito\n[Documento…]"]),
    ("in-edit-image-caption", &["María Fernanda López: ↩️ … ✏️ Editado\nCorrección: 14,200 km\n[Imagen…]"]),
    ("in-edit-text", &["María Fernanda López: ↩️ … ✏️ Editado\nSí, esa. ¿Cuál sería el enganche a 24 meses?"]),
    ("in-group-text", &["Grupo de WhatsApp: María Fernanda López: ¿A qué hora sale la rodada del domingo?"]),
    ("in-image-caption", &["María Fernanda López: Así está el tablero, marca 12,400 km\n[Imagen…]"]),
    ("in-image-ctwa-referral-video", &["Diego Quispe: ¿Es esta la del anuncio?\n[Imagen…]"]),
    ("in-image-no-caption-no-url", &["Julián Pereyra: [Imagen…]"]),
    ("in-interactive-button-reply", &["María Fernanda López: ↩️ … Eligió: Agendar prueba"]),
    ("in-interactive-call-permission", &["Camila Ríos: ↩️ … 📞 Llamada de WhatsApp (permission accept)"]),
    ("in-interactive-list-reply", &["María Fernanda López: ↩️ … Eligió: Sucursal Norte"]),
    ("in-interactive-nfm-reply", &["Camila Ríos: ↩️ … 📋 Formulario\ningreso_mensual: 18500\nmodelo: NS200"]),
    ("in-interactive-without-object", &["Julián Pereyra: ↩️ … ⚠️ … (interactive)"]),
    ("in-location-current", &["Julián Pereyra: 📍 Ubicación\nhttps://maps.google.com/?q=-34.603722,-58.381592"]),
    ("in-location-pin", &["María Fernanda López: 📍 Ubicación\nTaller El Rayo\nAv. Insurgentes Sur 1234, Ciudad de México\nhttps://maps.google.com/?q=19.4326077,-99.133208\nhttps://foursquare.com/v/4c8a1b2c"]),
    ("in-media-error-no-object", &["Julián Pereyra: ⚠️ 131052…"]),
    ("in-media-too-large-131052", &["Julián Pereyra: ⚠️ 131052…"]),
    ("in-order", &["Camila Ríos: 🛒 Pedido\n1 × CASCO-LS2-FF353-M — 2499.00 MXN\n2 × GUANTES-ALP-L — 899.50 MXN\nTotal: 4298.00 MXN\n¿Me lo pueden apartar hasta el viernes?"]),
    ("in-reaction-removed-absent", &["Julián Pereyra: ↩️ … Quitó su reacción"]),
    ("in-reaction-removed-empty", &["Julián Pereyra: ↩️ … Quitó su reacción"]),
    ("in-reaction", &["Julián Pereyra: ↩️ … Reaccionó con 👍🏽"]),
    ("in-revoke", &["María Fernanda López: ↩️ … 🗑️ El cliente eliminó este mensaje"]),
    ("in-sticker-animated", &["Diego Quispe: [Sticker…]"]),
    ("in-sticker-static", &["Diego Quispe: [Sticker…]"]),
    ("in-system-customer-changed-number-legacy", &["+5215555550187: ℹ️ El cliente cambió de número o de usuario en WhatsApp"]),
    ("in-system-identity-changed", &["Jordan Miller: ℹ️ El cliente cambió de número o de usuario en WhatsApp"]),
    ("in-system-user-changed-number-bsuid", &["María Fernanda López: ℹ️ El cliente cambió de número o de usuario en WhatsApp"]),
    ("in-system-user-changed-number", &["María Fernanda López: ℹ️ El cliente cambió de número o de usuario en WhatsApp"]),
    ("in-system-user-changed-user-id", &["Lucía: ℹ️ El cliente cambió de número o de usuario en WhatsApp"]),
    ("in-text-ctwa-referral", &["Camila Ríos: ¡Hola! Vi el anuncio y quiero más información."]),
    ("in-text-forwarded", &["Julián Pereyra: ↪️ Reenviado\nPromo del mes: 12 cuotas sin interés en Rouser"]),
    ("in-text-frequently-forwarded", &["Julián Pereyra: ↪️ Reenviado\nCADENA: sorteo de una moto 0 km"]),
    ("in-text-legacy-no-bsuid", &["+5215555550187: Buenas tardes, ¿me pueden mandar la ficha técnica de la Pulsar NS200?"]),
    ("in-text-referred-product", &["Camila Ríos: ↩️ … ¿Este casco lo tienen en talla M?"]),
    ("in-text-reply-own", &["María Fernanda López: ↩️ … Perdón, me refería a la 300"]),
    ("in-text-reply", &["María Fernanda López: ↩️ … Sí, esa. ¿Cuál sería el enganche?"]),
    ("in-text", &["María Fernanda López: Hola, buen día. ¿Todavía tienen la Italika 250Z en rojo? 🏍️"]),
    ("in-unknown-type-legacy", &["+5215555550187: ⚠️ … (unknown, 131051)"]),
    ("in-unsupported-131051-typed", &["Diego Quispe: ⚠️ … (poll_creation, 131051)"]),
    ("in-unsupported-131051", &["Diego Quispe: ⚠️ … (unsupported, 131051)"]),
    ("in-unsupported-131060", &["Camila Ríos: ⚠️ … (unsupported, 131060)"]),
    ("in-video", &["Julián Pereyra: Escuchá el ruido del motor\n[Video…]"]),
    ("in-voice-note", &["María Fernanda López: [Nota de voz…]"]),
    ("odd-no-contacts", &["María Fernanda López: ¿Hola?"]),
    ("odd-no-profile-name", &["Jordan Miller: Do you ship to Tijuana?"]),
    ("odd-unknown-field", &["dead letter: unknown_field"]),
    ("odd-unknown-type-and-fields", &["María Fernanda López: ⚠️ … (hologram)"]),
    ("odd-wa-id-differs-from-from", &["Rafael Souza: Oi, quero saber da CG 160"]),
    ("pref-marketing-resume", &["Julián Pereyra: ℹ️ El cliente acepta marketing otra vez"]),
    ("pref-marketing-signup", &["Camila Ríos: ℹ️ El cliente cambió su preferencia"]),
    ("pref-marketing-stop-bsuid", &["Lucía: ℹ️ El cliente pidió no recibir marketing"]),
    ("pref-marketing-stop", &["María Fernanda López: ℹ️ El cliente pidió no recibir marketing"]),
    ("standby-inbound", &["María Fernanda López: ¿Qué requisitos piden para el crédito?"]),
];

/// Long lines that come often, shortened.
fn short(content: &str) -> String {
    let missing = ": el archivo aún no se pudo descargar de WhatsApp; se sigue intentando y llegará aquí. Si urge, pide al cliente que lo envíe otra vez]";
    let undeliverable = "El cliente envió un archivo que WhatsApp no pudo entregar (pesa más de 100 MB o no se puede descargar); pídele que lo envíe otra vez, más ligero o por otro medio";
    let shown = content.replace(missing, "…]").replace(undeliverable, "131052…");
    let shown = shown.replace("Mensaje que WhatsApp no muestra aquí; míralo en el teléfono", "…");
    shown.replace("↩️ Responde a un mensaje anterior\n", "↩️ … ")
}

fn messages(world: &World) -> Vec<(i64, String)> {
    let mut all = Vec::new();
    for conversation in world.chatwoot.conversations() {
        for message in world.chatwoot.messages(conversation.id) {
            let arrow = if message.message_type == "incoming" { "" } else { " ←" };
            all.push((message.id, format!("{}{arrow}: {}", conversation.contact_name, short(&message.content))));
        }
    }
    all
}

#[tokio::test]
async fn the_agent_reads_every_kind_of_thing_meta_sends() {
    let world = World::start().await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/meta");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    for path in &paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let before: BTreeSet<i64> = messages(&world).into_iter().map(|(id, _)| id).collect();
        let dead = world.dead_letters("inbound").len();
        assert_eq!(world.meta.post(&fs::read(path).unwrap()).await.unwrap(), 200, "{name}");
        world.work().await.unwrap();
        assert_eq!(world.queued("inbound"), 0, "{name}");
        let new = messages(&world).into_iter().filter(|(id, _)| !before.contains(id)).map(|(_, line)| line);
        let letters = world.dead_letters("inbound").into_iter().skip(dead);
        let seen: Vec<_> = new.chain(letters.map(|(reason, _)| format!("dead letter: {reason}"))).collect();
        let expected = TABLE.iter().find(|(file, _)| *file == name).map_or(&[][..], |(_, lines)| *lines);
        assert_eq!(seen, expected, "{name}");
    }
    for (name, _) in TABLE {
        assert!(paths.iter().any(|path| path.file_stem().unwrap() == *name), "{name}");
    }
}
