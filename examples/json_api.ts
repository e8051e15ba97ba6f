/** A JSON API in Atila: typed paths, defaults, required arguments, errors as JSON. */

import * as skitai from "@skitai/skitai";
import { Atila, REQUIRED } from "@skitai/skitai/atila";

const app = new Atila(import.meta.url);
const pets = new Map([[1, { id: 1, name: "Rex", kind: "dog" }]]);

// GET /apis/pets?kind=dog; without it, all of them.
app.route("/pets", { methods: ["GET"], args: { kind: "" } }, (was, { kind }) => {
  const found = [...pets.values()].filter((pet) => kind === "" || pet.kind === kind);
  return was.response.API({ pets: found });
});

// A name has to be sent, as JSON or as a form; without one the answer is 400 and says so.
app.route("/pets", { methods: ["POST"], args: { name: REQUIRED, kind: "dog" } }, (was, args) => {
  const pet = { id: pets.size + 1, name: String(args.name), kind: args.kind };
  pets.set(pet.id, pet);
  return was.response("201 Created", was.response.API(pet));
});

// `id` is a number here, and /apis/pets/rex is a 404 without reaching this function.
app.route("/pets/<int:id>", { methods: ["GET"] }, (was, { id }) => {
  const pet = pets.get(id);
  return pet ? was.response.API(pet) : was.response.throw("404 Not Found", `no pet ${id}`);
});

skitai.mount("/apis", app);
await skitai.run();
