/* Draws Markdown as Chatwoot's dashboard does: no HTML, each line end kept, addresses become links, typographic quotes.
   A text becomes a tree of {tag, attributes, children} and strings, and only that tree becomes nodes: no text is ever read as HTML. */

import { make } from "./shared.js";

const MOST_NESTED = 20;
const ALLOWED = /^(https?:|mailto:|tel:)/i;
const SCHEME = /^[a-z][a-z0-9+.-]*:/i;
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", hellip: "…", mdash: "—", ndash: "–", euro: "€" };

const node = (tag, children, attributes = {}) => ({ tag, attributes, children });

/* ------------------------------------------------------------------ blocks */

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-+*]|(\d{1,9})([.)]))( +|$)(.*)$/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const DEFINITION = /^ {0,3}\[([^\]]+)\]:[ \t]*<?([^\s>]+)>?(?:[ \t]+(?:"[^"]*"|'[^']*'|\([^)]*\)))?[ \t]*$/;
const ALIGNED = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const blank = line => line.trim() === "";

/** The tree of a text. */
export function parse(text) {
  const lines = text.replace(/\0/g, "\ufffd").split(/\r\n?|\n/).map(line => line.replace(/\t/g, "    "));
  const known = new Map();
  for (const line of lines) {
    const found = DEFINITION.exec(line);
    if (found && !known.has(found[1].toLowerCase())) known.set(found[1].toLowerCase(), found[2]);
  }
  return blocks(lines, known, 0);
}

function blocks(lines, known, depth) {
  const out = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (blank(line)) { at += 1; continue; }
    const found = depth < MOST_NESTED && (fenced(lines, at) || indented(lines, at) || headed(lines, at, known) || quoted(lines, at, known, depth)
      || ruled(lines, at) || listed(lines, at, known, depth) || tabled(lines, at, known));
    const [block, next] = found || paragraph(lines, at, known, depth);
    if (block) out.push(block);
    at = next;
  }
  return out;
}

function fenced(lines, at) {
  const open = FENCE.exec(lines[at]);
  if (!open) return null;
  const end = new RegExp(`^ {0,3}${open[1][0]}{${open[1].length},}[ ]*$`), code = [];
  let next = at + 1;
  while (next < lines.length && !end.test(lines[next])) code.push(lines[next++]);
  return [node("pre", [node("code", [code.join("\n") + (next < lines.length ? "\n" : "")])]), next + 1];
}

function indented(lines, at) {
  if (!/^ {4}/.test(lines[at])) return null;
  let next = at;
  while (next < lines.length && (blank(lines[next]) || /^ {4}/.test(lines[next]))) next += 1;
  while (blank(lines[next - 1])) next -= 1;
  const code = lines.slice(at, next).map(line => line.slice(4));
  return [node("pre", [node("code", [code.join("\n") + "\n"])]), next];
}

function headed(lines, at, known) {
  const found = HEADING.exec(lines[at]);
  return found && [node("h" + found[1].length, words(found[2] || "", known)), at + 1];
}

const ruled = (lines, at) => RULE.test(lines[at]) ? [node("hr", []), at + 1] : null;

/* Whether a line ends the paragraph before it. */
function interrupts(line) {
  const item = ITEM.exec(line);
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line)
    || Boolean(item && item[6] !== "" && (item[3] === undefined || item[3] === "1"));
}

function quoted(lines, at, known, depth) {
  if (!QUOTE.test(lines[at])) return null;
  const inside = [];
  let next = at;
  for (; next < lines.length && !blank(lines[next]); next += 1) {
    if (QUOTE.test(lines[next])) inside.push(lines[next].replace(QUOTE, ""));
    else if (next > at && !interrupts(lines[next]) && !blank(inside.at(-1))) inside.push(lines[next]);
    else break;
  }
  return [node("blockquote", blocks(inside, known, depth + 1)), next];
}

