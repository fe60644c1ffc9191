import { chart } from "./charts.js";
import { borrowerLink, byId, chip, h, setText, strategyName, table, tiles } from "./dom.js";
import { brief, count, milliseconds, percent, rate, score } from "./format.js";
import { follow } from "./live.js";

const PAST_DUE = ["1-29", "30-59", "60-89", "90+"];
const BUCKETS = ["current", ...PAST_DUE, "closed"];
const STRATEGIES = ["automated_reminder", "settlement_offer", "aggressive_recovery", "none"];

const drawPastDue = chart(byId("past-due"), {
  name: "Borrowers past due, by days past due",
  series: PAST_DUE.map((bucket, at) => ({ label: `${bucket} days`, colour: `bucket-${at + 1}` })),
  stacked: true,
  format: count,
});
const drawStrategies = chart(byId("strategies"), {
  name: "Borrowers by strategy, without reminders",
  series: [
    { label: "Settlement offer", colour: "settlement" },
    { label: "Aggressive recovery", colour: "recovery" },
  ],
  stacked: true,
  format: count,
});
const drawArrears = chart(byId("arrears"), { name: "Arrears, currency units", series: [{ label: "Arrears", colour: "accent" }], format: brief });

follow("overview", (data) => {
  const isLive = data.status.told_since !== null;
  byId("empty").hidden = !isLive || data.borrowers > 0;
  byId("content").hidden = isLive && data.borrowers === 0;
  showTiles(data);
  const series = data.series;
  drawPastDue([series.time, ...PAST_DUE.map((bucket) => series[bucket])]);
  drawStrategies([series.time, series.settlement_offer, series.aggressive_recovery]);
  drawArrears([series.time, series.arrears]);
  showMatrix(data.matrix);
  showNewest(data.actions);
});

const inBuckets = (matrix, buckets) => STRATEGIES.reduce((sum, strategy) => sum + buckets.reduce((row, bucket) => row + matrix[strategy][bucket], 0), 0);
const underStrategy = (matrix, strategy) => BUCKETS.reduce((sum, bucket) => sum + matrix[strategy][bucket], 0);

function showTiles(data) {
  const open = inBuckets(data.matrix, ["current", ...PAST_DUE]);
  const late = inBuckets(data.matrix, ["30-59", "60-89", "90+"]);
  const settlement = underStrategy(data.matrix, "settlement_offer");
  const recovery = underStrategy(data.matrix, "aggressive_recovery");
  tiles(byId("tiles"), [
    ["Active borrowers", count(open), data.is_full ? `only the first ${count(data.most_borrowers)} are counted` : `${count(data.borrowers)} in all`],
    ["30 days past due or more", count(late), `${percent(late, open)} of them`],
    ["Arrears", brief(data.arrears), "currency units"],
    ["Settlement offers", count(settlement), percent(settlement, open), "settlement_offer"],
    ["Aggressive recovery", count(recovery), percent(recovery, open), "aggressive_recovery"],
    ["Event to action, p99", milliseconds(data.status.p99_seconds), `${rate(data.status.processed_per_second)} events/s, lag ${count(data.status.lag)}`],
  ]);
}

function showMatrix(matrix) {
  const rows = STRATEGIES.map((strategy) => {
    const all = underStrategy(matrix, strategy);
    const cells = BUCKETS.map((bucket) => {
      const number = matrix[strategy][bucket];
      return h("span", { class: "heat", "data-heat": number ? Math.max(1, Math.round((5 * number) / all)) : 0 }, number ? count(number) : "·");
    });
    return [chip(strategy), ...cells, h("b", {}, count(all))];
  });
  const head = ["Strategy", ...BUCKETS, "All"].map((label, at) => [label, at > 0]);
  table(byId("matrix"), head, rows, "Borrowers by strategy and days past due");
}

function showNewest(actions) {
  const list = byId("newest");
  const key = actions.map((action) => action.action_id).join();
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(
    ...actions.map((action) =>
      h(
        "li",
        {},
        h("div", { class: "line" }, borrowerLink(action.borrower_id), h("span", { class: "change" }, `${strategyName(action.previous_strategy)} → `, chip(action.strategy)), h("span", { class: "number" }, score(action.score))),
        h("div", { class: "why" }, action.reasons.join(" · ") || "No loan is open any more"),
      ),
    ),
  );
  if (!actions.length) setText(list, "No action yet.");
}
