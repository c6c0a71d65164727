// What the runner gives an action and takes from it: inputs, outputs, state,
// the job summary and workflow commands.
//
// Everything is written synchronously to file descriptor 1, so that it keeps
// its place between the lines of the program that is run in between.

import { randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync, writeSync } from 'node:fs';

const { env } = process;

/** The folder of the checked-out project. */
export const workspace = () => env.GITHUB_WORKSPACE || process.cwd();

/** What happened, as the service tells it; empty where it is not told. */
export function event() {
  try {
    return JSON.parse(readFileSync(env.GITHUB_EVENT_PATH, 'utf8')) ?? {};
  } catch {
    return {};
  }
}

/** An input as given, or as action.yml's default says; '' if neither. */
export const input = (name) => (env[`INPUT_${name.toUpperCase()}`] ?? '').trim();

/** The same of a secret: no program that is started from here finds it. */
export function secretInput(name) {
  const value = input(name);
  delete env[`INPUT_${name.toUpperCase()}`];
  return value;
}

/** What an earlier phase of this step saved; '' if nothing. */
export const savedState = (name) => env[`STATE_${name}`] ?? '';

/** For the step's later phase. */
export const saveState = (name, value) => appendValue(env.GITHUB_STATE, name, value);

/** For the steps that follow. */
export const setOutput = (name, value) => appendValue(env.GITHUB_OUTPUT, name, value);

/** Adds Markdown to the job summary. */
export function addSummary(markdown) {
  if (env.GITHUB_STEP_SUMMARY) appendFileSync(env.GITHUB_STEP_SUMMARY, `${markdown}\n`);
}

/** A line of the log. */
export const say = (text) => writeSync(1, `${text}\n`);

/** An annotation: `level` is error, warning or notice. */
export function annotate(level, message) {
  const data = message.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  say(`::${level} title=gocachevet::${data}`);
}

/** Makes the step fail. */
export function fail(message) {
  annotate('error', message);
  process.exitCode = 1;
}

/** Runs `print`, whose output may hold hostile names: none of it is taken for a workflow command. */
export function withoutCommands(print) {
  const token = randomUUID();
  say(`::stop-commands::${token}`);
  try {
    return print();
  } finally {
    say(`::${token}::`);
  }
}

// A delimiter nobody can guess: a value cannot end itself early and set another name.
function appendValue(file, name, value) {
  if (!file) return;
  const end = `end-${randomUUID()}`;
  appendFileSync(file, `${name}<<${end}\n${value}\n${end}\n`);
}