function listed(lines, at, known, depth) {
  const first = ITEM.exec(lines[at]);
  if (!first) return null;
  const kind = first[4] || first[2], items = [];
  let next = at, loose = false;
  while (next < lines.length) {
    const item = ITEM.exec(lines[next]);
    if (!item || (item[4] || item[2]) !== kind || RULE.test(lines[next])) break;
    const wide = item[5].length > 4 || item[6] === "";
    const offset = item[1].length + item[2].length + (wide ? 1 : item[5].length);
    const inside = [wide ? " ".repeat(Math.max(0, item[5].length - 1)) + item[6] : item[6]];
    next += 1;
    for (; next < lines.length; next += 1) {
      const line = lines[next], indent = line.length - line.trimStart().length;
      if (blank(line)) inside.push("");
      else if (indent >= offset) inside.push(line.slice(offset));
      else if (!blank(inside.at(-1)) && !ITEM.test(line) && !interrupts(line)) inside.push(line.trimStart());
      else break;
    }
    const ended = inside.length;
    while (inside.length > 1 && blank(inside.at(-1))) inside.pop();
    const more = next < lines.length && ITEM.test(lines[next]) && (ITEM.exec(lines[next])[4] || ITEM.exec(lines[next])[2]) === kind;
    loose ||= inside.slice(1).some(blank) || (ended > inside.length && more);
    items.push(inside);
  }
  const drawn = items.map(inside => {
    const children = blocks(inside, known, depth + 1);
    return node("li", loose ? children : children.flatMap(child => child.tag === "p" ? child.children : [child]));
  });
  const ordered = first[3] !== undefined;
  return [node(ordered ? "ol" : "ul", drawn, ordered && first[3] !== "1" ? { start: String(Number(first[3])) } : {}), next];
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(^|[^\\])\|$/, "$1");
  return inner.split(/(?<!\\)\|/).map(cell => cell.replace(/\\\|/g, "|").trim());
}

function tabled(lines, at, known) {
  if (!lines[at].includes("|") || at + 1 >= lines.length || !ALIGNED.test(lines[at + 1]) || !/[|:]/.test(lines[at + 1])) return null;
  const head = cells(lines[at]);
  if (cells(lines[at + 1]).length !== head.length) return null;
  let next = at + 2;
  const body = [];
  for (; next < lines.length && !blank(lines[next]) && !interrupts(lines[next]); next += 1) {
    const row = cells(lines[next]);
    body.push(node("tr", head.map((_, column) => node("td", words(row[column] || "", known)))));
  }
  const heads = node("thead", [node("tr", head.map(cell => node("th", words(cell, known))))]);
  return [node("table", body.length ? [heads, node("tbody", body)] : [heads]), next];
}

function paragraph(lines, at, known, depth) {
  const said = [];
  let next = at;
  for (; next < lines.length && !blank(lines[next]); next += 1) {
    if (said.length && UNDERLINE.test(lines[next])) {
      return [node(lines[next].trim()[0] === "=" ? "h1" : "h2", words(said.join("\n"), known)), next + 1];
    }
    if (said.length && depth < MOST_NESTED && (interrupts(lines[next]) || tabled(lines, next, known))) break;
    if (said.length || !DEFINITION.test(lines[next])) said.push(lines[next].trimStart());
  }
  return [said.length ? node("p", words(said.join("\n").trimEnd(), known)) : null, next];
}

/* ------------------------------------------------------------------ words */

const PUNCTUATION = /[\p{P}\p{S}]/u;
const space = c => c === undefined || /\s/u.test(c);
const mark = c => c !== undefined && PUNCTUATION.test(c);

function words(text, known) {
  const tree = merged(inline(text, known, 0));
  quotes(tree);
  return tree;
}

function inline(text, known, depth) {
  const out = [], brackets = [];
  const say = words => { if (typeof out.at(-1) === "string") out[out.length - 1] += words; else out.push(words); };
  let at = 0;
  while (at < text.length) {
    const c = text[at], rest = text.slice(at);
    const before = at === 0 ? undefined : text[at - 1];
    let found;
    if (c === "\\" && /[!-/:-@[-`{-~]/.test(text[at + 1] || "")) { out.push({ plain: text[at + 1] }); at += 2; }
    else if (c === "\n" || (c === "\\" && text[at + 1] === "\n")) {
      if (typeof out.at(-1) === "string") out[out.length - 1] = out.at(-1).trimEnd();
      out.push(node("br", []));
      at += c === "\n" ? 1 : 2;
      while (text[at] === " ") at += 1;
    }
    else if (c === "`") {
      const run = /^`+/.exec(rest)[0];
      const close = new RegExp(`(?<!\`)${run}(?!\`)`).exec(rest.slice(run.length));
      if (close) {
        const code = rest.slice(run.length, run.length + close.index).replace(/\n/g, " ");
        out.push(node("code", [/^ .*[^ ].* $/.test(code) ? code.slice(1, -1) : code]));
        at += 2 * run.length + close.index;
      } else { say(run); at += run.length; }
    }
    else if (c === "<" && (found = /^<([a-z][a-z0-9+.-]{1,31}:[^\s<>]*|[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+)>/i.exec(rest))) {
      const to = SCHEME.test(found[1]) ? found[1] : "mailto:" + found[1];
      if (ALLOWED.test(to)) out.push(link(to, [{ plain: found[1] }])); else out.push({ plain: found[0] });
      at += found[0].length;
    }
    else if (c === "&" && (found = /^&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]+));/i.exec(rest)) && entity(found) !== null) {
      out.push({ plain: entity(found) });
      at += found[0].length;
    }
    else if (c === "[" || (c === "!" && text[at + 1] === "[")) {
      const length = c === "!" ? 2 : 1;
      brackets.push({ at: out.length, image: c === "!", from: at + length });
      out.push({ plain: c === "!" ? "![" : "[" });
      at += length;
    }
    else if (c === "]") at = closed(text, at, out, brackets, known, depth);
    else if (/[*_~]/.test(c)) {
      const run = new RegExp(`^\\${c}+`).exec(rest)[0];
      const after = text[at + run.length];
      const left = !space(after) && (!mark(after) || space(before) || mark(before));
      const right = !space(before) && (!mark(before) || space(after) || mark(after));
      const opens = c === "_" ? left && (!right || mark(before)) : left;
      const closes = c === "_" ? right && (!left || mark(after)) : right;
      out.push({ run: c, count: run.length, length: run.length, opens, closes });
      at += run.length;
    }
    else if (/[h]/i.test(c) && !/[\p{L}\p{N}]/u.test(before || "") && (found = address(rest))) {
      out.push(link(found, [{ plain: found }]));
      at += found.length;
    }
    else { say(c); at += 1; }
  }
  return emphasized(out);
}

