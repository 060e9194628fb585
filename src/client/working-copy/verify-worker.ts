/** A thread of the fast part of a scan; see verify.ts. */
import { workerData } from "node:worker_threads";
import { openDirectoryReader } from "#native/directory.ts";
import { State } from "../state.ts";
import { verifyRuns, type VerifyJob } from "./verify.ts";

const { root, control, job } = workerData as { root: string; control: string; job: VerifyJob };
using state = State.open(control);
using reader = openDirectoryReader(root);
// Another base than the main thread's has other ids.
if (state.generation === job.generation) verifyRuns(state, reader, job);
