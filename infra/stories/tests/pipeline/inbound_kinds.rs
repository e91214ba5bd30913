//! Every body of `events/meta`, one after the other, and what the agent reads of it; an empty line is nothing an agent should
//! read. The files of these bodies are not at Meta, so each stands there in words.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use simulator_chatwoot::MessageView;
use stories::World;
use texts::Locale;

/// File → whose conversation it comes into, and what stands there. `←` is the business itself, from the phone app.
#[rustfmt::skip]
const TABLE: &[(&str, &[&str])] = &[
    ("acct-alerts", &[]),
    ("acct-capability", &[]),
    ("acct-deleted", &[]),
    ("acct-disabled", &[]),
    ("acct-offboarded", &[]),
    ("acct-partner-added", &[]),
    ("acct-partner-app-installed", &[]),
    ("acct-partner-app-uninstalled", &[]),
    ("acct-partner-removed", &[]),
    ("acct-partner-removed-coex-inactivity", &[]),
    ("acct-partner-removed-coex-user", &[]),
    ("acct-reconnected", &[]),
    ("acct-restriction", &[]),
    ("acct-review", &[]),
    ("acct-violation", &[]),
    ("acct-volume-tier", &[]),
    ("auto-events-lead", &[]),
    ("batch-many-entries-two-wabas", &["María Fernanda López: Hola Norte", "Diego Quispe: Hola Sur"]),
    ("batch-messages-and-statuses", &["María Fernanda López: Listo, ya pagué el apartado"]),
    ("batch-statuses-out-of-order", &[]),
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
    ("bsuid-user-id-update-withdrawn", &["María Fernanda López (línea): ℹ️ El cliente cambió de usuario de WhatsApp"]),
    ("call-connect", &[]),
    ("call-status", &[]),
    ("call-terminate", &["María Fernanda López: 📞 Llamada del cliente contestada (1 min 25 s)"]),
    ("coex-echo-bsuid-only", &["Lucía ←: Hola Lucía, tenemos la XR 150 L"]),
    ("coex-echo-edit", &["María Fernanda López ←: ↩️ (…) ✏️ Editado\nCon gusto, le aparto la 250Z roja hasta el domingo."]),
    ("coex-echo-image", &["Julián Pereyra ←: Así quedó tu moto después del service\n[Imagen…]"]),
    ("coex-echo-revoke", &["María Fernanda López ←: Este mensaje se ha eliminado"]),
    ("coex-echo-text", &["María Fernanda López ←: Este mensaje se ha eliminado"]),
    ("coex-echo-text-legacy", &["+5215555550187 ←: Claro, se la envío"]),
    ("coex-echo-to-own-number", &[]),
    ("coex-echo-unsupported", &["Diego Quispe ←: ⚠️ Desde el teléfono se envió un mensaje que WhatsApp no muestra aquí. Míralo en el teléfono"]),
    ("coex-echo-voice", &["Julián Pereyra ←: [Nota de voz…]"]),
    ("coex-history-bsuid-thread", &[]),
    ("coex-history-chunk", &[]),
    ("coex-history-chunk-lowercase", &[]),
    ("coex-history-declined", &[]),
    ("coex-history-declined-bare", &[]),
    ("coex-history-empty-threads", &[]),
    ("coex-history-final", &[]),
    ("coex-history-media-echo", &[]),
    ("coex-history-media-inbound", &[]),
    ("coex-state-sync-add", &[]),
    ("coex-state-sync-add-legacy", &[]),
    ("coex-state-sync-bsuid-only", &[]),
    ("coex-state-sync-remove", &[]),
    ("group-participants-removed", &[]),
    ("handover-to-business", &["María Fernanda López (línea): 🤖 El agente de Meta les pasó el chat: ahora responden ustedes"]),
    ("handover-to-meta-agent", &["María Fernanda López (línea): 🤖 El agente de Meta tiene ahora el chat y responde él"]),
    ("in-audio-file", &["Rafael Souza: [Audio…]"]),
    ("in-button-template-quick-reply", &["María Fernanda López: ↩️ … Eligió: Quiero cotizar"]),
    ("in-button-without-context", &["María Fernanda López: Eligió: Sí"]),
    ("in-contact-without-profile", &["+447700900123: 12345 es tu código de Instagram. No lo compartas."]),
    ("in-contacts-own-number-request", &["Lucía Enduro: ↩️ … 👤 Compartió su propio contacto, como se lo pedimos: –\n+52 1 55 5555 0199 [contactos.vcf]"]),
    ("in-contacts-shared", &["María Fernanda López: 👤 Contacto: Ernesto Salas\nMotos Salas\n+52 1 55 5555 0170\nernesto@example.com\n\n👤 Contacto: Taller\n55 5555 0171 [contactos.vcf]"]),
    ("in-contacts-vcard-only", &["María Fernanda López: 👤 Contacto: Ernesto Salas\nMotos Salas\n+52 1 55 5555 0170 [Ernesto Salas.vcf]"]),
    ("in-dashboard-test-sample", &[]),
    ("in-document", &["Camila Ríos: Mi recibo de nómina para el crédito\n[Documento…]"]),
    ("in-document-no-filename", &["Camila Ríos: [Documento…]"]),
    ("in-edit-image-caption", &["María Fernanda López: ↩️ (…) ✏️ Editado\nCorrección: 14,200 km\n[Imagen…]"]),
    ("in-edit-text", &["María Fernanda López: ↩️ (…) ✏️ Editado\nSí, esa. ¿Cuál sería el enganche a 24 meses?"]),
    ("in-group-text", &["Grupo de WhatsApp: María Fernanda López: ¿A qué hora sale la rodada del domingo?"]),
    ("in-image-caption", &["María Fernanda López: Así está el tablero, marca 12,400 km\n[Imagen…]"]),
    ("in-image-ctwa-referral-video", &["Diego Quispe: ¿Es esta la del anuncio?\n\n📣 Llegó por una publicación: **Nueva Himalayan 450**\nConócela en nuestra sucursal\nhttps://fb.me/ejemplo2\n🖼️ https://scontent.xx.fbcdn.net/v/ejemplo_thumb.jpg\n🎬 https://video.xx.fbcdn.net/v/ejemplo.mp4\n[Imagen…]"]),
    ("in-image-no-caption-no-url", &["Julián Pereyra (cliente Rouser): [Imagen…]"]),
    ("in-interactive-button-reply", &["María Fernanda López: ↩️ … Eligió: Agendar prueba"]),
    ("in-interactive-call-permission", &["Camila Ríos: ↩️ … 📞 El cliente permite que lo llamen por WhatsApp"]),
    ("in-interactive-list-reply", &["María Fernanda López: ↩️ … Eligió: Sucursal Norte\nLun-Sáb 9:00 a 19:00"]),
    ("in-interactive-nfm-reply", &["Camila Ríos: ↩️ … 📋 Formulario\ningreso_mensual: 18500\nmodelo: NS200"]),
    ("in-interactive-nfm-reply-files", &["Camila Ríos: 📋 Formulario\nnombre: Camila Ríos\nfotos: 📎 frente.jpg, 📎 vuelta.jpg\ncedula: 📎 cedula.pdf", "Camila Ríos: 📋 fotos\n[Imagen…]", "Camila Ríos: 📋 fotos\n[Imagen…]", "Camila Ríos: 📋 cedula\n[Documento…]"]),
    ("in-interactive-nfm-reply-locked-file", &["Camila Ríos: 📋 Formulario\nfoto: 📎 IMG_5237.jpg (WhatsApp no lo entrega aquí; pídelo en el chat)"]),
    ("in-interactive-nfm-reply-object", &["Camila Ríos: 📋 Formulario\nSolicitud de prueba enviada\nacepta_aviso: sí\nedad: 31\nentrega: barrio: Chapinero; ciudad: Bogotá\nhorarios: Sábado 10:00, Domingo 12:00\nmodelo: NS200"]),
    ("in-interactive-without-object", &["Julián Pereyra (cliente Rouser): ↩️ … ⚠️ El cliente envió un mensaje con botones que WhatsApp no muestra aquí. Míralo en el teléfono"]),
    ("in-location-current", &["Julián Pereyra (cliente Rouser): 📍 Ubicación\nhttps://maps.google.com/?q=-34.603722,-58.381592"]),
    ("in-location-pin", &["María Fernanda López: 📍 Ubicación\nTaller El Rayo\nAv. Insurgentes Sur 1234, Ciudad de México\nhttps://maps.google.com/?q=19.4326077,-99.133208\nhttps://foursquare.com/v/4c8a1b2c"]),
    ("in-media-error-no-object", &["Julián Pereyra (cliente Rouser): ⚠️ El cliente envió un video que no se pudo descargar (pesa más de 100 MB o está dañado). Míralo en el teléfono o pide que lo envíe más pequeño"]),
    ("in-media-too-large-131052", &["Julián Pereyra (cliente Rouser): ⚠️ El cliente envió un archivo que no se pudo descargar (pesa más de 100 MB o está dañado). Míralo en el teléfono o pide que lo envíe más pequeño"]),
    ("in-order", &["Camila Ríos: 🛒 Pedido\n1 × CASCO-LS2-FF353-M — $2,499.00 MXN\n2 × GUANTES-ALP-L — $899.50 MXN = $1,799.00 MXN\nTotal: $4,298.00 MXN\n¿Me lo pueden apartar hasta el viernes?"]),
    ("in-reaction", &["Julián Pereyra (cliente Rouser): ↩️ (…) Reaccionó con 👍🏽"]),
    ("in-reaction-removed-absent", &["Julián Pereyra (cliente Rouser): ↩️ (…) Quitó su reacción"]),
    ("in-reaction-removed-empty", &["Julián Pereyra (cliente Rouser): ↩️ (…) Quitó su reacción"]),
    ("in-request-welcome", &[]),
    ("in-revoke", &[]),
    ("in-sticker-animated", &["Diego Quispe: [Sticker…]"]),
    ("in-sticker-static", &["Diego Quispe: [Sticker…]"]),
    ("in-system-customer-changed-number-legacy", &[]),
    ("in-system-identity-changed", &[]),
    ("in-system-user-changed-number", &["María Fernanda López (línea): ℹ️ El cliente cambió de número: de +5215555550123 a +5215555550124"]),
    ("in-system-user-changed-number-bsuid", &["María Fernanda López (línea): ℹ️ El cliente cambió de número: de +5215555550123 a +5215555550124"]),
    ("in-system-user-changed-user-id", &["Lucía Enduro (línea): ℹ️ El cliente cambió de usuario de WhatsApp"]),
    ("in-text", &["María Fernanda López: Hola, buen día. ¿Todavía tienen la Italika 250Z en rojo? 🏍️"]),
    ("in-text-ctwa-referral", &["Camila Ríos: ¡Hola! Vi el anuncio y quiero más información.\n\n📣 Llegó por un anuncio: **Estrena tu Boxer CT 125**\nDesde $1,890 de enganche. Agenda tu prueba de manejo.\n💬 Saludo del anuncio: ¡Bienvenido! ¿Qué moto te interesa?\nhttps://fb.me/ejemplo1\n🖼️ https://scontent.xx.fbcdn.net/v/t45.1600-4/ejemplo_moto.jpg"]),
    ("in-text-forwarded", &["Julián Pereyra (cliente Rouser): ↪️ Reenviado\nPromo del mes: 12 cuotas sin interés en Rouser"]),
    ("in-text-frequently-forwarded", &["Julián Pereyra (cliente Rouser): ↪️ Reenviado muchas veces\nCADENA: sorteo de una moto 0 km"]),
    ("in-text-from-own-number", &[]),
    ("in-text-legacy-no-bsuid", &["Óscar Beltrán: Buenas tardes, ¿me pueden mandar la ficha técnica de la Pulsar NS200?"]),
    ("in-text-referred-product", &["Camila Ríos: ↩️ … 🏷️ Pregunta por el producto CASCO-LS2-FF353-M\n¿Este casco lo tienen en talla M?"]),
    ("in-text-reply", &["María Fernanda López: ↩️ … Sí, esa. ¿Cuál sería el enganche?"]),
    ("in-text-reply-own", &["María Fernanda López: Este mensaje se ha eliminado"]),
    ("in-unknown-type-legacy", &["Óscar Beltrán: ⚠️ El cliente envió un mensaje que WhatsApp no muestra aquí. Míralo en el teléfono"]),
    ("in-unsupported-131051", &["Diego Quispe: ⚠️ El cliente envió un mensaje que WhatsApp no muestra aquí. Míralo en el teléfono"]),
    ("in-unsupported-131051-typed", &["Diego Quispe: ⚠️ El cliente envió una encuesta que WhatsApp no muestra aquí. Míralo en el teléfono"]),
    ("in-unsupported-131060", &["Camila Ríos: ⚠️ El cliente envió un mensaje que WhatsApp solo muestra en el teléfono. Míralo ahí: aquí no llegará"]),
    ("in-video", &["Julián Pereyra (cliente Rouser): Escuchá el ruido del motor\n[Video…]"]),
    ("in-voice-note", &["María Fernanda López: [Nota de voz…]"]),
    ("num-name-decision", &[]),
    ("num-quality-onboarding", &[]),
    ("num-quality-throughput", &[]),
    ("num-security", &[]),
    ("num-username", &[]),
    ("odd-name-shows-nothing", &["+5215555550199: Hola, ¿abren el domingo?"]),
    ("odd-no-contacts", &["María Fernanda López: ¿Hola?"]),
    ("odd-no-profile-name", &["+12025550143: Do you ship to Tijuana?"]),
    ("odd-other-object", &[]),
    ("odd-unknown-field", &["dead letter: unknown_field"]),
    ("odd-unknown-type-and-fields", &["María Fernanda López: ⚠️ El cliente envió un mensaje que WhatsApp no muestra aquí. Míralo en el teléfono (hologram)"]),
    ("odd-wa-id-differs-from-from", &["Rafael Souza: Oi, quero saber da CG 160"]),
    ("pref-marketing-resume", &["Julián Pereyra (cliente Rouser) (línea): 🔔 El cliente acepta marketing otra vez"]),
    ("pref-marketing-signup", &["Camila Ríos (línea): 🔔 El cliente se suscribió al marketing"]),
    ("pref-marketing-stop", &["María Fernanda López (línea): 🔕 El cliente pidió no recibir marketing"]),
    ("pref-marketing-stop-bsuid", &["Lucía Enduro (línea): 🔕 El cliente pidió no recibir marketing"]),
    ("st-bsuid-only", &[]),
    ("st-deleted-legacy", &[]),
    ("st-delivered", &[]),
    ("st-delivered-username", &[]),
    ("st-failed-131026-undeliverable", &[]),
    ("st-failed-131042-payment", &[]),
    ("st-failed-131047-window", &[]),
    ("st-failed-131049-ecosystem", &[]),
    ("st-failed-131053-media", &[]),
    ("st-failed-132012-header", &[]),
    ("st-failed-bsuid-recipient", &[]),
    ("st-failed-with-contacts", &[]),
    ("st-group-participants", &[]),
    ("st-marketing", &[]),
    ("st-parent-bsuid", &[]),
    ("st-payment-captured", &[]),
    ("st-payment-failed", &[]),
    ("st-played", &[]),
    ("st-read", &[]),
    ("st-read-with-pricing", &[]),
    ("st-sent", &[]),
    ("st-sent-billable-service", &[]),
    ("st-sent-conversation-legacy", &[]),
    ("st-sent-free-entry-point", &[]),
    ("st-tracker", &[]),
    ("standby-echo", &["María Fernanda López (nota): 🤖 El agente de Meta responde:\nSolo necesitas identificación y un comprobante de domicilio."]),
    ("standby-echo-bsuid-only", &["María Fernanda López (nota): 🤖 El agente de Meta responde:\n¿Te ayudo con algo más?"]),
    ("standby-inbound", &["María Fernanda López (nota): 🤖 El cliente escribe al agente de Meta, que tiene el chat:\n¿Qué requisitos piden para el crédito?"]),
    ("standby-status", &[]),
    ("tmpl-category", &[]),
    ("tmpl-components", &[]),
    ("tmpl-quality", &[]),
    ("tmpl-status-approved", &[]),
    ("tmpl-status-rejected", &[]),
];

