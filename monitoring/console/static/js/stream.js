import { chart } from "./charts.js";
import { byId, setText, table, tiles } from "./dom.js";
import { count, milliseconds, rate, when, words } from "./format.js";
import { follow } from "./live.js";

const drawRates = chart(byId("rates"), {
  name: "Events a second",
  series: [
    { label: "Published", colour: "muted", dash: [5, 4] },
    { label: "Processed", colour: "accent" },
  ],
  format: rate,
});
const drawLatency = chart(byId("latency"), {
  name: "From event to action, milliseconds",
  series: [
    { label: "p50", colour: "accent" },
    { label: "p99", colour: "settlement" },
  ],
  format: (value) => count(value),
});
const drawLag = chart(byId("lag"), { name: "Lag, events", series: [{ label: "Lag", colour: "accent", step: true }], format: count });

follow("stream", (data) => {
  const { status, series } = data;
  const refused = Object.values(data.dead_letters).reduce((sum, number) => sum + number, 0);
  tiles(byId("tiles"), [
    ["Published", rate(status.published_per_second), "events a second"],
    ["Processed", rate(status.processed_per_second), "events a second"],
    ["Lag", count(status.lag), "events"],
    ["Workers", count(status.workers), data.group_state.toLowerCase()],
    ["Event to action, p50", milliseconds(data.p50_seconds), `p99 ${milliseconds(status.p99_seconds)}`],
    ["Dead letters", count(refused), data.replayed ? `${count(data.replayed)} sent again` : refused ? "see below" : "none"],
  ]);
  const inMilliseconds = (column) => column.map((value) => (value === null ? null : 1000 * value));
  drawRates([series.time, series.published, series.processed]);
  drawLatency([series.time, inMilliseconds(series.p50), inMilliseconds(series.p99)]);
  drawLag([series.time, series.lag]);
  setText(byId("group"), `The worker group is ${data.group_state.toLowerCase()} with ${count(status.workers)} member${status.workers === 1 ? "" : "s"}.`);
  table(
    byId("partitions"),
    [["Partition", false], ["End", true], ["Committed", true], ["Lag", true]],
    data.partitions.map((each) => [String(each.partition), count(each.end), count(each.committed), count(each.lag)]),
    "Partitions of the events topic",
  );
  showDeadLetters(data);
});

function showDeadLetters(data) {
  const reasons = Object.entries(data.dead_letters);
  byId("reasons").hidden = byId("dead").hidden = reasons.length === 0;
  setText(byId("dead-note"), reasons.length
    ? "Messages that could not be processed, by reason; the bytes themselves are shown by riskmon deadletter list."
    : "Every message could be processed.");
  table(byId("reasons"), [["Reason", false], ["Messages", true]], reasons.map(([reason, number]) => [words(reason), count(number)]), "Dead letters by reason");
  table(
    byId("dead"),
    [["When", false], ["Reason", false], ["What is wrong", false], ["Origin", false]],
    data.newest_dead_letters.map((each) => [when(each.filed_at), words(each.reason), each.detail, each.origin]),
    "Newest dead letters",
  );
}
