'use strict';
const $ = id => document.getElementById(id);
const words = known.texts;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => name in values ? String(values[name]) : all);

let ready = false, loading = false, polling = false, opened = null, attempt = 0, launched = 0;
// What the window told, and what the callback brought, of this attempt.
let event = null, code = null;

function tell(text) { $('status').textContent = text || ''; }

function complain(...lines) {
  const box = $('fault');
  box.replaceChildren(...lines.filter(Boolean).map(line => Object.assign(document.createElement('p'), { textContent: line })));
  if (box.childElementCount) { tell(''); box.focus(); }
}

function mode() {
  const chosen = document.querySelector('input[name=mode]:checked');
  return chosen ? chosen.value : known.asked;
}

async function post(body) {
  const answer = await fetch('/signup', {
    method: 'POST', credentials: 'same-origin', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ t: known.t, nonce: known.nonce, ...body }),
  });
  const text = await answer.text();
  let told = {};
  try { told = text ? JSON.parse(text) : {}; } catch { /* an answer of the network's own */ }
  if (answer.status === 401) told.state = 'forged';
  told.unheard = answer.status === 429 || answer.status >= 500;
  return told;
}

// How long one and the same thing is said again while it did not get through: a code lives no longer.
const PATIENCE = 25000;

// Asks how far it is, or says what is said once: a code, or an answer. That is said again until it is heard; a code that came
// before is known by the other side.
async function send(body, until) {
  const once = !body.status, end = until || Date.now() + PATIENCE;
  const again = () => Date.now() < end ? setTimeout(() => send(body, end), 1500) : later(2000);
  try {
    const told = await post(body);
    if (told.state && !told.unheard) show(told);
    if (once && (told.again || told.unheard)) return again();
    // Too many at once, or a store that did not answer: how far it is, is asked again.
    if (!told.state || told.unheard) later(2000);
  } catch {
    tell(words.offline);
    if (once) again(); else setTimeout(poll, 4000);
  }
}

// ---------------------------------------------------------------- Meta's script

function load() {
  if (ready || loading) return;
  loading = true;
  tell(words.loading);
  const late = setTimeout(blocked, 8000);
  window.fbAsyncInit = () => {
    clearTimeout(late);
    FB.init({ appId: known.app_id, version: known.version, cookie: false, xfbml: false, autoLogAppEvents: false });
    ready = true; loading = false;
    tell('');
    $('help').hidden = true;
    complain();
    $('connect').disabled = !$('consent').checked;
  };
  const script = Object.assign(document.createElement('script'), { src: known.sdk, async: true });
  script.onerror = () => { clearTimeout(late); blocked(); };
  document.head.append(script);
}

function blocked() {
  if (ready) return;
  loading = false;
  complain(words.sdk);
  offer(true);
}

// Without a window there is no way for a number that stays on its phone.
function offer(without) {
  $('help').hidden = false;
  $('without').hidden = !(without && (known.reconnects || mode() === 'cloud'));
}

// ---------------------------------------------------------------- the window

function launch() {
  // The second click of a double click would open a second window.
  if (Date.now() - launched < 1500) return;
  launched = Date.now();
  const mine = ++attempt;
  event = null; code = null; opened = null;
  complain();
  $('help').hidden = true;
  tell(words.opened);
  const open = window.open;
  window.open = (...given) => { opened = open.apply(window, given); return opened; };
  // In the click itself, or the browser blocks the window.
  FB.login(answer => {
    if (mine !== attempt) return;
    launched = 0;
    code = answer && answer.authResponse && answer.authResponse.code || null;
    const user = answer && answer.authResponse && answer.authResponse.userID || null;
    if (code) came(user); else setTimeout(() => mine === attempt && ended(), 3000);
  }, known.login[mode()]);
  window.open = open;
  setTimeout(() => {
    if (mine === attempt && !opened && !code && !event) { complain(words.popup); offer(true); }
  }, 2000);
}

function ids(data) {
  const named = {};
  for (const name of ['waba_id', 'waba_ids', 'phone_number_id']) if (data && data[name] != null) named[name] = data[name];
  return named;
}

function came(user) {
  const named = event ? { event: event.event, ...ids(event.data) } : {};
  tell(words.working);
  send({ code, mode: mode(), user_id: user, ...named });
}

// The callback brought no code, and what the window told has come by now, if it comes.
function ended() {
  if (code) return;
  const data = event && event.data || {};
  const word = event ? event.event : '';
  if (/^(CANCEL|ERROR)/.test(word)) return;
  if (word) { complain(words.no_code); } else { complain(words.cancelled); }
  offer(true);
}

function brokenOff(data) {
  const step = data.current_step && (known.dialog_steps[data.current_step] || data.current_step);
  complain(
    step ? fill(words.cancelled_at, { step }) : words.cancelled,
    data.error_message && `${words.meta_said} ${data.error_message}`,
    data.session_id && fill(words.session, { id: data.session_id }),
  );
  offer(true);
  // What stood there before does not take the place of these words.
  post({ event: event.event, current_step: data.current_step, session_id: data.session_id })
    .then(told => { if (told.state && !['open', 'failed'].includes(told.state)) show(told); }, () => {});
}

