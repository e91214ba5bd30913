/* The template picker, as Chatwoot's own: it knows no more than what stands in the attributes of the inbox. */

import { by, make, offer, t } from "./shared.js";

const picker = { form: by("template"), drawn: "", list: [] };
picker.select = picker.form.elements.template;
const part = (template, type) => template.components.find(one => one.type === type);
const braces = text => [...new Set([...(text || "").matchAll(/{{([^}]+)}}/g)].map(([, name]) => name.trim()))];
const UNSHOWN = ["LIST", "PRODUCT", "CATALOG", "CALL_PERMISSION_REQUEST"];
function pickable(template) {
  return (template.status || "").toLowerCase() === "approved" && Array.isArray(template.components) && template.category !== "AUTHENTICATION"
    && !template.name.startsWith("customer_satisfaction_survey")
    && !template.components.some(one => UNSHOWN.includes(one.type) || (one.type === "HEADER" && one.format === "LOCATION"));
}
const chosenTemplate = () => picker.list[picker.select.selectedIndex];
const typedIn = () => [...picker.form.querySelectorAll(".fields input")];
function filledBody(template) {
  const values = Object.fromEntries(typedIn().filter(one => one.dataset.place === "body").map(one => [one.dataset.key, one.value]));
  return ((part(template, "BODY") || {}).text || "").replace(/{{([^}]+)}}/g, (whole, name) => values[name.trim()] || whole);
}
function preview() { const template = chosenTemplate(); picker.form.querySelector(".preview").textContent = template ? filledBody(template) : ""; }
function asked(template) {
  const asks = [], ask = (label, place, key) => asks.push({ label, place, key });
  const header = template && part(template, "HEADER"), body = template && part(template, "BODY");
  if (body) {
    if (header && ["IMAGE", "VIDEO", "DOCUMENT"].includes(header.format)) ask(t("file_address"), "header", "media_url");
    if (header && header.format === "DOCUMENT") ask(t("file_name"), "header", "media_name");
    for (const name of braces(body.text)) ask(`{{${name}}}`, "body", name);
    ((part(template, "BUTTONS") || {}).buttons || []).forEach((one, at) => {
      if (one.type === "COPY_CODE" || (one.type === "URL" && braces(one.url).length)) ask(t("of_button", one.text || t("copy_code")), "button", at);
    });
  }
  return asks;
}
/* The inputs are drawn anew only if others are asked for, so that nothing typed is lost. */
function drawFields() {
  const asks = asked(chosenTemplate()), now = picker.select.value + JSON.stringify(asks);
  if (now !== picker.drawn) {
    picker.drawn = now;
    picker.form.querySelector(".fields").replaceChildren(...asks.map(({ label, place, key }) => {
      const input = make("input"), field = make("label", "field", label + " ");
      input.type = "text"; input.required = true; input.autocomplete = "off";
      Object.assign(input.dataset, { place, key });
      field.append(input);
      return field;
    }));
  }
  preview();
}
function templateParams(template) {
  const processed_params = { body: {} }, given = [];
  for (const { dataset: { place, key }, value } of typedIn()) {
    if (place === "body") processed_params.body[key] = value;
    if (place === "header") processed_params.header = { ...processed_params.header, media_type: part(template, "HEADER").format.toLowerCase(), [key]: value };
    if (place === "button") {
      const { type, url } = part(template, "BUTTONS").buttons[key];
      given[key] = type === "URL" ? { type: "url", parameter: value, url, variables: braces(url) } : { type: "copy_code", parameter: value };
    }
  }
  if (given.length) processed_params.buttons = given;
  const { name, category, language } = template;
  return { name, category, language, namespace: null, processed_params };
}
/** Offers what can be picked of the inbox's templates. */
export function show(all, allowed) {
  picker.list = Array.isArray(all) ? all.filter(pickable) : [];
  by("templates").hidden = !allowed || !Array.isArray(all) || all.length === 0;
  offer(picker.select, picker.list.map(one => [`${one.name} ${one.language}`, `${one.name} · ${one.language}`]), t("none"), false);
  drawFields();
}
/** The template is on its way. */
export function sent() {
  typedIn().forEach(one => { one.value = ""; });
  preview();
  by("templates").open = false;
}
/** Draws the fields anew at the next look. */
export function forget() { picker.drawn = ""; }
/** Gives what is to be sent to `send`. */
export function start(send) {
  picker.select.onchange = drawFields;
  picker.form.oninput = preview;
  picker.form.onsubmit = event => {
    event.preventDefault();
    const template = chosenTemplate();
    if (template && by("conversation").value) send({ text: filledBody(template), template_params: templateParams(template) });
  };
}
