/** Another app of the same service. */

import { Atila } from "@skitai/skitai/atila";

/** The app. */
export const app: Atila = new Atila(import.meta.url);

app.route("/", (was) => {
  const { greeter } = was as unknown as { greeter: { hello(): string } };
  return greeter.hello();
});
