/* Every text of the page, in both languages. A text with parts is a function of them. */

export const LANGUAGES = ["es", "en"];

export const TEXTS = {
  es: {
    title: "Puente WhatsApp ↔ Chatwoot · local", here: "en esta máquina, con simuladores", views: "Vistas", chats: "Chats", operation: "Operación",
    language: "Idioma", close: "Cerrar", tools: "Reloj y fallas", clock: "Reloj", faults: "Fallas", hour: "+1 h", day: "+24 h",
    connect: "Conectar un número", connect_why: "Abre el enlace que recibiría el dueño de un número",
    reconcile: "Conciliar ahora", reconcile_why: "Busca lo que uno de los lados perdió", meta_down: "WhatsApp caído", chatwoot_down: "Chatwoot caído",
    lose: "Perder un aviso", lose_why: "El próximo aviso de Chatwoot no llega", redeliver: "Reenviar webhooks", redeliver_why: "Meta repite los avisos que no recibieron 200",
    side: "Lado", phone: "Teléfono", phone_title: "Teléfono del cliente", typing: "escribiendo…", customer: "Cliente", read_all: "Marcar leído",
    newcomer: "Cliente nuevo", name: "Nombre", number: "Número", add: "Agregar", phone_chat: "Chat en el teléfono", unquote: "Quitar cita", file: "Archivo",
    customer_text: "Mensaje del cliente", send: "Enviar", conversation: "Conversación", resolve: "Resolver", desk_chat: "Conversación en Chatwoot",
    template_open: "Enviar una plantilla", template: "Plantilla", template_send: "Enviar plantilla", agent_text: "Respuesta del agente", note: "Nota privada",
    quoting: text => `Citando: ${text}`, picture: "Imagen", quoted: "Mensaje citado", reply: "Responder", react: "Reaccionar con 👍", unreact: "Quitar la reacción",
    reacted: (emoji, who) => `Reacción ${emoji} de ${who}`, business: "la empresa", the_customer: "el cliente", retry: "Reintentar", remove: "Eliminar",
    not_sent: "No se pudo enviar", nobody: "Nadie todavía", none: "Ninguna", none_yet: "Ninguna todavía", no_number: "sin número", no_name: "Sin nombre",
    phone_empty: "Escriba abajo el primer mensaje del cliente.", desk_empty: "Aquí aparece la conversación cuando el cliente escribe.",
    window_over: hours => `Solo se puede responder en las ${hours} horas siguientes al último mensaje del cliente`,
    file_address: "Dirección del archivo", file_name: "Nombre del archivo", of_button: text => `Botón «${text}»`, copy_code: "Copiar código", copied: "Copiado",
    map: "Ver en el mapa", options: "Opciones", today: "Hoy",
    kinds: { image: "Imagen", video: "Video", audio: "Audio", voice: "Nota de voz", document: "Documento", sticker: "Sticker", location: "Ubicación", contacts: "Contacto", reaction: "Reacción", template: "Plantilla", interactive: "Mensaje", order: "Pedido", unsupported: "Mensaje que este teléfono no muestra" },
    states: { open: "abierta", resolved: "resuelta", pending: "pendiente", snoozed: "pospuesta" },
    ticks: { accepted: "Aceptado", progress: "En camino", sent: "Enviado", delivered: "Entregado", read: "Leído", played: "Escuchado", failed: "No enviado" },
    unreachable: "El servidor local no responde. La página lo intenta de nuevo cada segundo.", answered: status => `El servidor respondió ${status}`,
    without_chats: "El puente está en marcha. Habla con los servidores que se le indicaron, no con simuladores; por eso aquí no hay chats.",
    flow: "Recorrido", flow_why: "Qué entró y qué salió de cada paso desde que arrancó el puente.", inwards: "Del cliente al agente", outwards: "Del agente al cliente", beside: "Lo que corre aparte",
    entered: "Entró", left: "Salió", arrow: "luego", every: time => `cada ${time}`, on_demand: "cuando se pide",
    steps: { webhook: "Recibe de WhatsApp", forward: "Escribe en Chatwoot", callback: "Oye a Chatwoot", send: "Envía por WhatsApp", reconcile: "Busca lo perdido", retention: "Cuida los plazos", deletion: "Recibe pedidos de borrado", erasure: "Borra", history: "Trae el historial", signup: "Da de alta números", ledger: "Guarda la lista de borrados" },
    queues: "Colas", queue: "Cola", waiting: "Esperan", delayed: "Con retraso", in_flight: "En proceso", oldest: "La más antigua", dead: "apartadas", queues_unseen: "Las colas de otro emulador no se pueden ver sin recibir de ellas.",
    balance: "Balance", balance_why: "Todo lo recibido está hecho, repetido, rechazado o en espera. La diferencia debe ser 0.", channel: "Canal", date: "Día (UTC)", received: "Recibidos", done: "Hechos", duplicate: "Repetidos", refused: "Rechazados", difference: "Diferencia",
    balance_empty: "Todavía no se recibió nada.", account: "cuenta",
    erasures: "Borrados", code: "Código", asked_by: "Pedido por", state: "Estado", asked_at: "Pedido", deadline: "Plazo", next: "Sigue", erasures_empty: "Nadie ha pedido que se borren sus datos.",
    days_left: days => days === 1 ? "queda 1 día" : `quedan ${days} días`, ended: when => `terminado ${when}`, breached: "plazo vencido",
    sources: { operator: "el operador", agent: "un agente", customer: "el cliente", chatwoot: "Chatwoot", meta: "Meta", retention: "el plazo" },
    erasing: { received: "recibido", confirmed: "confirmado", erasing: "borrando", waiting: "en espera", failed: "fuera de plazo", done: "hecho", withdrawn: "retirado" },
    locations: { inbound_queue: "cola de entrada", outbound_queue: "cola de salida", dead_letters: "apartadas", chatwoot: "Chatwoot", table: "tabla", meta_media: "archivos en Meta", meta_contact_book: "agenda en Meta" },
    alarms: "Alarmas", alarm: "Alarma", ok: "bien", firing: "alarma", unknown: "sin datos", page: "Qué hacer", page_of: name => `Qué hacer: ${name}`,
    channels: "Canales", live: "conectado", paused: "en pausa", restricted: "restringido", disconnected: "desconectado",
    all_well: "Todo en orden", quiet: count => `${count} alarmas en calma`, some_wrong: count => count === 1 ? "1 alarma" : `${count} alarmas`,
  },
  en: {
    title: "WhatsApp ↔ Chatwoot bridge · local", here: "on this machine, with simulators", views: "Views", chats: "Chats", operation: "Operation",
    language: "Language", close: "Close", tools: "Clock and faults", clock: "Clock", faults: "Faults", hour: "+1 h", day: "+24 h",
    connect: "Connect a number", connect_why: "Opens the link that the owner of a number would get",
    reconcile: "Reconcile now", reconcile_why: "Looks for what one of the sides lost", meta_down: "WhatsApp down", chatwoot_down: "Chatwoot down",
    lose: "Lose a callback", lose_why: "Chatwoot's next callback does not arrive", redeliver: "Redeliver webhooks", redeliver_why: "Meta repeats the webhooks that were not answered 200",
    side: "Side", phone: "Phone", phone_title: "Customer's phone", typing: "typing…", customer: "Customer", read_all: "Mark as read",
    newcomer: "New customer", name: "Name", number: "Number", add: "Add", phone_chat: "Chat on the phone", unquote: "Remove quote", file: "File",
    customer_text: "Customer's message", send: "Send", conversation: "Conversation", resolve: "Resolve", desk_chat: "Conversation in Chatwoot",
    template_open: "Send a template", template: "Template", template_send: "Send template", agent_text: "Agent's answer", note: "Private note",
    quoting: text => `Quoting: ${text}`, picture: "Picture", quoted: "Quoted message", reply: "Reply", react: "React with 👍", unreact: "Remove the reaction",
    reacted: (emoji, who) => `Reaction ${emoji} by ${who}`, business: "the business", the_customer: "the customer", retry: "Retry", remove: "Delete",
    not_sent: "Could not be sent", nobody: "Nobody yet", none: "None", none_yet: "None yet", no_number: "no number", no_name: "No name",
    phone_empty: "Write the customer's first message below.", desk_empty: "The conversation appears here when the customer writes.",
    window_over: hours => `Answers are possible only within ${hours} hours of the customer's last message`,
    file_address: "Address of the file", file_name: "Name of the file", of_button: text => `Button “${text}”`, copy_code: "Copy code", copied: "Copied",
    map: "Show on the map", options: "Options", today: "Today",
    kinds: { image: "Picture", video: "Video", audio: "Audio", voice: "Voice note", document: "Document", sticker: "Sticker", location: "Location", contacts: "Contact", reaction: "Reaction", template: "Template", interactive: "Message", order: "Order", unsupported: "A message that this phone does not show" },
    states: { open: "open", resolved: "resolved", pending: "pending", snoozed: "snoozed" },
    ticks: { accepted: "Accepted", progress: "On its way", sent: "Sent", delivered: "Delivered", read: "Read", played: "Played", failed: "Not sent" },
    unreachable: "The local server does not answer. The page tries again every second.", answered: status => `The server answered ${status}`,
    without_chats: "The bridge is running. It speaks to the servers it was told of, not to simulators; so there are no chats here.",
    flow: "Flow", flow_why: "What went into and out of each step since the bridge was started.", inwards: "From the customer to the agent", outwards: "From the agent to the customer", beside: "What runs beside",
    entered: "In", left: "Out", arrow: "then", every: time => `every ${time}`, on_demand: "when asked",
    steps: { webhook: "Takes from WhatsApp", forward: "Writes into Chatwoot", callback: "Hears Chatwoot", send: "Sends by WhatsApp", reconcile: "Finds what was lost", retention: "Keeps the deadlines", deletion: "Takes requests for erasure", erasure: "Erases", history: "Brings the history", signup: "Signs numbers up", ledger: "Keeps the list of erasures" },
    queues: "Queues", queue: "Queue", waiting: "Waiting", delayed: "Delayed", in_flight: "In flight", oldest: "Oldest", dead: "dead letters", queues_unseen: "The queues of another emulator cannot be seen without receiving from them.",
    balance: "Balance", balance_why: "All that was received is done, a duplicate, refused or waiting. The difference has to be 0.", channel: "Channel", date: "Day (UTC)", received: "Received", done: "Done", duplicate: "Duplicates", refused: "Refused", difference: "Difference",
    balance_empty: "Nothing was received yet.", account: "account",
    erasures: "Erasures", code: "Code", asked_by: "Asked by", state: "State", asked_at: "Asked", deadline: "Deadline", next: "Next", erasures_empty: "Nobody has asked for their data to be erased.",
    days_left: days => days === 1 ? "1 day left" : `${days} days left`, ended: when => `ended ${when}`, breached: "deadline missed",
    sources: { operator: "the operator", agent: "an agent", customer: "the customer", chatwoot: "Chatwoot", meta: "Meta", retention: "retention" },
    erasing: { received: "received", confirmed: "confirmed", erasing: "being erased", waiting: "waiting", failed: "late", done: "done", withdrawn: "withdrawn" },
    locations: { inbound_queue: "inbound queue", outbound_queue: "outbound queue", dead_letters: "dead letters", chatwoot: "Chatwoot", table: "table", meta_media: "files at Meta", meta_contact_book: "contact book at Meta" },
    alarms: "Alarms", alarm: "Alarm", ok: "ok", firing: "alarm", unknown: "no data", page: "What to do", page_of: name => `What to do: ${name}`,
    channels: "Channels", live: "connected", paused: "paused", restricted: "restricted", disconnected: "disconnected",
    all_well: "All is well", quiet: count => `${count} quiet alarms`, some_wrong: count => count === 1 ? "1 alarm" : `${count} alarms`,
  },
};

