/* Both chats: what the customer's phone shows, and what agents see in Chatwoot. */

import { button, by, call, complain, hour, icon, make, offer, t } from "./shared.js";
import { markdown } from "./markdown.js";
import * as picker from "./picker.js";
import { whatsapp } from "./whatsapp.js";

const META = "/_local/meta", CHATWOOT = "/_local/chatwoot";
const customer = () => `${META}/customers/${by("customer").value}`;
const conversation = () => `${CHATWOOT}/conversations/${by("conversation").value}`;
let attempt;

/* One side of the table: what is shown, what is quoted, how it is sent. */
class Side {
  constructor(list, form, send, sendFile) {
    this.list = by(list); this.form = by(form); this.quote = null; this.shown = "";
    this.text = this.form.querySelector("textarea");
    this.quoting = this.form.querySelector(".quoting");
    this.quoting.querySelector("button").onclick = () => this.cite(null);
    this.text.onkeydown = event => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.form.requestSubmit(); } };
    this.form.onsubmit = event => {
      event.preventDefault();
      const text = this.text.value.trim();
      if (!text) return;
      const quote = this.quote && this.quote.id;
      this.text.value = ""; this.cite(null);
      attempt(() => send(text, quote));
    };
    const input = this.form.querySelector("input[type=file]");
    input.onchange = () => {
      const [file] = input.files; input.value = "";
      const text = this.text.value.trim();
      if (!file) return;
      this.text.value = "";
      attempt(() => sendFile(file, new URLSearchParams({ name: file.name, mime: file.type || "application/octet-stream" }), text));
    };
  }
  cite(quote) {
    this.quote = quote; this.quoting.hidden = !quote;
    if (quote) { this.quoting.querySelector("span").textContent = t("quoting", quote.text.slice(0, 120)); this.text.focus(); }
  }
  enable(on) { for (const part of this.form.elements) part.disabled = !on; }
  /* Draws anew only what changed, so that focus, selection and playback survive. */
  show(messages, draw, empty) {
    const now = messages.map(one => JSON.stringify(one));
    if (JSON.stringify(now) === this.shown) return;
    this.shown = JSON.stringify(now);
    const atEnd = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - 40;
    const old = new Map([...this.list.children].map(item => [item.dataset.id, item]));
    const items = messages.map((message, at) => {
      const id = String(message.wamid || message.id), known = old.get(id);
      if (known && known.dataset.key === now[at]) return known;
      const drawn = draw(message, at, messages), item = known ? renewed(known, drawn) : drawn;
      Object.assign(item.dataset, { id, key: now[at] });
      return item;
    });
    const keep = new Set(items);
    for (const item of [...this.list.children]) if (!keep.has(item)) item.remove();
    items.forEach((item, at) => { if (this.list.children[at] !== item) this.list.insertBefore(item, this.list.children[at] || null); });
    if (!items.length) this.list.replaceChildren(make("li", "empty", empty));
    if (atEnd) this.toEnd();
  }
  toEnd() { this.list.scrollTop = this.list.scrollHeight; }
}

/* An item with what is drawn anew; what plays goes on, what has the focus keeps it, what is open stays open. */
function renewed(item, drawn) {
  const reached = () => [...item.querySelectorAll("button, a, summary")], focused = reached().indexOf(document.activeElement);
  const unfolded = item.querySelector("details[open]"), plays = [...item.children].find(one => one.matches("audio, video"));
  const children = [...drawn.children], again = plays ? children.findIndex(one => one.src === plays.src) : -1;
  item.className = drawn.className;
  if (again < 0) item.replaceChildren(...children);
  else {
    for (const child of [...item.children]) if (child !== plays) child.remove();
    plays.before(...children.slice(0, again));
    plays.after(...children.slice(again + 1));
  }
  if (unfolded) item.querySelector("details")?.setAttribute("open", "");
  if (focused >= 0) reached()[focused]?.focus();
  return item;
}
function attached(url, mime, name, kind) {
  const type = (mime || "").split("/")[0];
  if (type === "image") { const e = make("img", kind === "sticker" ? "sticker" : ""); e.src = url; e.alt = name || t("picture"); return e; }
  if (type === "video" || type === "audio") { const e = make(type); e.src = url; e.controls = true; e.preload = "metadata"; e.setAttribute("aria-label", name || t("kinds")[kind] || t("file")); return e; }
  const link = make("a", "document");
  link.append(icon("file"), name || t("file")); link.href = url; link.download = name || "";
  return link;
}
function ticks(status) {
  const [signs, cls] = { accepted: ["🕓"], progress: ["🕓"], sent: ["✓"], delivered: ["✓✓"], read: ["✓✓", "read"], played: ["✓✓", "read"], failed: ["⚠", "failed"] }[status] || [""];
  const words = t("ticks")[status] || status || "", e = make("span", "ticks " + (cls || ""), signs);
  if (!words) return e;
  e.title = words; e.setAttribute("role", "img"); e.setAttribute("aria-label", words);
  return e;
}
const cited = text => make("blockquote", "cited", text || t("quoted"));

