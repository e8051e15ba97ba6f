/** A JSON API in Atila: typed paths, defaults, required arguments, errors as JSON. */

import * as skitai from "@skitai/skitai";
import { Atila, REQUIRED } from "@skitai/skitai/atila";

const app = new Atila(import.meta.url);
const pets = new Map([[1, { id: 1, name: "Rex", kind: "dog" }]]);

app.route("/pets", { methods: ["GET"], args: { kind: "" } }, (was, { kind }) => {
  const found = [...pets.values()].filter((pet) => kind === "" || pet.kind === kind);
  return was.response.API({ pets: found });
});

app.route("/pets", {
  name: "addPet",
  methods: ["POST"],
  args: { name: REQUIRED, kind: "dog" },
}, (was, { name, kind }) => {
  const pet = { id: pets.size + 1, name, kind };
  pets.set(pet.id, pet);
  return was.response("201 Created", was.response.API(pet));
});

app.route("/pets/<int:id>", { methods: ["GET"] }, (was, { id }) => {
  const pet = pets.get(id);
  if (pet === undefined) throw was.response.throw("404 Not Found", `there is no pet ${id}`);
  return was.response.API(pet);
});

skitai.mount("/apis", app);
await skitai.run();
