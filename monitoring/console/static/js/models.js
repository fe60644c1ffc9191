import { chart } from "./charts.js";
import { byId, h, setText, table, tiles } from "./dom.js";
import { count, fine, percent, words } from "./format.js";
import { follow } from "./live.js";

const MODELS = ["forest", "online", "blend"];
const NAMES = { forest: "Random forest", online: "Online model", blend: "Blend" };
const lines = MODELS.map((model) => ({ label: NAMES[model], colour: model, width: model === "blend" ? 2.25 : 1.5 }));

const drawLosses = chart(byId("losses"), {
  name: "Log loss by outcomes known",
  series: lines,
  x: "number",
  format: (value) => value.toFixed(3),
  range: (_, least, most) => (most === null ? [0, 1] : [Math.max(0, least - 0.02), most + 0.02]),
});
const drawCalibration = chart(byId("calibration"), {
  name: "Observed share by predicted score",
  series: [...lines.map((each) => ({ ...each, points: true })), { label: "Both agree", colour: "muted", dash: [4, 4], width: 1, points: false }],
  x: "score",
  format: (value) => value.toFixed(2),
  range: (_, __, most) => [0, Math.min(Math.max(most ?? 0, 0.2) * 1.1, 1)],
});
const drawWeights = chart(byId("weights"), {
  name: "Weight of the online model",
  height: 300,
  series: [{ label: "Online model", colour: "online", step: true }],
  format: (value) => `${Math.round(100 * value)} %`,
  range: () => [0, 1],
});

follow("models", (data) => {
  const isEmpty = data.labels === 0;
  byId("empty").hidden = !isEmpty || data.status.told_since === null;
  byId("content").hidden = isEmpty && data.status.told_since !== null;
  const forest = data.measures[0];
  tiles(byId("tiles"), [
    ["Forest", data.forest_version ? data.forest_version.slice(0, 8) : "–", "version of the newest action"],
    ["Outcomes learnt", count(data.labels_learnt), data.champion ? `by the online models; ${data.champion} serves` : "by the online models"],
    ["Online model's weight", `${Math.round(100 * data.online_weight)} %`, "of the blended score"],
    ["Reached 30 days past due", percent(forest.reached, forest.labels), `of the newest ${count(forest.labels)} outcomes`],
  ]);
  setText(byId("measures-note"), `Each prediction was made before its outcome was known. The newest ${count(data.window)} outcomes count; the online model is judged where it took part.`);
  table(
    byId("measures"),
    [["Model", false], ["Outcomes", true], ["Log loss", true], ["Brier score", true], ["ROC AUC", true]],
    data.measures.map((each) => [h("span", { class: "name", "data-model": each.model }, NAMES[each.model]), count(each.labels), fine(each.log_loss), fine(each.brier), fine(each.auc)]),
    "Quality of each model",
  );
  drawLosses([data.losses.labels, ...MODELS.map((model) => data.losses[`${model}_log_loss`])]);
  drawWeights([data.weights.time, data.weights.online_weight]);
  drawCalibration(calibration(data.measures));
  showLearnt(data.coefficients);
});

/** Every model's points over one axis of predicted scores, and the diagonal. */
function calibration(measures) {
  const observed = measures.map((each) => new Map(each.calibration.map((point) => [point.predicted, point.observed])));
  const most = Math.max(0.1, ...observed.flatMap((points) => [...points.keys()]));
  const x = [...new Set([0, most, ...observed.flatMap((points) => [...points.keys()])])].sort((a, b) => a - b);
  return [x, ...observed.map((points) => x.map((at) => points.get(at) ?? null)), x.map((at) => at)];
}

function showLearnt(coefficients) {
  const most = Math.max(...coefficients.map((each) => Math.abs(each.weight)), 1e-9);
  table(
    byId("learnt"),
    [["Feature", false], ["Weight", true], ["", false]],
    coefficients.map((each) => {
      const bar = h("i", { class: each.weight > 0 ? "up" : "down" });
      bar.style.width = `${(50 * Math.abs(each.weight)) / most}%`;
      return [words(each.feature), `${each.weight > 0 ? "+" : "−"}${Math.abs(each.weight).toFixed(2)}`, h("span", { class: "bar", "aria-hidden": "true" }, bar)];
    }),
    "Strongest weights of the online model",
  );
}
