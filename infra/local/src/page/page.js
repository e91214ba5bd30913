/* The tabs, the clock and the faults; each second the view that is open is looked at anew. */

import { begin, by, call, complain, move, onLanguage, recovered, trouble } from "./shared.js";
import * as chats from "./chats.js";
import * as operation from "./operation.js";

const META = "/_local/meta", CHATWOOT = "/_local/chatwoot";
const attempt = work => work().then(refresh).catch(error => { complain(error.message); refresh(); });

/* ------------------------------------------------------------------ tabs */

const tabs = [...document.querySelectorAll("[role=tab]")];
function open(tab) {
  for (const one of tabs) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", String(chosen));
    one.tabIndex = chosen ? 0 : -1;
    by(one.getAttribute("aria-controls")).hidden = !chosen;
  }
  const address = new URL(location);
  address.hash = tab.id === "tab-operation" ? "operation" : "";
  history.replaceState(null, "", address);
  refresh();
}
tabs.forEach((tab, at) => {
  tab.onclick = () => open(tab);
  tab.onkeydown = event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(at + step + tabs.length) % tabs.length];
    open(next);
    next.focus();
  };
});

/* On a narrow screen one side of the chats is shown at a time. */
for (const one of document.querySelectorAll("[data-show]")) one.onclick = () => {
  by("chats").dataset.side = one.dataset.show;
  for (const other of document.querySelectorAll("[data-show]")) other.setAttribute("aria-pressed", String(other === one));
  chats.toEnd();
};
by("unfold").onclick = () => by("unfold").setAttribute("aria-expanded", String(by("tools").classList.toggle("unfolded")));

/* ------------------------------------------------------------------ clock and faults */

by("redeliver").onclick = () => attempt(() => call(`${META}/redeliver`, {}));
by("connect").onclick = () => attempt(async () => { location.href = (await call("/_local/signup", {})).url; });
by("lose").onclick = () => attempt(() => call(`${CHATWOOT}/callbacks`, { lose: 1 }));
by("reconcile").onclick = () => attempt(() => call("/_local/run/reconcile", {}));
for (const b of document.querySelectorAll("[data-advance]")) b.onclick = () => attempt(() => move(Number(b.dataset.advance)));
for (const b of document.querySelectorAll("[data-network]")) b.onclick = () => attempt(async () => {
  const down = b.getAttribute("aria-pressed") !== "true";
  await call(b.dataset.network === "meta" ? `${META}/network` : `${CHATWOOT}/network`, { up: !down });
  b.setAttribute("aria-pressed", String(down));
});

/* ------------------------------------------------------------------ looking */

let running = false, again = false;
async function refresh() {
  if (running) { again = true; return; }
  running = true;
  try {
    if (by("operation").hidden) await chats.refresh(); else await operation.refresh();
    await operation.warn();
    recovered();
  } catch (error) { trouble(error.message); }
  running = false;
  if (again) { again = false; refresh(); }
}

chats.start(attempt);
onLanguage(() => { chats.forget(); refresh(); });
begin().then(async () => {
  if ((await call(`${META}/customers`)).length === 0) await call(`${META}/customers`, { name: "Ana López", wa_id: "5215550001234" });
  if (location.hash === "#operation") open(by("tab-operation")); else await refresh();
  setInterval(refresh, 1000);
}).catch(error => complain(error.message));
