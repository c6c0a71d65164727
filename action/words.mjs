// Numbers as people read them, and text of others made harmless in Markdown.

const fixed = (value) => value.toFixed(value < 10 ? 1 : 0);

/** Bytes: `352 MB`. */
export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, at] = [bytes, 0];
  for (; value >= 1000 && at < units.length - 1; at += 1) value /= 1000;
  return `${at === 0 ? Math.round(value) : fixed(value)} ${units[at]}`;
}

/** Seconds, as they pass: `1.4 s`. */
export const duration = (seconds) => `${fixed(seconds)} s`;

/** Seconds, as a time that has passed: `3 h`. */
export function age(seconds) {
  const [unit, length] = seconds >= 172_800 ? ['days', 86_400] : seconds >= 7200 ? ['h', 3600] : seconds >= 120 ? ['min', 60] : ['s', 1];
  return `${Math.floor(seconds / length)} ${unit}`;
}

/** `12,345` */
export const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ',');

/** `93 %` */
export const percent = (rate) => `${Math.round(rate * 100)} %`;

/** A code span that no content ends. */
export const code = (text) => `\`${String(text).replace(/[^ -_a-~]/g, '?') || ' '}\``;