/// A few of them in English.
#[rustfmt::skip]
const ENGLISH: &[(&str, &[&str])] = &[
    ("call-terminate", &["María Fernanda López: 📞 The customer's call was answered (1 min 25 s)"]),
    ("in-contacts-own-number-request", &["Lucía: ↩️ Replies to an earlier message\n👤 Shared their own contact, as we had asked: –\n+52 1 55 5555 0199 [contactos.vcf]"]),
    ("in-interactive-nfm-reply", &["Camila Ríos: ↩️ Replies to an earlier message\n📋 Form\ningreso_mensual: 18500\nmodelo: NS200"]),
    ("in-order", &["Camila Ríos: 🛒 Order\n1 × CASCO-LS2-FF353-M — $2,499.00 MXN\n2 × GUANTES-ALP-L — $899.50 MXN = $1,799.00 MXN\nTotal: $4,298.00 MXN\n¿Me lo pueden apartar hasta el viernes?"]),
    ("in-system-user-changed-number-bsuid", &["María Fernanda López (línea): ℹ️ The customer changed number: from +5215555550123 to +5215555550124"]),
    ("in-text-ctwa-referral", &["Camila Ríos: ¡Hola! Vi el anuncio y quiero más información.\n\n📣 Came from an advert: **Estrena tu Boxer CT 125**\nDesde $1,890 de enganche. Agenda tu prueba de manejo.\n💬 The advert's greeting: ¡Bienvenido! ¿Qué moto te interesa?\nhttps://fb.me/ejemplo1\n🖼️ https://scontent.xx.fbcdn.net/v/t45.1600-4/ejemplo_moto.jpg"]),
    ("in-text-frequently-forwarded", &["Julián Pereyra: ↪️ Forwarded many times\nCADENA: sorteo de una moto 0 km"]),
    ("in-text-referred-product", &["Camila Ríos: ↩️ Replies to an earlier message\n🏷️ Asks about the product CASCO-LS2-FF353-M\n¿Este casco lo tienen en talla M?"]),
    ("in-unsupported-131051-typed", &["Diego Quispe: ⚠️ The customer sent a poll that WhatsApp does not show here. Look at the phone"]),
    ("in-unsupported-131060", &["Camila Ríos: ⚠️ The customer sent a message that WhatsApp shows on the phone only. Look at it there: it will not come here"]),
    ("pref-marketing-stop", &["María Fernanda López (línea): 🔕 The customer asked for no marketing"]),
];