/* ------------------------------------------------------------------ the customer's phone */

const phone = new Side("phone", "customer-writes",
  (text, quote) => call(`${customer()}/text`, quote ? { text, quote } : { text }),
  (file, query, text) => { if (text) query.set("caption", text); return call(`${customer()}/file?${query}`, file); });

/* Reactions stand at their message: the last one of each side, unless it was taken back. */
function withReactions(messages) {
  const shown = messages.filter(one => one.kind !== "reaction").map(one => ({ ...one, reactions: {}, tapped: [] }));
  const of = new Map(shown.map(one => [one.wamid, one]));
  for (const one of messages) {
    const about = of.get(one.quoted);
    if (!about) continue;
    if (one.kind === "reaction") about.reactions[one.from_business ? "business" : "the_customer"] = one.text;
    else if (["interactive", "button"].includes(one.kind) && !one.from_business) about.tapped.push(one.text.split("\n")[0]);
  }
  for (const one of shown) {
    const quoted = one.quoted && of.get(one.quoted);
    one.cites = one.quoted ? quoted ? said(quoted) : "" : null;
  }
  return shown;
}
const said = one => one.layout.body || one.text || one.filename || t("kinds")[one.kind] || one.kind;

function bubble(message) {
  const { layout } = message, item = make("li", message.from_business ? "" : "own");
  if (message.cites !== null) item.append(cited(message.cites));
  if (message.file_url) item.append(attached(META + message.file_url, message.mime, message.filename, message.kind));
  if (layout.header) item.append(make("p", "heading", layout.header));
  if (layout.location) item.append(place(layout.location));
  for (const card of layout.contacts || []) item.append(contact(card));
  const structured = layout.body !== undefined || layout.location || layout.contacts;
  const text = structured ? layout.body : message.text;
  if (text) item.append(whatsapp(text));
  else if (!message.file_url && !structured) item.append(make("p", "", t("kinds")[message.kind] || message.kind));
  if (layout.footer) item.append(make("p", "footer", layout.footer));
  const meta = make("div", "meta"), liked = message.reactions.the_customer;
  meta.append(button(t("reply"), "", () => phone.cite({ id: message.wamid, text: said(message) })));
  if (message.from_business) {
    const like = button("", "sign", () => attempt(() => call(`${customer()}/message`, { type: "reaction", reaction: { message_id: message.wamid, emoji: liked ? "" : "👍" } })));
    like.title = t(liked ? "unreact" : "react");
    like.setAttribute("aria-label", like.title);
    like.setAttribute("aria-pressed", String(Boolean(liked)));
    like.append(icon("like"));
    meta.append(like);
  }
  meta.append(make("span", "", hour(message.at)));
  if (!message.from_business) meta.append(ticks(message.status));
  item.append(meta);
  if (layout.buttons) item.append(buttons(message));
  const reactions = Object.entries(message.reactions).filter(([, emoji]) => emoji);
  if (reactions.length) {
    const all = make("div", "reactions");
    for (const [who, emoji] of reactions) {
      const one = make("span", "", emoji);
      one.setAttribute("role", "img"); one.setAttribute("aria-label", t("reacted", emoji, t(who)));
      all.append(one);
    }
    item.append(all);
    item.classList.add("reacted");
  }
  return item;
}
const leads = (text, cls, to) => { const a = make("a", cls, text); a.href = to; a.target = "_blank"; a.rel = "noreferrer noopener"; return a; };
function place({ latitude, longitude, name, address }) {
  const box = make("div", "card"), pin = make("span", "pin");
  pin.append(icon("pin"));
  const words = make("div");
  words.append(make("strong", "", name || t("kinds").location));
  if (address) words.append(make("p", "", address));
  words.append(leads(`${latitude}, ${longitude} · ${t("map")}`, "", `https://www.openstreetmap.org/?mlat=${encodeURIComponent(latitude)}&mlon=${encodeURIComponent(longitude)}`));
  box.append(pin, words);
  return box;
}
function contact({ name, phones, organization }) {
  const box = make("div", "card"), face = make("span", "avatar", initials(name)), words = make("div");
  face.setAttribute("aria-hidden", "true");
  words.append(make("strong", "", name || t("kinds").contacts));
  if (organization) words.append(make("p", "", organization));
  for (const one of phones) words.append(leads(one, "line", "tel:" + one.replace(/[^\d+]/g, "")));
  box.append(face, words);
  return box;
}
const SIGNS = { reply: "reply", url: "open", phone_number: "phone", voice_call: "phone", copy_code: "copy", otp: "copy", flow: "list" };
function buttons(message) {
  const all = make("div", "buttons"), { buttons, list } = message.layout;
  const tap = (title, made) => {
    made.onclick = () => attempt(() => call(`${customer()}/tap`, { wamid: message.wamid, title }));
    return made;
  };
  const signed = (made, kind) => { made.prepend(icon(SIGNS[kind])); return made; };
  const rows = buttons.filter(one => one.kind === "row");
  if (rows.length) {
    const box = make("details", "rows"), drawn = make("div");
    const summary = make("summary", "", list || t("options"));
    summary.prepend(icon("list"));
    box.append(summary, drawn);
    for (const row of rows) {
      if (row.section) drawn.append(make("p", "section", row.section));
      const made = tap(row.title, button(row.title, ""));
      if (row.description) made.append(make("small", "", row.description));
      drawn.append(made);
    }
    all.append(box);
  }
  for (const one of buttons.filter(one => one.kind !== "row")) {
    if (one.kind === "reply") {
      const made = signed(tap(one.title, button(one.title, "")), one.kind);
      made.disabled = message.tapped.includes(one.title);
      all.append(made);
    }
    else if (/^https?:/i.test(one.value || "")) all.append(signed(leads(one.title, "button", one.value), "url"));
    else if (one.kind === "phone_number" && one.value) all.append(signed(leads(one.title, "button", "tel:" + one.value.replace(/[^\d+]/g, "")), one.kind));
    else if (one.value) {
      const made = button(one.title || t("copy_code"), "", () => navigator.clipboard.writeText(one.value).then(() => { made.textContent = `${t("copied")}: ${one.value}`; }, error => complain(error.message)));
      all.append(signed(made, one.kind));
    }
    else all.append(signed(make("span", "button", one.title), one.kind));
  }
  return all;
}

