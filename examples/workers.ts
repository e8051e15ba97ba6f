/** Two workers on one port, watched: one that crashes, hangs or runs hot is replaced while the other serves. */

import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

const app = new Atila(import.meta.url);
app.route("/", (was) => was.response.API({ worker: was.workerId }));

skitai.setWorkerCriticalPoint({ cpuPercent: 90, continuous: 3, interval: 20 });
skitai.mount("/", app);
await skitai.run({ workers: 2 });
