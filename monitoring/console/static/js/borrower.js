import { chart, colour } from "./charts.js";
import { byId, chip, h, setText, strategyName, table, tiles } from "./dom.js";
import { count, money, score, sentence, words } from "./format.js";
import { follow } from "./live.js";

const SHOWN = 200;
const DAY = 86_400;
const borrowerId = new URLSearchParams(location.search).get("id")?.trim() ?? "";
const [SETTLEMENT_FROM, RECOVERY_ABOVE] = byId("content").dataset.thresholds.split(",").map(Number);
const COLOURS = { automated_reminder: "reminder", settlement_offer: "settlement", aggressive_recovery: "recovery", none: "none" };
const EMPTY = {
  none: "Type an id, or a part of one and choose from the suggestions. Every borrower on the other pages links here.",
  reading: "Reading the borrower's past from the topics …",
  unknown: `No borrower ${borrowerId} is known. Ids are case-sensitive.`,
};

let spans = [];
const drawDays = chart(byId("days"), {
  name: "Days past due",
  series: [{ label: "Days past due", colour: "ink", step: true }],
  x: "day",
  format: count,
  range: (_, __, most) => [0, Math.max(most ?? 0, 30) * 1.15],
  sync: "borrower",
  paint: paintStrategies,
});
const drawScores = chart(byId("scores"), {
  name: "Scores of the models",
  series: [
    { label: "Forest", colour: "forest", points: true, width: 1 },
    { label: "Online", colour: "online", points: true, width: 1 },
    { label: "Blend", colour: "blend", gaps: true, width: 2 },
  ],
  x: "day",
  format: (value) => value.toFixed(2),
  range: () => [0, 1],
  sync: "borrower",
  paint: paintThresholds,
});

suggest();
if (borrowerId) {
  byId("id").value = borrowerId;
  setText(document.querySelector("h1"), borrowerId);
  document.title = `${borrowerId} · riskmon`;
}
let told = null;
let state = borrowerId ? "reading" : "none";
follow("borrower", (data) => {
  state = data.state ?? state;
  if (data.borrower) show((told = data.borrower));
  byId("content").hidden = told === null;
  byId("empty").hidden = told !== null && state === "known";
  setText(byId("empty"), state === "failed" ? `The past cannot be read: ${data.detail ?? ""}` : (EMPTY[state] ?? ""));
}, () => `?id=${encodeURIComponent(borrowerId)}`);

function suggest() {
  let waiting = 0;
  byId("id").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const answer = await fetch(`/borrowers?like=${encodeURIComponent(byId("id").value)}`);
      if (answer.ok) byId("suggestions").replaceChildren(...(await answer.json()).map((id) => h("option", { value: id })));
    }, 200);
  });
}

function show(borrower) {
  const isClosed = borrower.delinquency_bucket === "closed";
  tiles(byId("tiles"), [
    ["Strategy", strategyName(borrower.strategy), `as of ${borrower.as_of}`, borrower.strategy],
    ["Score", score(borrower.score), isClosed ? "no loan is open" : "blend, worst loan"],
    ["Segment", borrower.segment ? sentence(borrower.segment) : "–", "kind of borrower"],
    ["Days past due", count(borrower.days_past_due), isClosed ? "closed" : `bucket ${borrower.delinquency_bucket}`],
    ["Arrears", money(borrower.arrears), "currency units"],
    ["Missed instalments", count(borrower.missed_count), `${count(borrower.loans.length)} loan${borrower.loans.length === 1 ? "" : "s"}`],
  ]);
  tellBegins(borrower);
  showCharts(borrower);
  showTimeline(borrower);
  showLoans(borrower.loans);
  showPredictions(borrower);
}

function tellBegins(borrower) {
  const note = byId("begins");
  const most = count(Number(note.dataset.most));
  setText(note, borrower.history_begins
    ? `Told from ${borrower.history_begins.slice(0, 10)} (Kafka's time) on: the newest ${most} records of the partition are searched, and the loan was opened before them. `
    : "Told from the loan's opening on. ");
  note.append("The strip shows the strategy in force. Scores are those that were recorded: predictions, actions, and what compaction has left of the state.");
}

const seconds = (day) => Date.parse(`${day}T00:00:00Z`) / 1000;

function showCharts(borrower) {
  const days = borrower.days;
  const end = Math.max(seconds(borrower.as_of), ...days.map((point) => seconds(point.day)));
  const begin = days.length ? seconds(days[0].day) : end;
  spans = strategySpans(borrower.actions, begin, end);
  const byDay = new Map();
  for (const each of borrower.scores) {
    const at = seconds(each.day);
    const known = byDay.get(at) ?? { forest: null, online: null, blend: null };
    for (const model of ["forest", "online", "blend"]) {
      // Of several loans, or scorings of a day, the riskiest decides.
      if (each[model] !== null) known[model] = Math.max(known[model] ?? 0, each[model]);
    }
    byDay.set(at, known);
  }
  // Both charts span the same days, so that the eye can go up and down.
  for (const edge of [begin, end]) if (!byDay.has(edge)) byDay.set(edge, { forest: null, online: null, blend: null });
  const scored = [...byDay.keys()].sort((a, b) => a - b);
  drawDays([days.map((point) => seconds(point.day)), days.map((point) => point.days_past_due)]);
  drawScores([scored, ...["forest", "online", "blend"].map((model) => scored.map((at) => byDay.get(at)[model]))]);
}