const SPARED = { "*": ["strong", "em"], _: ["strong", "em"], "~": ["s", null] };

/* Marks that open and close each other become styles; what is left over is text. */
function emphasized(items) {
  for (let at = 0; at < items.length; at += 1) {
    const closer = items[at];
    if (!closer.run || !closer.closes) continue;
    let from = at - 1;
    for (; from >= 0; from -= 1) {
      const opener = items[from];
      if (opener.run !== closer.run || !opener.opens || opener.count === 0) continue;
      const odd = (opener.closes || closer.opens) && (opener.length + closer.length) % 3 === 0 && opener.length % 3 !== 0;
      if (!odd && (closer.run !== "~" || (opener.count > 1 && closer.count > 1))) break;
    }
    if (from < 0 || closer.count === 0) continue;
    const opener = items[from], used = opener.count > 1 && closer.count > 1 ? 2 : 1;
    const inside = items.splice(from + 1, at - from - 1).map(leftover);
    items.splice(from + 1, 0, node(SPARED[closer.run][used === 2 ? 0 : 1], inside));
    opener.count -= used;
    closer.count -= used;
    at = from + (closer.count > 0 ? 1 : 2);
  }
  return items.map(leftover);
}
const leftover = item => item.run ? { plain: item.run.repeat(item.count) } : item;

function entity([, decimal, hex, name]) {
  if (name) return ENTITIES[name] ?? null;
  const code = decimal ? Number(decimal) : parseInt(hex, 16);
  return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
}

