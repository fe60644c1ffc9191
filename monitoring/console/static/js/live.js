// The page's stream of data, and what its state means to the reader.

import { byId, setText } from "./dom.js";
import { count, rate, time } from "./format.js";

const NAMES = { live: "Live", loading: "Loading", connecting: "Connecting", away: "Kafka away", waiting: "Waiting", failed: "Error", lost: "Console away" };

/** Follows `/live/<page>` while the page is visible, and calls `show` with each message. Returns a way to ask anew. */
export function follow(page, show, query = () => "") {
  let source = null;
  const close = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    close();
    const url = `/live/${page}${query()}`;
    source = new EventSource(url);
    source.onmessage = (message) => {
      const data = JSON.parse(message.data);
      tell(data.status);
      show(data);
      byId("main").setAttribute("aria-busy", String(data.status.state === "connecting"));
    };
    source.onerror = async () => {
      if (source.readyState !== EventSource.CLOSED) return lost();
      // A refused stream is not tried again by the browser.
      await tellRefusal(url);
      setTimeout(() => !document.hidden && open(), 2000);
    };
  };
  // Browsers allow few streams to one server: a page nobody sees gives its own up.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
  return { reopen: open, close };
}

function lost() {
  link("lost");
  banner("The console's own server does not answer. What you see may be old; the page tries again by itself.");
}

/** Says why a stream was refused, which the browser keeps to itself. */
async function tellRefusal(url) {
  const status = await fetch(url, { method: "HEAD" }).then((answer) => answer.status, () => 0);
  // The session has ended: in place of the page the server now gives the login form, which leads back here.
  if (status === 401) return location.reload();
  if (status !== 503) return lost();
  link("waiting");
  banner("As many live pages are open as the console serves. What you see may be old; close another one. The page tries again by itself.");
}

function tell(status) {
  link(status.state);
  banner(trouble(status));
  const parts = [];
  if (status.business_date) parts.push(`Business date ${status.business_date}`);
  if (status.state === "live") parts.push(`${rate(status.processed_per_second)} events/s`);
  if (status.told_since) parts.push(`history since ${time(status.told_since)}`);
  setText(byId("context"), parts.join("  ·  "));
}

function trouble(status) {
  const kafka = byId("main").dataset.bootstrap;
  switch (status.state) {
    case "away":
      return `Kafka at ${kafka} has not answered since ${time(status.since)}. What you see is from then; the console tries again by itself.`;
    case "waiting":
      return `Waiting: ${status.detail}`;
    case "failed":
      return `${status.detail} (Kafka at ${kafka})`;
    case "loading":
      return `Reading what was there before: ${count(status.backlog_read)} of ${count(status.backlog)} records.`;
    default:
      return "";
  }
}

function link(state) {
  const element = byId("link");
  element.dataset.state = state;
  setText(element, NAMES[state]);
}

function banner(text) {
  const element = byId("banner");
  setText(element, text);
  element.hidden = !text;
}
