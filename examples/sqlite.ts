/** SQLite off the event loop, with bound parameters, and a table made at start. */

import * as skitai from "@skitai/skitai";
import { Atila, REQUIRED } from "@skitai/skitai/atila";

// The path of a file would keep the notes; in memory they last as long as the worker.
skitai.alias("@notes", skitai.DB_SQLITE3, ":memory:");

const app = new Atila(import.meta.url);

app.mounted((was) =>
  was.sqlite3("@notes").execute("create table notes (id integer primary key, text text)").wait()
);

app.route("/notes", { methods: ["GET"] }, async (was) => {
  const notes = was.sqlite3("@notes").execute("select * from notes order by id");
  return was.response.API({ notes: await notes.dataOrThrow() });
});

app.route("/notes", { methods: ["POST"], args: { text: REQUIRED } }, async (was, { text }) => {
  const note = was.sqlite3("@notes")
    .execute("insert into notes (text) values (?) returning *", [text]);
  return was.response("201 Created", was.response.API(await note.oneOrThrow()));
});

skitai.mount("/", app);
await skitai.run();
