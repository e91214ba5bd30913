/* The operation: the flow from left to right, queues, balance, erasures, alarms. Nothing here names a person. */

import { button, by, call, clockTime, complain, day, lasted, make, onLanguage, speaks, t } from "./shared.js";
import { markdown } from "./markdown.js";

/* Who stands between whom. A function that is not named here runs beside. */
const LANES = [
  ["inwards", "WhatsApp", "webhook", "forward", "Chatwoot"],
  ["outwards", "Chatwoot", "callback", "send", "WhatsApp"],
];
/* Said anew each time, not added up. */
const MEASURED = new Set(["ChannelDown", "Difference", "Waiting", "FilesMissing", "ErasureOpen", "RetentionHeld", "RetentionTrouble", "Overdue"]);
const short = name => name.replace(/^[a-z0-9]+-/, "");
const isDead = queue => (queue.dead_letter_of || []).length > 0;
const all = queue => [...queue.waiting, ...queue.delayed, ...queue.in_flight];

let shown = "";
/** Looks at everything, and draws it if something changed. */
export async function refresh() {
  const unseen = error => { if (error.status === 404) return null; throw error; };
  const [flow, queues, balance, erasures, watched] = await Promise.all([
    call("/_local/flow"), call("/_local/queues").catch(unseen), call("/_local/balance"), call("/_local/erasures"), call("/_local/alarms"),
  ]);
  const ages = queues && queues.queues.map(queue => [oldest(queue), isDead(queue)]).filter(([at]) => at !== null).map(([at]) => lasted(clockTime() - at));
  const now = JSON.stringify([flow, queues, balance, erasures, watched, ages, speaks()]);
  if (now === shown) return;
  shown = now;
  const place = by("operation"), focused = document.activeElement && document.activeElement.dataset.focus;
  place.replaceChildren(
    section("alarms", alarms(watched)), section("flow", lanes(flow.functions, queues && queues.queues)), section("queues", table(queues && queues.queues)),
    section("balance", sheets(balance.channels)), section("erasures", requests(erasures.erasures)),
  );
  if (focused) place.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
}
onLanguage(() => { shown = ""; });

/* How many alarms there are, on the tab, also while the other one is open. */
let look = 0;
export async function warn() {
  if (look++ % 5 !== 0 && by("operation").hidden) return;
  const { alarms } = await call("/_local/alarms"), count = alarms.filter(one => one.state === "alarm").length;
  by("alarmed").hidden = count === 0;
  by("alarmed").textContent = t("some_wrong", count);
}

function section(name, parts) {
  const made = make("section", "panel " + name), title = make("h2", "", t(name));
  title.id = "of-" + name;
  made.setAttribute("aria-labelledby", title.id);
  made.append(title, ...[parts].flat());
  return made;
}
const why = key => make("p", "why", t(key));

/* ------------------------------------------------------------------ flow */

function lanes(functions, queues) {
  const placed = new Set(LANES.flat());
  const drawn = LANES.map(([name, from, ...steps]) => lane(t(name), [end(from), ...steps.slice(0, -1).flatMap(step => {
    const found = functions.find(one => one.name === step);
    return found ? [...before(found, queues), work(found)] : [];
  }), end(steps.at(-1))]));
  const beside = functions.filter(one => !placed.has(one.name));
  if (beside.length) drawn.push(lane(t("beside"), beside.map(one => [...before(one, queues), work(one)]), true));
  return [why("flow_why"), ...drawn];
}
function lane(name, steps, apart = false) {
  const made = make("div", "lane" + (apart ? " apart" : "")), list = make("ol");
  made.append(make("h3", "", name), list);
  for (const step of steps) { const item = make("li"); item.append(...[step].flat()); list.append(item); }
  return made;
}
const end = name => make("span", "end", name);
function work(one) {
  const box = make("div", "step");
  box.append(make("strong", "", t("steps")[one.name] || one.name), make("code", "", one.name), counts([["entered", one.taken], ["left", one.done]]));
  const metrics = Object.entries(one.metrics).map(([name, count]) => [name, MEASURED.has(name) ? count.last : count.sum]).filter(([, count]) => count > 0);
  if (metrics.length) box.append(make("small", "", metrics.map(([name, count]) => `${name} ${count}`).join(" · ")));
  if (!one.queues.length && !one.routes.length) box.append(make("small", "", one.every_seconds ? t("every", lasted(one.every_seconds * 1000)) : t("on_demand")));
  return box;
}
function before(one, queues) {
  return one.queues.map(name => {
    const queue = queues && queues.find(other => other.name === name), box = make("div", "queue");
    box.append(make("strong", "", t("queue")), make("code", "", short(name)));
    if (queue) box.append(counts([["waiting", queue.waiting.length], ["delayed", queue.delayed.length], ["in_flight", queue.in_flight.length]]));
    const dead = (queues || []).filter(other => (other.dead_letter_of || []).includes(name)).reduce((sum, other) => sum + all(other).length, 0);
    if (dead) box.append(make("p", "bad", `${dead} ${t("dead")}`));
    return box;
  });
}
function counts(pairs) {
  const list = make("dl");
  for (const [key, value] of pairs) {
    const pair = make("div");
    pair.append(make("dt", "", t(key)), make("dd", "", value));
    list.append(pair);
  }
  return list;
}

/* ------------------------------------------------------------------ tables */

