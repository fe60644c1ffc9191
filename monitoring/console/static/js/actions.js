import { borrowerLink, byId, chip, h, setText } from "./dom.js";
import { count, money, score, when, words } from "./format.js";
import { follow } from "./live.js";

const form = byId("filters");
const rows = new Map();
let isPaused = false;
let newest = null;

restore();
const live = follow("actions", take, () => `?${asked()}`);

let waiting = 0;
form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(ask, 200);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  setText(byId("pause"), isPaused ? "Resume" : "Pause");
  if (newest) show(newest);
});

function asked() {
  return new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
}

function ask() {
  clearTimeout(waiting);
  history.replaceState(null, "", `/actions?${asked()}`);
  // A new question is answered, paused or not.
  rows.clear();
  live.reopen();
}

function restore() {
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (name in form.elements) form.elements[name].value = value;
  }
}

function take(data) {
  newest = data;
  if (!isPaused || rows.size === 0) show(data);
  else tellPaused(data);
}

function tellPaused(data) {
  const fresh = data.actions.filter((action) => !rows.has(action.action_id)).length;
  setText(byId("count"), `Paused. ${fresh ? `${count(fresh)} newer` : "Nothing newer"} so far.`);
}

function show(data) {
  if (isPaused && rows.size) return tellPaused(data);
  const body = byId("rows");
  const wasEmpty = rows.size === 0;
  const wanted = new Set(data.actions.map((action) => action.action_id));
  for (const [id, row] of rows) {
    if (!wanted.has(id)) rows.delete(id) && row.remove();
  }
  if (wasEmpty) body.replaceChildren();
  let before = body.firstChild;
  for (const action of data.actions) {
    const known = rows.get(action.action_id);
    if (known) {
      before = known.nextSibling;
      continue;
    }
    const row = rowOf(action, !wasEmpty);
    rows.set(action.action_id, row);
    body.insertBefore(row, before);
  }
  tellCount(data);
}

function tellCount(data) {
  const isFiltered = Boolean(asked());
  const shown = data.actions.length;
  const of = data.matching > shown ? ` of ${count(data.matching)}` : "";
  setText(byId("count"), `${count(shown)}${of} ${isFiltered ? "matching" : ""} actions, among the newest ${count(data.kept)}.`.replace("  ", " "));
  byId("content").hidden = shown === 0;
  byId("empty").hidden = shown > 0 || data.status.told_since === null;
  setText(byId("empty"), isFiltered ? "No action matches. Take a filter away to see more." : "No action yet: one comes with the first change of a borrower's strategy.");
}

function rowOf(action, isFresh) {
  const cell = (label, isNumber, ...content) => h("td", { "data-label": label, class: isNumber ? "right" : null }, ...content);
  return h(
    "tr",
    { class: isFresh ? "fresh" : null },
    cell("When", false, h("span", { class: "number" }, action.occurred_at.slice(0, 10)), h("small", {}, `decided ${when(action.decided_at)}`)),
    cell("Borrower", false, borrowerLink(action.borrower_id), h("small", {}, action.loan_id)),
    cell("Change", false, h("span", { class: "change" }, chip(action.previous_strategy), " → ", chip(action.strategy)), h("small", {}, `after ${words(action.event_type)}`)),
    cell("Score", false, meter(action.score, action.strategy)),
    cell("DPD", true, count(action.days_past_due)),
    cell("Missed", true, count(action.missed_count)),
    cell("Arrears", true, money(action.arrears)),
    cell("Why", false, h("span", { class: "why" }, action.reasons.join(" · ") || "no loan is open any more")),
  );
}

function meter(value, strategy) {
  if (value === null) return "–";
  const bar = h("i", { "data-strategy": strategy });
  bar.style.width = `${Math.round(100 * value)}%`;
  return h("span", { class: "meter" }, h("span", { class: "number" }, score(value)), h("span", { class: "track", "aria-hidden": "true" }, bar));
}
