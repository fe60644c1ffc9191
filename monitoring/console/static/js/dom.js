// Elements from data. Text only ever becomes a text node: whatever a topic says, it cannot become markup.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. False, null and undefined are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== false && child !== null && child !== undefined));
  return element;
}

/** Sets text only where it differs, so that selections and screen readers are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Fills a list of tiles: [label, value, note]. */
export function tiles(list, entries) {
  if (list.children.length !== entries.length) {
    list.replaceChildren(
      ...entries.map(([label]) => h("div", { class: "tile" }, h("dt", {}, label), h("dd", { class: "value" }), h("dd", { class: "sub" }))),
    );
  }
  entries.forEach(([label, value, note = "", tone = ""], at) => {
    const [term, main, sub] = list.children[at].children;
    setText(term, label);
    setText(main, value);
    setText(sub, note);
    main.classList.toggle("long", value.length > 10);
    if (tone) main.dataset.strategy = tone;
    else delete main.dataset.strategy;
  });
}

/** Fills a table: a head of [label, is number], and rows of cells, text or elements; the first cell heads its row. */
export function table(element, head, rows, caption = "") {
  const cell = (content, at) =>
    h(at ? "td" : "th", { scope: at ? null : "row", class: head[at][1] ? "right" : null }, content);
  element.replaceChildren(
    caption ? h("caption", { class: "unseen" }, caption) : "",
    h("thead", {}, h("tr", {}, head.map(([label, isNumber]) => h("th", { scope: "col", class: isNumber ? "right" : null }, label)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell)))),
  );
}

export const chip = (strategy) => h("span", { class: "chip", "data-strategy": strategy }, strategyName(strategy));

export const borrowerLink = (id) => h("a", { href: `/borrower?id=${encodeURIComponent(id)}`, class: "id" }, id);

const NAMES = {
  automated_reminder: "Reminder",
  settlement_offer: "Settlement offer",
  aggressive_recovery: "Aggressive recovery",
  none: "None",
};
export const strategyName = (strategy) => NAMES[strategy] ?? strategy;
