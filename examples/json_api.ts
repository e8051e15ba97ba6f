/**
 * A JSON API in Atila: typed paths, defaults, a validator, errors as JSON, and a page to browse it at
 * http://127.0.0.1:5000/apis/docs.
 */

import { z } from "zod";
import * as skitai from "@skitai/skitai";
import { Atila } from "@skitai/skitai/atila";

const Pet = z.object({ name: z.string().min(1), kind: z.enum(["cat", "dog"]).default("dog") });

const app = new Atila(import.meta.url);
const pets = new Map([[1, { id: 1, name: "Rex", kind: "dog" }]]);

// A record of defaults: GET /apis/pets?kind=dog; without it, all of them.
app.route("/pets", {
  methods: ["GET"],
  args: { kind: "" },
  doc: { summary: "Find pets" },
}, (was, { kind }) => {
  const found = [...pets.values()].filter((pet) => kind === "" || pet.kind === kind);
  return was.response.API({ pets: found });
});

// A validator, of whichever library: what it refuses is answered 400, and says why.
app.route("/pets", {
  methods: ["POST"],
  args: Pet,
  doc: { summary: "Add a pet", responses: { 201: "The pet with its id" } },
}, (was, { name, kind }) => {
  const pet = { id: pets.size + 1, name, kind };
  pets.set(pet.id, pet);
  return was.response("201 Created", was.response.API(pet));
});

// `id` is a number here, and /apis/pets/rex is a 404 without reaching this function.
app.route("/pets/<int:id>", {
  methods: ["GET"],
  doc: { summary: "One pet", responses: { 404: "There is none of that id" } },
}, (was, { id }) => {
  const pet = pets.get(id);
  return pet ? was.response.API(pet) : was.response.throw("404 Not Found", `no pet ${id}`);
});

app.openapi("/docs", { title: "Pets" });
skitai.mount("/apis", app);
await skitai.run();