/* ------------------------------------------------------------------ the agent's desk */

const desk = new Side("desk", "agent-writes",
  (text, quote) => call(`${conversation()}/reply`, { text, private: by("private").checked, ...(quote ? { quote } : {}) }),
  (file, query, text) => { if (text) query.set("text", text); return call(`${conversation()}/file?${query}`, file); });

function row(message, index, all) {
  const type = message.message_type;
  const item = make("li", type === "activity" ? "activity" : (type === "incoming" ? "" : "own") + (message.private ? " note" : ""));
  if (type === "activity") { item.append(make("p", "", message.content)); return item; }
  const files = message.attachments || [];
  const words = message.content || (files[0] && files[0].filename) || "";
  if (message.in_reply_to) {
    const quoted = all.find(other => other.id === message.in_reply_to);
    item.append(cited(quoted && (quoted.content || (quoted.attachments[0] || {}).filename)));
  }
  if (message.content) item.append(markdown(message.content));
  for (const file of files) item.append(attached(CHATWOOT + file.url, file.content_type, file.filename, file.file_type));
  const choices = message.content_type === "text" ? [] : (message.content_attributes || {}).items || [];
  if (choices.length) { const list = make("ul", "choices"); for (const one of choices) list.append(make("li", "", one.title || one.label || "")); item.append(list); }
  if (message.status === "failed") item.append(make("p", "failed", message.external_error || t("not_sent")));
  const meta = make("div", "meta"), base = `${conversation()}/messages/${message.id}`;
  if (message.status === "failed" && type === "outgoing") meta.append(button(t("retry"), "retry", () => attempt(() => call(base + "/retry", {}))));
  if (!message.deleted && !message.private) meta.append(button(t("reply"), "", () => desk.cite({ id: message.id, text: words })));
  if (!message.deleted && type === "outgoing") meta.append(button(t("remove"), "", () => attempt(() => call(base, undefined, "DELETE"))));
  if (message.private) { const note = make("span", "", t("note")); note.prepend(icon("lock")); meta.append(note); }
  meta.append(make("span", "", hour(message.created_at)));
  if (type !== "incoming" && !message.private) meta.append(ticks(message.status));
  item.append(meta);
  return item;
}

