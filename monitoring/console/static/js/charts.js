// Charts by uPlot, with a legend that tells the newest numbers and the same data as a table.

import { h, setText, table } from "./dom.js";

const uPlot = globalThis.uPlot;
const TABLE_ROWS = 40;
const DAY = 86_400;

const filled = (name) => `${colour(name)}b8`;
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const clockSeconds = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const monthYear = new Intl.DateTimeFormat("en-GB", { month: "short", year: "2-digit", timeZone: "UTC" });
const localDay = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** How x is written: on the axis (with the step between marks), and in legend and table. */
const SCALES = {
  time: {
    axis: (x, step) => (step >= DAY ? localDay : step >= 60 ? clock : clockSeconds).format(new Date(x * 1000)),
    full: (x) => {
      const at = new Date(x * 1000);
      return at.toDateString() === new Date().toDateString() ? clockSeconds.format(at) : `${localDay.format(at)} ${clockSeconds.format(at)}`;
    },
    label: "Time",
  },
  day: {
    axis: (x, step) => (step >= 28 * DAY ? monthYear : dayMonth).format(new Date(x * 1000)),
    full: (x) => new Date(x * 1000).toISOString().slice(0, 10),
    label: "Day",
  },
  number: { axis: (x) => x.toLocaleString("en"), full: (x) => x.toLocaleString("en"), label: "Outcomes" },
  score: { axis: (x) => x.toFixed(2), full: (x) => x.toFixed(2), label: "Predicted" },
};

/**
 * A chart in `host`. `series`: [{ label, colour, dash, width, step, points, gaps }]; `x` is a key of SCALES.
 * `stacked` piles the series up in their order; `range` fixes y; `paint` draws beneath the lines.
 * Returns a function that takes the columns, x first (null where nothing was measured).
 */
export function chart(host, { name, series, x = "time", height = 190, stacked = false, format, range, sync, paint }) {
  const scale = SCALES[x];
  const state = { columns: series.map(() => []).concat([[]]), at: null };
  const legend = legendOf(series);
  const drawing = h("div", { class: "plot", role: "img" });
  const details = h("details", { class: "data" }, h("summary", {}, "As a table"), h("div", { class: "scroll" }, h("table", { class: "numbers" })));
  drawing.style.height = `${height}px`;
  host.replaceChildren(legend.element, drawing, details);

  const plot = new uPlot(options(), [[]].concat(series.map(() => [])), drawing);
  new ResizeObserver(() => plot.setSize({ width: drawing.clientWidth, height })).observe(drawing);
  document.addEventListener("themechange", () => plot.redraw(false));
  details.addEventListener("toggle", fillTable);

  function options() {
    const axis = { stroke: () => colour("muted"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return {
      width: Math.max(drawing.clientWidth, 200),
      height,
      padding: [10, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: sync ? { key: sync } : undefined },
      scales: { x: { time: false }, y: { range: range ?? ((_, __, most) => [0, Math.max(most ?? 0, 1) * 1.08]) } },
      axes: [
        { ...axis, grid: { show: false }, size: 26, space: 70, values: (_, marks, __, ___, step) => marks.map((mark) => scale.axis(mark, step)), incrs: steps(x) },
        { ...axis, size: 46, space: 34, values: (_, marks) => marks.map((mark) => format(mark)) },
      ],
      series: [
        {},
        ...series.map((each, at) => ({
          stroke: () => colour(each.colour),
          width: each.width ?? (stacked ? 1 : 1.75),
          dash: each.dash,
          fill: stacked && at === 0 ? () => filled(each.colour) : undefined,
          paths: each.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
          points: each.points ? { show: true, size: 6, fill: () => colour(each.colour) } : { show: false },
          spanGaps: Boolean(each.points || each.gaps),
        })),
      ],
      bands: stacked ? series.slice(1).map((each, at) => ({ series: [at + 2, at + 1], fill: () => filled(each.colour) })) : undefined,
      hooks: {
        setCursor: [(u) => showAt(u.cursor.idx)],
        drawClear: paint ? [(u) => paint(u)] : [],
      },
    };
  }

  function showAt(index) {
    state.at = index;
    const rows = state.columns[0].length;
    const at = index ?? rows - 1;
    // A chart that is not over time has no newest point to tell of.
    if (index === null && x === "score") return legend.show("", series.map(() => ""));
    legend.show(
      rows ? scale.full(state.columns[0][at]) : "",
      series.map((_, each) => (rows ? numberAt(each, at, index === null) : null)).map((value) => (value === null ? "–" : format(value))),
    );
  }

  /** The number at a place; for the newest one the last that was measured. */
  function numberAt(each, at, isNewest) {
    const column = state.columns[each + 1];
    for (let place = at; place >= 0; place -= 1) {
      if (column[place] !== null && column[place] !== undefined) return column[place];
      if (!isNewest) return null;
    }
    return null;
  }

  function fillTable() {
    if (!details.open) return;
    const [xs, ...columns] = state.columns;
    const places = xs.map((_, at) => at).slice(-TABLE_ROWS).reverse();
    table(
      details.querySelector("table"),
      [[scale.label, false], ...series.map((each) => [each.label, true])],
      places.map((at) => [scale.full(xs[at]), ...columns.map((column) => (column[at] === null ? "–" : format(column[at])))]),
      `${name}, the newest ${places.length} of ${xs.length} points`,
    );
  }

  return function update(columns) {
    state.columns = columns;
    plot.setData(stacked ? piled(columns) : columns);
    showAt(state.at !== null && state.at < columns[0].length ? state.at : null);
    if (x === "score") {
      drawing.setAttribute("aria-label", `${name}, ${columns[0].length} points.`);
      return fillTable();
    }
    const newest = series.map((each, at) => `${each.label} ${numberAt(at, columns[0].length - 1, true) === null ? "–" : format(numberAt(at, columns[0].length - 1, true))}`);
    drawing.setAttribute("aria-label", columns[0].length ? `${name}. Newest: ${newest.join(", ")}.` : `${name}. No data yet.`);
    fillTable();
  };
}

function piled([x, ...columns]) {
  const sums = new Array(x.length).fill(0);
  return [x, ...columns.map((column) => column.map((value, at) => (sums[at] += value ?? 0)))];
}

function steps(x) {
  if (x === "day") return [1, 2, 7, 14, 28, 61, 91, 182, 365].map((days) => days * DAY);
  if (x === "time") return [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, DAY, 2 * DAY, 7 * DAY];
  return undefined;
}

function legendOf(series) {
  const at = h("span", { class: "at" });
  const values = series.map(() => h("b", {}));
  const entries = series.map((each, index) => {
    const swatch = h("i", { class: each.dash ? "swatch dashed" : "swatch" });
    swatch.style.color = `var(--${each.colour})`;
    return h("span", { class: "entry" }, swatch, `${each.label} `, values[index]);
  });
  return {
    element: h("div", { class: "legend", "aria-hidden": "true" }, entries, at),
    show(x, numbers) {
      setText(at, x);
      numbers.forEach((number, index) => setText(values[index], number));
    },
  };
}