function strategySpans(actions, begin, end) {
  const found = [];
  let [from, strategy] = [begin, actions.length ? actions[0].previous_strategy : "automated_reminder"];
  for (const action of actions) {
    const at = Math.max(seconds(action.occurred_at.slice(0, 10)), from);
    found.push({ from, to: at, strategy });
    [from, strategy] = [at, action.strategy];
  }
  return [...found, { from, to: end + DAY, strategy }];
}

function paintStrategies(plot) {
  const { ctx, bbox } = plot;
  const height = 6 * devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const span of spans) {
    const left = plot.valToPos(span.from, "x", true);
    ctx.fillStyle = colour(COLOURS[span.strategy]);
    ctx.fillRect(left, bbox.top, plot.valToPos(span.to, "x", true) - left, height);
  }
  ctx.restore();
}

function paintThresholds(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.lineWidth = devicePixelRatio;
  for (const [threshold, name] of [[SETTLEMENT_FROM, "settlement"], [RECOVERY_ABOVE, "recovery"]]) {
    const y = plot.valToPos(threshold, "y", true);
    ctx.strokeStyle = colour(name);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function showTimeline(borrower) {
  const entries = [
    ...borrower.events.map((event) => ({ at: event.published_at, order: 0, item: () => eventItem(event) })),
    ...borrower.actions.map((action) => ({ at: action.decided_at, order: 1, item: () => actionItem(action) })),
  ].sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || b.order - a.order);
  const shown = entries.slice(0, SHOWN);
  setText(byId("timeline-note"), `Events and actions, newest first${entries.length > SHOWN ? `: ${SHOWN} of ${count(entries.length)}` : ""}. Dates are those of the business.`);
  byId("timeline").replaceChildren(...shown.map((entry) => entry.item()));
}

const EVENT_NAMES = { loan_opened: "Loan opened", payment_received: "Payment", emi_missed: "Missed instalment", payment_reversed: "Payment reversed", loan_closed: "Loan closed", unreadable: "Unreadable" };

function eventItem(event) {
  const isApplied = event.fate === "applied";
  return h(
    "li",
    { "data-kind": isApplied ? event.type : "refused" },
    h("time", { class: "number" }, (event.occurred_at ?? event.published_at).slice(0, 10)),
    h("div", {},
      h("b", {}, EVENT_NAMES[event.type] ?? words(event.type)), " ", event.text,
      !isApplied && h("span", { class: "fate" }, words(event.fate), event.detail && `: ${event.detail}`),
    ),
  );
}

function actionItem(action) {
  return h(
    "li",
    { "data-kind": "action" },
    h("time", { class: "number" }, action.occurred_at.slice(0, 10)),
    h("div", {},
      h("span", { class: "change" }, chip(action.previous_strategy), " → ", chip(action.strategy)), " ",
      h("span", { class: "number" }, action.score === null ? "" : `score ${score(action.score)} (forest ${score(action.forest_score)}, online ${score(action.online_score)})`),
      h("div", { class: "why" }, action.reasons.map((reason) => reason.text).join(" · ") || "no loan is open any more"),
    ),
  );
}

function showLoans(loans) {
  byId("loans").replaceChildren(...loans.map((loan) => {
    const facts = [
      ["Status", `${words(loan.status)} since ${loan.status_since}`],
      ["Days past due", `${count(loan.days_past_due)} (worst ${count(loan.worst_days_past_due)})`],
      ["Arrears", money(loan.arrears)],
      ["Instalments", `${loan.instalments_paid} paid of ${loan.instalments_due} due, ${loan.tenure_months} in all`],
      ["Missed", count(loan.missed_count)],
      ["Instalment", money(loan.emi)],
      ["Outstanding", `${money(loan.outstanding_principal)} of ${money(loan.principal)}`],
      ["Rate", `${loan.annual_rate_percent} %`],
      ["Opened", loan.opened_on],
    ];
    return h("div", { class: "loan" }, h("h3", { class: "id" }, loan.loan_id), h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  }));
}

function showPredictions(borrower) {
  const known = borrower.outcomes.map((each) => [each, each.reached_30_days_past_due ? h("b", { class: "bad" }, "yes") : "no"]);
  const open = borrower.pending_predictions.map((each) => [each, h("small", {}, `known ${each.known_on}`)]);
  table(
    byId("predictions"),
    [["Due", false], ["Forest", true], ["Online", true], ["Blend", true], ["30 DPD?", true]],
    [...known, ...open].reverse().map(([each, outcome]) => [each.due_on, score(each.forest_score), score(each.online_score), score(each.blended_score), outcome]),
    "Predictions, newest first",
  );
}