/* Rows under their headings; a cell is a text, a number or a node. */
function rows(name, headings, lines, empty) {
  if (!lines.length) return make("p", "why", empty);
  const box = make("div", "scroll"), made = make("table"), head = make("tr"), body = make("tbody");
  box.tabIndex = 0;
  box.dataset.focus = name;
  box.setAttribute("role", "group");
  box.setAttribute("aria-labelledby", "of-" + name);
  for (const key of headings) { const cell = make("th", "", t(key)); cell.scope = "col"; head.append(cell); }
  for (const { cells, bad } of lines) {
    const row = make("tr", bad ? "bad" : "");
    cells.forEach((value, at) => {
      const cell = make(at ? "td" : "th", typeof value === "number" ? "number" : "");
      if (!at) cell.scope = "row";
      cell.append(value instanceof Node ? value : document.createTextNode(String(value)));
      row.append(cell);
    });
    body.append(row);
  }
  const thead = make("thead");
  thead.append(head);
  made.append(thead, body);
  box.append(made);
  return box;
}
function oldest(queue) {
  const times = all(queue).map(message => message.sent_at).filter(Number.isFinite);
  return times.length ? Math.min(...times) : null;
}
function table(queues) {
  if (!queues) return why("queues_unseen");
  const line = queue => {
    const since = oldest(queue), dead = isDead(queue) && all(queue).length > 0;
    return { cells: [short(queue.name), queue.waiting.length, queue.delayed.length, queue.in_flight.length, since === null ? "–" : lasted(clockTime() - since)], bad: dead };
  };
  return rows("queues", ["queue", "waiting", "delayed", "in_flight", "oldest"], queues.map(line), "");
}
function sheets(channels) {
  const lines = Object.entries(channels).flatMap(([channel, days]) => Object.entries(days).sort().reverse().map(([date, sheet]) => {
    const refused = Object.entries(sheet.refused || {}), sum = refused.reduce((total, [, count]) => total + count, 0);
    const reasons = refused.length ? `${sum} (${refused.map(([reason, count]) => `${reason} ${count}`).join(", ")})` : 0;
    return { cells: [channel === "account" ? t("account") : channel, date, sheet.received, sheet.done, sheet.duplicate, reasons, sheet.waiting, sheet.difference], bad: sheet.difference !== 0 };
  }));
  return [why("balance_why"), rows("balance", ["channel", "date", "received", "done", "duplicate", "refused", "waiting", "difference"], lines, t("balance_empty"))];
}
function requests(erasures) {
  const line = one => {
    const code = make("a", "", one.code.slice(0, 8) + "…");
    code.href = `${one.page}?lang=${speaks()}`; code.target = "_blank"; code.rel = "noopener"; code.dataset.focus = "erasure-" + one.code;
    const clock = one.ended_at ? t("ended", day(one.ended_at)) : one.breached ? t("breached") : `${day(one.due_at)} · ${t("days_left", one.days_left)}`;
    const next = one.ended_at ? "–" : [t("locations")[one.next] || "", one.next_at ? day(one.next_at) : ""].filter(Boolean).join(" · ");
    return { cells: [code, t("sources")[one.source] || one.source, t("erasing")[one.state] || one.state, day(one.asked_at), clock, next], bad: one.breached && !one.ended_at };
  };
  return rows("erasures", ["code", "asked_by", "state", "asked_at", "deadline", "next"], erasures.map(line), t("erasures_empty"));
}

/* ------------------------------------------------------------------ alarms */

let unfolded = false;
/* What fires stands open, the others fold away. */
function alarms({ alarms, channels }) {
  const firing = alarms.filter(one => one.state === "alarm"), quiet = alarms.filter(one => one.state !== "alarm");
  const numbers = make("p", "channels"), rest = make("details"), summary = make("summary", "", t("quiet", quiet.length));
  channels.forEach(one => numbers.append(make("span", one.state === "live" ? "badge well" : "badge", `${one.display_phone_number} · ${t(one.state)}`), " "));
  rest.open = unfolded;
  rest.ontoggle = () => { unfolded = rest.open; };
  summary.dataset.focus = "quiet";
  rest.append(summary, listed(quiet));
  return [make("p", firing.length ? "summary bad" : "summary well", firing.length ? t("some_wrong", firing.length) : t("all_well")), numbers, ...(firing.length ? [listed(firing)] : []), rest];
}
function listed(alarms) {
  const list = make("ul");
  for (const one of alarms) {
    const item = make("li", one.state), words = make("span", "words", one[speaks()]), page = button(t("page"), "", () => consult(one.page));
    words.title = one.condition;
    page.disabled = !one.page;
    page.setAttribute("aria-label", t("page_of", one[speaks()]));
    page.dataset.focus = "alarm-" + one.name;
    item.append(make("span", "state", { alarm: t("firing"), ok: t("ok") }[one.state] || t("unknown")), words, page);
    list.append(item);
  }
  return list;
}

/* The page of the runbook, over the view. */
async function consult(name) {
  try {
    const answer = await fetch(`/_local/docs/runbook/${name}`);
    if (!answer.ok) throw new Error(t("answered", answer.status));
    const box = make("dialog", "runbook"), shut = button(t("close"), "", () => box.close());
    box.setAttribute("aria-label", t("page_of", name));
    const text = markdown(await answer.text());
    // A file's line ends mean nothing.
    for (const end of text.querySelectorAll("br")) end.replaceWith(" ");
    box.append(shut, text);
    box.onclose = () => box.remove();
    document.body.append(box);
    box.showModal();
  } catch (error) { complain(error.message); }
}