/// Long lines that come often, shortened.
fn short(content: &str) -> String {
    let missing = ": el archivo aún no se pudo descargar de WhatsApp; se sigue intentando y llegará aquí. Si urge, pide al cliente que lo envíe otra vez]";
    let shown = content.replace(missing, "…]").replace('\u{200b}', "|");
    shown
        .replace("↩️ Responde a un mensaje anterior\n", "↩️ … ")
        .replace("↩️ Sobre un mensaje que no está en esta conversación\n", "↩️ (…) ")
}

fn line(message: &MessageView, name: &str) -> String {
    let who = match message.message_type.as_str() {
        _ if message.private => " (nota)",
        "activity" => " (línea)",
        "incoming" => "",
        _ => " ←",
    };
    let files: Vec<_> = message.attachments.iter().map(|file| format!(" [{}]", file.filename)).collect();
    format!("{name}{who}: {}{}", short(&message.content), files.concat())
}

fn messages(world: &World) -> BTreeMap<i64, String> {
    let conversations = world.chatwoot.conversations().into_iter();
    let all = conversations.flat_map(|conversation| {
        let name = conversation.contact_name;
        world.chatwoot.messages(conversation.id).into_iter().map(move |message| (message.id, line(&message, &name)))
    });
    all.collect()
}

