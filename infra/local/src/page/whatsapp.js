/* Draws a text as WhatsApp does: *bold*, _italic_, ~strike~, `code`, ```blocks```, lists and quotes by line, addresses as links.
   A mark counts only at the edge of a word, with no space on its inner side, and within one line. */

import { make } from "./shared.js";
import { address, draw } from "./markdown.js";

const MOST_NESTED = 8;
const FENCE = "```";
const STYLES = { "*": "strong", _: "em", "~": "s" };
const word = c => c !== undefined && /[\p{L}\p{N}]/u.test(c);
const space = c => c === undefined || /\s/u.test(c);
const node = (tag, children, attributes = {}) => ({ tag, attributes, children });

/** The tree of a text, as `draw` of Markdown takes it. */
export function parse(text) {
  const out = [];
  let rest = text.replace(/\r\n?/g, "\n"), list = null;
  while (rest !== "") {
    const block = fenced(rest);
    if (block) { out.push(node("pre", [node("code", [block.code])])); rest = block.after; list = null; continue; }
    const end = rest.indexOf("\n"), line = end < 0 ? rest : rest.slice(0, end);
    rest = end < 0 ? "" : rest.slice(end + 1);
    list = add(out, line, list);
  }
  return out;
}

function fenced(text) {
  const open = /^[^\S\n]*```/.exec(text);
  if (!open) return null;
  const end = text.indexOf(FENCE, open[0].length), code = text.slice(open[0].length, end);
  if (end < 0 || !code.includes("\n") || code.trim() === "") return null;
  return { code: code.replace(/^\n/, "").replace(/\n$/, ""), after: text.slice(end + FENCE.length).replace(/^\n/, "") };
}

/* Adds a line; one of a list goes on with the list above it. */
function add(out, line, list) {
  const quote = /^\s*> (\S.*)$/.exec(line), item = /^\s*(?:[-*]|(\d{1,9})\.) (\S.*)$/.exec(line);
  if (quote) {
    const last = out.at(-1);
    if (last && last.tag === "blockquote") last.children.push(node("br", []), ...spans(quote[1], 0));
    else out.push(node("blockquote", spans(quote[1], 0)));
    return null;
  }
  if (item) {
    const tag = item[1] === undefined ? "ul" : "ol", row = node("li", spans(item[2], 0));
    const goesOn = list && list.tag === tag && (tag === "ul" || list.next === Number(item[1]));
    if (goesOn) list.children.push(row);
    else {
      list = node(tag, [row], tag === "ol" && item[1] !== "1" ? { start: item[1] } : {});
      out.push(list);
    }
    list.next = Number(item[1]) + 1;
    return list;
  }
  const last = out.at(-1);
  if (last && last.tag === "p" && list === null) last.children.push(node("br", []), ...spans(line, 0));
  else out.push(node("p", spans(line, 0)));
  return null;
}

function spans(line, depth) {
  const out = [];
  const say = c => { if (typeof out.at(-1) === "string") out[out.length - 1] += c; else out.push(c); };
  let at = 0;
  while (at < line.length) {
    const whole = verbatim(line, at);
    if (whole) { out.push(whole.node); at += whole.length; continue; }
    const end = depth < MOST_NESTED && STYLES[line[at]] && opens(line, at) ? closing(line, at) : -1;
    if (end > 0) { out.push(node(STYLES[line[at]], spans(line.slice(at + 1, end), depth + 1))); at = end + 1; continue; }
    say(line[at]);
    at += 1;
  }
  return out;
}

/* Code or an address, in which nothing is a mark. */
function verbatim(line, at) {
  const rest = line.slice(at);
  if (line[at] === "`") {
    for (const sign of [FENCE, "`"]) {
      const end = rest.startsWith(sign) ? rest.indexOf(sign, sign.length) : -1, code = rest.slice(sign.length, end);
      if (end > 0 && code.trim() !== "") return { node: node(sign === "`" ? "code" : "samp", [code]), length: end + sign.length };
    }
  }
  const to = /h/i.test(line[at]) && !word(line[at - 1]) ? address(rest) : null;
  return to && { node: node("a", [to], { href: to, target: "_blank", rel: "noreferrer noopener nofollow" }), length: to.length };
}

const opens = (line, at) => !word(line[at - 1]) && line[at - 1] !== line[at] && !space(line[at + 1]) && line[at + 1] !== line[at];

function closing(line, start) {
  const sign = line[start];
  for (let at = start + 1; at < line.length; at += 1) {
    const whole = verbatim(line, at);
    if (whole) { at += whole.length - 1; continue; }
    if (line[at] === sign && /[\p{L}\p{N}\p{S}]/u.test(line.slice(start + 1, at)) && !space(line[at - 1]) && line[at - 1] !== sign
      && !word(line[at + 1]) && line[at + 1] !== sign) return at;
  }
  return -1;
}

/** A text as WhatsApp shows it. */
export function whatsapp(text) {
  const shown = make("div", "formatted");
  shown.append(...draw(parse(text || "")));
  return shown;
}