function isMeta(origin) {
  if (known.origins.length) return known.origins.includes(origin);
  let url;
  try { url = new URL(origin); } catch { return false; }
  return url.protocol === 'https:' && (url.hostname === 'facebook.com' || url.hostname.endsWith('.facebook.com'));
}

window.addEventListener('message', message => {
  if (!isMeta(message.origin)) return;
  let told = message.data;
  if (typeof told === 'string') { try { told = JSON.parse(told); } catch { return; } }
  if (!told || told.type !== 'WA_EMBEDDED_SIGNUP' || typeof told.event !== 'string') return;
  event = { event: told.event, data: told.data || {} };
  if (/^(CANCEL|ERROR)/.test(told.event)) return brokenOff(event.data);
  // The code was posted before it: the ids follow.
  if (code) send({ event: told.event, ...ids(event.data) });
});

// ---------------------------------------------------------------- how far it is

function show(told) {
  const state = told.state;
  if (known.closed[state]) { complain(known.closed[state]); return; }
  const isOpen = state === 'open' || state === 'failed';
  if ($('before')) $('before').hidden = !isOpen;
  $('progress').hidden = isOpen;
  $('number').textContent = told.number ? fill(words.number, { number: told.number }) : '';
  for (const { step, state } of told.steps || []) {
    const line = document.querySelector(`[data-step=${step}]`);
    line.querySelector('span').textContent = words[`${state}_word`] || state;
    if (state === 'working') line.setAttribute('aria-current', 'step'); else line.removeAttribute('aria-current');
  }
  const past = told.history || {};
  $('past').textContent = past.state ? fill(words[`past_${past.state}`] || '', past) : '';
  for (const need of ['choice', 'mode', 'verification', 'pin']) {
    const form = $(`need-${need}`), wanted = told.need === need;
    if (form.hidden && wanted) { form.hidden = false; ask(need, told); focusIn(form); }
    else if (wanted) ask(need, told);
    else form.hidden = true;
  }
  const fault = told.reason && known.faults[told.reason];
  if (state === 'failed' || told.reason && !['meta', 'chatwoot', 'no_account', 'no_number'].includes(told.reason) || told.reason === 'no_number' && isOpen) {
    if ($('fault').textContent !== fault) complain(fault, told.session_id && fill(words.session, { id: told.session_id }));
  } else if (!isOpen) complain();
  if (state === 'working') tell(fault ? `${fault} ${words.slow}` : words.working);
  if (state === 'needs' && !fault) tell(told.need === 'verification' && told.sent ? words.code_sent : '');
  if (state === 'done') tell(told.mode === 'coexistence' ? `${words.done} ${words.done_phone}` : words.done);
  if (state === 'failed' && ready) { $('connect').disabled = !$('consent').checked; }
  const moving = past.state && !['done', 'not_shared', 'too_late', 'nothing'].includes(past.state);
  if (state === 'working') later(2000); else if (state === 'done' && moving) later(10000);
}

function ask(need, told) {
  if (need === 'pin') $('tries').textContent = fill(words.tries_left, { n: told.tries_left });
  if (need !== 'choice') return;
  const box = $('need-choice').querySelector('div');
  if (box.childElementCount) return;
  box.replaceChildren(...told.of.map((one, at) => {
    const line = document.createElement('p'), label = document.createElement('label');
    const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'choose', value: one.number, required: true });
    input.checked = false;
    label.append(input, ` ${one.name} ${one.ending}`);
    line.append(label);
    return line;
  }));
}

function focusIn(form) {
  const first = form.querySelector('input, button');
  if (first) first.focus();
}

function later(time) {
  if (polling) return;
  polling = true;
  setTimeout(() => { polling = false; poll(); }, time);
}

function poll() { send({ status: true }); }

// ---------------------------------------------------------------- what a person does

if ($('begin')) {
  $('consent').addEventListener('change', () => {
    if ($('consent').checked) load();
    $('connect').disabled = !($('consent').checked && ready);
  });
  $('begin').addEventListener('submit', submitted => {
    submitted.preventDefault();
    if (ready && $('consent').checked) launch();
  });
}
$('again').addEventListener('click', () => { if (ready) launch(); else { complain(); $('help').hidden = true; load(); } });
$('without').addEventListener('click', () => { location.href = known.full_page; });
$('need-choice').addEventListener('submit', submitted => {
  submitted.preventDefault();
  const chosen = document.querySelector('input[name=choose]:checked');
  if (chosen) send({ choose: chosen.value });
});
for (const button of document.querySelectorAll('[data-accept]')) {
  button.addEventListener('click', () => send({ accept: button.dataset.accept === 'true' }));
}
for (const button of document.querySelectorAll('[data-send]')) {
  button.addEventListener('click', () => send({ verification: button.dataset.send }));
}
$('need-mode').addEventListener('submit', submitted => submitted.preventDefault());
$('need-verification').addEventListener('submit', submitted => {
  submitted.preventDefault();
  send({ verification_code: $('code').value });
});
$('need-pin').addEventListener('submit', submitted => {
  submitted.preventDefault();
  send({ pin: $('pin').value });
});

show(known.state);
if (known.cancelled) { complain(words.cancelled); offer(true); }
if (known.lost && known.state.state === 'open') { complain(known.faults.code_lost); offer(true); }