fn bodies() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/meta");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (stem(path), fs::read(path).unwrap())).collect()
}

/// Posts bodies one after the other; what is new in Chatwoot, and in the dead letters, after each. A message that was there
/// and reads differently now is new as well.
async fn seen(world: &World, bodies: &[(String, Vec<u8>)]) -> Vec<(String, Vec<String>)> {
    let mut out = Vec::new();
    for (name, body) in bodies {
        let (before, dead) = (messages(world), world.dead_letters("inbound").len());
        assert_eq!(world.meta.post(body).await.unwrap(), 200, "{name}");
        world.work().await.unwrap();
        assert_eq!(world.queued("inbound"), 0, "{name}");
        let after = messages(world);
        // A contact's new name is no news of its messages.
        let words = |line: &String| line.split_once(": ").map(|(_, words)| words.to_owned());
        let new = after.iter().filter(|(id, line)| before.get(id).map(words) != Some(words(line)));
        let letters = world.dead_letters("inbound").into_iter().skip(dead);
        let lines =
            new.map(|(_, line)| line.clone()).chain(letters.map(|(reason, _)| format!("dead letter: {reason}")));
        out.push((name.clone(), lines.collect()));
    }
    out
}

/// Each contact's lines in their order. Those of different contacts are written side by side.
fn by_contact(lines: &[impl AsRef<str>]) -> Vec<&str> {
    let mut lines: Vec<_> = lines.iter().map(AsRef::as_ref).collect();
    lines.sort_by_key(|line| line.split(": ").next().unwrap_or_default().trim_end_matches(" ←"));
    lines
}

fn compare(seen: &[(String, Vec<String>)], table: &[(&str, &[&str])]) {
    let expected = |name: &str| table.iter().find(|(file, _)| *file == name).map(|(_, words)| by_contact(words));
    let wrong: Vec<_> = seen
        .iter()
        .filter(|(name, lines)| expected(name) != Some(by_contact(lines)))
        .map(|(name, lines)| format!("    (\"{name}\", &{lines:?}),"))
        .collect();
    assert!(wrong.is_empty(), "what is seen instead:\n{}", wrong.join("\n"));
    assert_eq!(seen.len(), table.len());
}

#[tokio::test]
async fn the_agent_reads_every_kind_of_thing_meta_sends() {
    let world = World::start().await.unwrap();
    let seen = seen(&world, &bodies()).await;
    assert_eq!(seen.len(), 165);
    compare(&seen, TABLE);
}

#[tokio::test]
async fn an_agent_who_speaks_english_reads_the_same_in_english() {
    let world = World::start_in(Locale::En).await.unwrap();
    let mut bodies = bodies();
    bodies.retain(|(name, _)| ENGLISH.iter().any(|(file, _)| file == name));
    compare(&seen(&world, &bodies).await, ENGLISH);
}
