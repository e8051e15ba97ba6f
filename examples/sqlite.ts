/** SQLite off the event loop, with bound parameters, and a table made at start. */

import * as skitai from "@skitai/skitai";
import { Atila, REQUIRED } from "@skitai/skitai/atila";

const directory = await Deno.makeTempDir({ prefix: "skitai-notes-" });
skitai.alias("@notes", skitai.DB_SQLITE3, `${directory}/notes.sqlite3`);

const app = new Atila(import.meta.url);

app.mounted(async (was) => {
  await was.sqlite3("@notes").execute(
    "create table notes (id integer primary key, text text not null)",
  ).wait();
});

app.route("/notes", { methods: ["GET"] }, async (was) => {
  const notes = await was.sqlite3("@notes").execute("select * from notes order by id")
    .dataOrThrow();
  return was.response.API({ notes });
});

app.route(
  "/notes",
  { name: "add", methods: ["POST"], args: { text: REQUIRED } },
  async (was, { text }) => {
    const note = await was.sqlite3("@notes")
      .execute("insert into notes (text) values (?) returning *", [text])
      .oneOrThrow();
    return was.response("201 Created", was.response.API(note as Record<string, unknown>));
  },
);

skitai.mount("/", app);
await skitai.run();
