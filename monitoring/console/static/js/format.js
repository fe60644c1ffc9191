// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const moment = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

export const count = (value) => whole.format(value);
export const rate = (value) => (value < 10 ? tenth : whole).format(value);
export const brief = (value) => (Math.abs(value) < 1_000 ? whole : compact).format(value);
export const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));
export const fine = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
export const percent = (part, all) => (all ? `${tenth.format((100 * part) / all)} %` : "–");
export const milliseconds = (seconds) => (seconds === null ? "–" : `${whole.format(1000 * seconds)} ms`);
export const time = (iso) => clock.format(new Date(iso));
export const words = (name) => name.replaceAll("_", " ");
export const sentence = (name) => name.charAt(0).toUpperCase() + words(name).slice(1);

/** A decimal string with its thousands apart. */
export const money = (text) => {
  const [units, cents] = text.split(".");
  return `${units.replace(/\B(?=(\d{3})+$)/g, ",")}.${cents}`;
};

/** A time with its day, if that is not today. */
export const when = (iso) => {
  const at = new Date(iso);
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : moment.format(at);
};
