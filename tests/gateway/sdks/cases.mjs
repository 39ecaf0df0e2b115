// Cases of a client: functions named as sentences, run one after the other, all of them.

import { createRequire } from "node:module";
import { join } from "node:path";

export const gateway = process.env.GATEWAY;
/** The packages that `deploy/setup sdks` has installed. */
export const installed = createRequire(join(process.env.TEST_SDKS, "case"));
/** A picture that is larger than a buffer and smaller than the gateway's limit. */
export const picture = "iVBORw0KGgo" + "A0b9".repeat(50_000);

const cases = { answers: [], errors: [] };

export const answers = (name, run) => cases.answers.push({ name, run });
export const errors = (name, run) => cases.errors.push({ name, run });

/** What a call fails with, which must be of this class. */
export async function raises(kind, call, status) {
  try {
    await call();
  } catch (error) {
    if (error instanceof kind && (status === undefined || error.status === status)) return error;
    throw error;
  }
  throw new Error(`no ${kind.name}`);
}

/** Calls until the rate is used up. */
export async function until(kind, call) {
  for (let count = 0; count < 100; count++) {
    try {
      await call();
    } catch (error) {
      if (error instanceof kind) return error;
      throw error;
    }
  }
  throw new Error(`no ${kind.name} in 100 calls`);
}

export async function main() {
  for (const { name, run } of cases[process.argv[2]]) {
    try {
      await run();
      console.log("ok    ", name);
    } catch (error) {
      process.exitCode = 1;
      console.log("FAILED", name, error);
    }
  }
}