/* ------------------------------------------------------------------ both */

/* What the window and the templates of the inbox allow the agent. A note is always possible. */
function allow(open, attributes) {
  const note = by("private").checked, shut = Boolean(open && !open.can_reply && !note);
  desk.enable(Boolean(open));
  desk.text.disabled ||= shut;
  for (const one of desk.form.querySelectorAll("input[type=file], button.send")) one.disabled ||= shut;
  desk.text.placeholder = shut ? attributes.agent_reply_time_window_message || t("window_over", attributes.agent_reply_time_window) : t("agent_text");
  picker.show(attributes.message_templates, open && !note);
}

const initials = name => (name || "?").split(/\s+/).slice(0, 2).map(one => [...one][0] || "").join("").toUpperCase();

export async function refresh() {
  const [customers, conversations] = await Promise.all([call(`${META}/customers`), call(`${CHATWOOT}/conversations`)]);
  offer(by("customer"), customers.map(one => [one.wa_id || one.user_id, `${one.name} · ${one.wa_id ? "+" + one.wa_id : one.username || t("no_number")}`]), t("nobody"));
  offer(by("conversation"), conversations.map(one => [one.id, `${one.contact_name || t("no_name")} · #${one.id} · ${t("states")[one.status] || one.status}`]), t("none_yet"));
  const chosen = by("customer").value, wanted = by("conversation").value;
  const person = customers.find(one => [one.wa_id, one.user_id].includes(chosen));
  by("typing").hidden = !person || !person.typing;
  phone.enable(chosen !== "");
  by("read").disabled = chosen === "";
  const open = conversations.find(one => String(one.id) === wanted);
  by("resolve").disabled = !open;
  by("phone-avatar").textContent = person ? initials(person.name) : "";
  by("desk-avatar").textContent = open ? initials(open.contact_name) : "";
  const [attributes, chat, messages] = await Promise.all([
    open ? call(`${CHATWOOT}/inboxes/${open.inbox_id}/attributes`) : {},
    chosen ? call(`${META}/customers/${chosen}/chat`) : [],
    wanted ? call(`${CHATWOOT}/conversations/${wanted}/messages`) : [],
  ]);
  allow(open, attributes);
  phone.show(withReactions(chat), bubble, t("phone_empty"));
  desk.show(messages, row, t("desk_empty"));
}
/** Draws everything anew at the next look: the language is another one. */
export function forget() {
  for (const side of [phone, desk]) { side.shown = ""; side.list.replaceChildren(); }
  picker.forget();
}
export function toEnd() { phone.toEnd(); desk.toEnd(); }

/* Chatwoot tells that somebody types once, and again after a pause. */
let typed = 0;
export function start(attempting) {
  attempt = attempting;
  picker.start(body => attempt(async () => {
    await call(`${conversation()}/reply`, body);
    picker.sent();
  }));
  desk.text.oninput = () => {
    const fresh = Date.now() - typed > 10000;
    typed = Date.now();
    if (fresh && by("conversation").value) attempt(() => call(`${conversation()}/typing`, { private: by("private").checked }));
  };
  by("customer").onchange = by("conversation").onchange = by("private").onchange = () => attempt(async () => {});
  by("newcomer").onsubmit = event => {
    event.preventDefault();
    const { name, wa_id } = event.target.elements;
    attempt(async () => {
      await call(`${META}/customers`, { name: name.value.trim(), wa_id: wa_id.value.replace(/\D/g, "") });
      event.target.reset(); event.target.parentElement.open = false;
      by("customer-text").focus();
    });
  };
  by("read").onclick = () => attempt(() => call(`${customer()}/read`, {}));
  by("resolve").onclick = () => attempt(() => call(`${conversation()}/resolve`, {}));
}
