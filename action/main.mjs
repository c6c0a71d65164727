// The step's own time: finds the program, then checks and marks; or, where
// `phase` is `after`, trims and judges.

import { BinaryError, findBinary } from './binary.mjs';
import { InputError, readInputs } from './inputs.mjs';
import { after, before } from './phases.mjs';
import { annotate, fail, saveState } from './runner.mjs';

try {
  const inputs = readInputs();
  const program = await findBinary(inputs.binary);
  if (program.wasi) {
    annotate(
      'notice',
      'gocachevet runs as a WASI module in Node, on one thread and slower. Only root, or a job with GOFLAGS=-modcacherw, can ' +
        "trim or repair the module cache that way: Go's extracted trees are read-only, which WASI cannot change.",
    );
  }
  if (inputs.phase === 'after') {
    await after(program, inputs);
  } else {
    await before(program, inputs);
    // What failed here has been told; the second half would judge half a job.
    if (inputs.phase === 'auto' && !process.exitCode) saveState('program', JSON.stringify(program));
  }
} catch (error) {
  fail(error instanceof InputError || error instanceof BinaryError ? error.message : (error.stack ?? String(error)));
}
