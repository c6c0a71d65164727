// After the job's steps. Posts run last in, first out: this one before that of
// the step above it, which saves the cache.

import { readInputs } from './inputs.mjs';
import { after } from './phases.mjs';
import { fail, savedState } from './runner.mjs';

try {
  const program = savedState('program');
  if (program !== '') await after(JSON.parse(program), readInputs());
} catch (error) {
  fail(error.stack ?? String(error));
}