/* A closing bracket: a link, a mention, a picture, or nothing of the kind. */
function closed(text, at, out, brackets, known, depth) {
  const open = brackets.pop();
  if (!open || open.dead || depth > MOST_NESTED) { out.push({ plain: "]" }); return at + 1; }
  const label = text.slice(open.from, at), target = aimed(text, at + 1, label, known);
  if (!target) { out.push({ plain: "]" }); return at + 1; }
  const inside = emphasized(out.splice(open.at + 1));
  out.pop();
  if (open.image) out.push(ALLOWED.test(target.to) ? link(target.to, [{ plain: "🖼 " + (label || target.to) }]) : { plain: label });
  else if (/^mention:\/\//i.test(target.to)) out.push(node("span", inside, { class: "mention" }));
  else if (ALLOWED.test(target.to)) {
    out.push(link(target.to, inside));
    for (const other of brackets) other.dead ||= !other.image;
  }
  else if (SCHEME.test(target.to)) out.push({ plain: text.slice(open.from - 1, target.end) });
  else out.push(...inside);
  return target.end;
}

function aimed(text, at, label, known) {
  const rest = text.slice(at);
  const found = /^\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*\))*))(?:\s+(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\((?:[^)\\]|\\.)*\)))?\s*\)/.exec(rest);
  if (found) return { to: (found[1] ?? found[2]).replace(/\\([!-/:-@[-`{-~])/g, "$1"), end: at + found[0].length };
  const named = /^\[([^\]]*)\]/.exec(rest);
  const to = known.get(((named && named[1]) || label).toLowerCase());
  return to === undefined ? null : { to, end: at + (named ? named[0].length : 0) };
}

const link = (to, children) => node("a", children, { href: to, target: "_blank", rel: "noreferrer noopener nofollow" });

/** The address with a scheme that a text begins with. */
export function address(text) {
  const found = /^https?:\/\/[^\s<>"`]+/i.exec(text);
  return found ? unended(found[0]) : null;
}
/* What ends a sentence does not belong to the address in it. */
function unended(address) {
  let kept = address.replace(/[.,;:!?'*]+$/, "");
  while (/[)\]]$/.test(kept) && kept.split(/[([]/).length <= kept.split(/[)\]]/).length - 1) kept = kept.slice(0, -1).replace(/[.,;:!?'*]+$/, "");
  return /^https?:\/\/[^/]/i.test(kept) ? kept : null;
}

const DOMAIN = "(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\\.)+(?:com|net|org|edu|gov|info|biz|pro|shop|name|aero|coop|museum|asia|[a-z]{2})(?![a-z0-9@-])";
const BARE = new RegExp(`(?<![\\p{L}\\p{N}@._/-])(?:(?:mailto:)?([a-z0-9.!#$%&'*+/=?^_{|}~-]+@${DOMAIN})|(${DOMAIN}(?:[:/?#][^\\s<>"\`]*)?))`, "giu");
const REPLACED = [[/\(c\)/gi, "©"], [/\(r\)/gi, "®"], [/\(tm\)/gi, "™"], [/\+-/g, "±"], [/\.{2,}/g, "…"], [/([?!])…/g, "$1.."],
  [/([?!]){4,}/g, "$1$1$1"], [/,{2,}/g, ","], [/(^|[^-])---(?=[^-]|$)/g, "$1—"], [/(^|[^-])--(?=[^-]|$)/g, "$1–"]];

/* Text beside text becomes one; addresses without a scheme become links; what stands for a sign becomes it. */
function merged(items, linked = false) {
  const out = [];
  for (const item of items) {
    const plain = typeof item === "string" ? item : item.plain;
    if (plain === undefined) {
      const inside = linked || item.tag === "a";
      out.push(item.tag === "code" ? item : node(item.tag, merged(item.children, inside), item.attributes));
    }
    else if (typeof out.at(-1) === "string") out[out.length - 1] += plain;
    else out.push(plain);
  }
  return out.flatMap(item => {
    if (typeof item !== "string") return [item];
    const pieces = [];
    let from = 0;
    for (const found of linked ? [] : item.matchAll(BARE)) {
      const shown = found[0].replace(/[.,;:!?'")*_~]+$/, "");
      pieces.push(typographic(item.slice(from, found.index)), link(found[1] ? "mailto:" + found[1] : "http://" + shown, [shown]));
      from = found.index + shown.length;
    }
    pieces.push(linked ? item.slice(from) : typographic(item.slice(from)));
    return pieces.filter(piece => piece !== "");
  });
}
const typographic = text => REPLACED.reduce((said, [what, by]) => said.replace(what, by), text);

/* Straight quotes in pairs become typographic ones, also around styles. */
function quotes(tree) {
  const leaves = [];
  const gather = items => items.forEach((item, at) => {
    if (typeof item === "string") leaves.push({ of: items, at });
    else if (item.tag === "br") leaves.push({ end: true });
    else if (item.tag !== "code" && item.tag !== "a") gather(item.children);
    else leaves.push({ solid: true });
  });
  gather(tree);
  const text = leaves.map(leaf => leaf.end ? "\n" : leaf.solid ? "x" : leaf.of[leaf.at]).join("");
  if (!/["']/.test(text)) return;
  const signs = [...text], open = [];
  signs.forEach((sign, at) => {
    if (sign !== "\"" && sign !== "'") return;
    const before = signs[at - 1], after = signs[at + 1];
    const opens = !space(after) && (space(before) || mark(before)), closes = !space(before) && (space(after) || mark(after));
    const pair = closes ? open.findLastIndex(one => one.sign === sign) : -1;
    if (pair >= 0) {
      [signs[open[pair].at], signs[at]] = sign === "\"" ? ["“", "”"] : ["‘", "’"];
      open.length = pair;
    }
    else if (opens) open.push({ sign, at });
    else if (sign === "'") signs[at] = "’";
  });
  let from = 0;
  for (const leaf of leaves) {
    const length = leaf.of ? [...leaf.of[leaf.at]].length : 1;
    if (leaf.of) leaf.of[leaf.at] = signs.slice(from, from + length).join("");
    from += length;
  }
}

/* ------------------------------------------------------------------ nodes */

/** The nodes of a tree. */
export function draw(tree) {
  return tree.map(item => {
    if (typeof item === "string") return document.createTextNode(item);
    const element = make(item.tag);
    for (const [name, value] of Object.entries(item.attributes)) element.setAttribute(name, value);
    element.append(...draw(item.children));
    return element;
  });
}

/** A text as Chatwoot shows it. */
export function markdown(text) {
  const shown = make("div", "formatted");
  shown.append(...draw(parse(text || "")));
  return shown;
}
