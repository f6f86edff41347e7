/** The entry of the thread that unpacks layers; dist/unpack-worker.cjs. See unpack-worker.ts for the other side. */

import { parentPort } from "node:worker_threads";
import { type UnpackJob, unpackFile } from "./unpack-file.ts";
import { type Answer, HASH, packError } from "./unpack-worker.ts";

parentPort?.on("message", async (job: UnpackJob) => {
  let answer: Answer;
  try {
    answer = { unpacked: await unpackFile(job, () => parentPort?.postMessage(HASH)) };
  } catch (error) {
    answer = { error: packError(error) };
  }
  parentPort?.postMessage(answer);
});
