/**
 * Loaded by a command before it starts: once its standard error has said what SLUICE_STOP_AT matches, it stands
 * still until a byte comes on standard input. support/cli.ts sends that.
 */

import { readSync } from "node:fs";
import process from "node:process";

const stopAt = new RegExp(process.env.SLUICE_STOP_AT);
const write = process.stderr.write;
const cell = new Int32Array(new SharedArrayBuffer(4));
let said = "";

process.stderr.write = function (chunk, ...rest) {
  said += chunk;
  if (!stopAt.test(said)) return write.call(this, chunk, ...rest);
  process.stderr.write = write;
  const result = write.call(this, chunk, ...rest);
  for (let waiting = true; waiting;) {
    try {
      readSync(0, new Uint8Array(1));
      waiting = false;
    } catch (error) {
      // nothing has come, or a signal came first
      if (!/EAGAIN|EINTR|Interrupted|WouldBlock/.test(`${error.code} ${error}`)) throw error;
      Atomics.wait(cell, 0, 0, 5);
    }
  }
  return result;
};