/* What the runner and the simulators refuse with, which they say in English. */
const SAID = [
  [/^this is no phone number$/, () => "Esto no es un número de teléfono"],
  [/^nobody here has this number$/, () => "Nadie aquí tiene este número"],
  [/^nothing of this title can be tapped$/, () => "No hay nada con este título que se pueda tocar"],
  [/^the quoted message is not in this chat$/, () => "El mensaje citado no está en este chat"],
  [/^the webhook was answered (\d+)$/, status => `El puente respondió ${status} al aviso; «Reenviar webhooks» lo repite`],
  [/^WhatsApp takes files up to 100 MB$/, () => "WhatsApp acepta archivos de hasta 100 MB"],
  [/^the port was taken meanwhile$/, () => "El puerto se ocupó mientras tanto"],
  [/^only the embedded AWS shows its queues without a receive$/, () => TEXTS.es.queues_unseen],
  [/^docs\/runbook has no such page here$/, () => "docs/runbook no tiene esta página aquí"],
  [/^the balance sheet cannot be read: (.*)$/s, why => `El balance no se puede leer: ${why}`],
  [/^the erasures cannot be read: (.*)$/s, why => `Los borrados no se pueden leer: ${why}`],
  [/^the alarms cannot be judged: (.*)$/s, why => `Las alarmas no se pueden evaluar: ${why}`],
  [/^(\w+) failed: (.*)$/s, (name, why) => `${name} falló: ${why}`],
];
/** A refusal in the language of the page, as far as it is known. */
export function inWords(language, text) {
  if (language === "en") return text;
  for (const [known, say] of SAID) {
    const found = known.exec(text);
    if (found) return say(...found.slice(1));
  }
  return text;
}
