/* What both views need: elements, calls to the runner, its clock, errors, the language. */

import { LANGUAGES, TEXTS, inWords } from "./texts.js";

export const by = id => document.getElementById(id);
export const make = (tag, cls, text) => {
  const element = document.createElement(tag);
  if (cls) element.className = cls;
  if (text != null) element.textContent = text;
  return element;
};
/* Drawn, not written: not every machine has these signs. */
const ICONS = {
  clip: "M21 11.5 12.6 20a5.5 5.5 0 0 1-7.8-7.8l8.5-8.4a3.7 3.7 0 0 1 5.2 5.2l-8.5 8.4a1.8 1.8 0 0 1-2.6-2.6l7.8-7.7",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  like: "M7 11v9H3v-9zm0 0 4-8c1.7 0 2.6 1.2 2.4 2.8L13 9h6.2c1.2 0 2 1 1.8 2.2l-1.3 7A2.2 2.2 0 0 1 17.5 20H7",
  file: "M6 3h8l5 5v13H6zM14 3v5h5",
  pin: "M12 21s-7-6.2-7-11.500a7 7 0 0 1 14 0C19 14.8 12 21 12 21zm0-9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5",
  phone: "M5 4h4l1.5 5-2.3 1.700a13 13 0 0 0 5.1 5.100L15 13.500l5 1.500v4c-9 1-16-6-15-15",
  reply: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6",
  list: "M5 7h14M5 12h14M5 17h14",
  open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  copy: "M9 9h11v11H9zM15 9V4H4v11h5",
};
export function icon(name) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS(drawn.namespaceURI, "path");
  drawn.setAttribute("viewBox", "0 0 24 24");
  drawn.setAttribute("aria-hidden", "true");
  drawn.classList.add("icon");
  path.setAttribute("d", ICONS[name] || ICONS.open);
  drawn.append(path);
  return drawn;
}
export const button = (text, cls, act) => {
  const made = make("button", cls, text);
  made.type = "button";
  made.onclick = act;
  return made;
};

/** A choice keeps what was chosen, unless something new appears that one wants to see. */
export function offer(select, options, none, follow = true) {
  const now = JSON.stringify([options, none]);
  if (select.dataset.shown === now) return;
  select.dataset.shown = now;
  const chosen = select.value;
  select.replaceChildren(...(options.length ? options : [["", none]]).map(([value, text]) => { const o = make("option", "", text); o.value = value; return o; }));
  const known = select.known || [], values = options.map(([value]) => String(value));
  const fresh = values.find(value => !known.includes(value));
  select.known = values;
  if (follow && fresh !== undefined && (known.length || !chosen)) select.value = fresh;
  else if (values.includes(chosen)) select.value = chosen;
}

/* ------------------------------------------------------------------ language */

const asked = new URLSearchParams(location.search).get("lang");
let language = LANGUAGES.includes(asked) ? asked : "es";
const listeners = [];
export const speaks = () => language;
/** A text of the page in the language that was chosen. */
export const t = (key, ...values) => {
  const text = TEXTS[language][key];
  return typeof text === "function" ? text(...values) : text ?? key;
};
/** Calls back whenever another language is chosen. */
export const onLanguage = act => listeners.push(act);

const PLACES = { "data-t-label": "aria-label", "data-t-placeholder": "placeholder", "data-t-title": "title" };
function translate() {
  document.documentElement.lang = language;
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const [key, place] of Object.entries(PLACES)) {
    for (const element of document.querySelectorAll(`[${key}]`)) element.setAttribute(place, t(element.getAttribute(key)));
  }
  for (const one of document.querySelectorAll("[data-lang]")) one.setAttribute("aria-pressed", String(one.dataset.lang === language));
  tell();
}
function speak(chosen) {
  language = chosen;
  const address = new URL(location);
  address.searchParams.set("lang", chosen);
  history.replaceState(null, "", address);
  translate();
  listeners.forEach(act => act());
}

/* ------------------------------------------------------------------ calls */

/** Tells what went wrong, until it is closed. */
export function complain(text) {
  by("notice").querySelector("span").textContent = text;
  by("notice").hidden = false;
  delete by("notice").dataset.trouble;
}
/** Tells what is wrong with looking, until looking works again. */
export function trouble(text) {
  complain(text);
  by("notice").dataset.trouble = "";
}
export function recovered() {
  if (!("trouble" in by("notice").dataset)) return;
  delete by("notice").dataset.trouble;
  by("notice").hidden = true;
}
/** Asks the runner; an error of its own comes in the language of the page. */
export async function call(path, body, method) {
  const raw = body instanceof Blob;
  let response;
  try {
    response = await fetch(path, body === undefined ? { method: method || "GET" } : {
      method: method || "POST", body: raw ? body : JSON.stringify(body),
      headers: { "content-type": raw ? body.type || "application/octet-stream" : "application/json" },
    });
  } catch { throw new Error(t("unreachable")); }
  const text = await response.text();
  let value = null;
  try { value = text ? JSON.parse(text) : null; } catch { value = null; }
  if (response.ok) return value;
  const why = value && (value.error || value.message);
  const failed = new Error(why ? inWords(language, String(why)) : t("answered", response.status));
  failed.status = response.status;
  throw failed;
}

/* ------------------------------------------------------------------ clock */

/* Asked once and after each move, counted on by ourselves. */
let ahead = 0;
export async function move(seconds) {
  const { now } = await call("/_local/clock", { advance_seconds: seconds });
  ahead = now - Date.now() / 1000;
  tell();
}
/** The runner's time in milliseconds. */
export const clockTime = () => Date.now() + ahead * 1000;
function tell() {
  const now = new Date(clockTime());
  by("now").dateTime = now.toISOString();
  by("now").textContent = now.toLocaleString(language, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
export const hour = seconds => seconds ? new Date(seconds * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" }) : "";
export const day = seconds => seconds ? new Date(seconds * 1000).toLocaleString(language, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }) : "";
/** A time that went by, in its largest unit. */
export function lasted(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]].find(([, size]) => seconds >= size) || ["second", 1];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(Math.floor(seconds / size));
}

/** Starts what every view has. */
export async function begin() {
  by("notice").querySelector("button").onclick = () => { by("notice").hidden = true; };
  for (const one of document.querySelectorAll("[data-lang]")) one.onclick = () => speak(one.dataset.lang);
  for (const place of document.querySelectorAll("[data-icon]")) place.replaceChildren(icon(place.dataset.icon));
  translate();
  await move(0);
  setInterval(tell, 1000);
}
