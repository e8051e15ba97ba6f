/**
 * A small forum: people join and log in, write with pictures, and get messages on the next page.
 * `deno run -A examples/forum/app.ts`, then open http://127.0.0.1:5000/.
 */

import * as skitai from "@skitai/skitai";
import { Atila, type AtilaWas, FILES, REQUIRED, type UploadedFile } from "@skitai/skitai/atila";
import { hashPassword, isPassword } from "./passwords.ts";
import { imageEnding } from "./pictures.ts";

const app = new Atila(import.meta.url);
// A key of your own lets logins survive a restart, and is needed with more than one worker.
app.securekey = Deno.env.get("SECUREKEY") ?? crypto.randomUUID();

// The path of a file would keep the forum; in memory it lasts as long as the worker.
skitai.alias("@forum", skitai.DB_SQLITE3, ":memory:");
const pictures = await Deno.makeTempDir({ prefix: "forum-pictures-" });

app.mounted((was) =>
  was.sqlite3("@forum").execute(`
    create table people (name text primary key, password text not null);
    create table topics (id integer primary key, title text not null);
    create table posts (id integer primary key, topic integer not null references topics,
                        author text not null references people, text text not null, picture text);
  `).wait()
);
app.umounted(() => Deno.remove(pictures, { recursive: true }));

// Whatever changes something has to come from a form of ours.
app.beforeRequest((was) => {
  if (was.request.method === "POST" && !was.csrfVerify(true)) {
    was.response.throw("403 Forbidden", "This form is too old or not ours");
  }
});

app.loginHandler((was) => {
  if (was.session.has("name")) return;
  return toPage(was, was.ab("login"), "Log in to write");
});

app.route("/", { name: "index" }, (was) => {
  was.g.topics = was.sqlite3("@forum").execute(
    `select topics.id, title, author, count(*) as posts
       from topics join posts on topic = topics.id group by topics.id order by topics.id desc`,
  );
  return was.render("index.html");
});

app.route("/topic/<int:id>", { name: "topic" }, (was, { id }) => {
  const db = was.sqlite3("@forum");
  was.g.topic = db.execute("select * from topics where id = ?", [id]);
  was.g.posts = db.execute("select * from posts where topic = ? order by id", [id]);
  return was.render("topic.html");
});

app.route("/topics", {
  name: "open",
  methods: ["POST"],
  use: [app.loginRequired],
  args: { title: REQUIRED, text: REQUIRED, picture: FILES },
}, async (was, { title, text, picture }) => {
  const { id } = await was.sqlite3("@forum")
    .execute("insert into topics (title) values (?) returning id", [title]).oneOrThrow();
  await write(was, Number(id), text, picture);
  return toPage(was, was.ab("topic", id), "Your topic is open");
});

app.route("/topic/<int:id>/posts", {
  name: "answer",
  methods: ["POST"],
  use: [app.loginRequired],
  args: { text: REQUIRED, picture: FILES },
}, async (was, { id, text, picture }) => {
  await was.sqlite3("@forum").execute("select 1 as found from topics where id = ?", [id])
    .oneOrThrow();
  await write(was, id, text, picture);
  return toPage(was, was.ab("topic", id), "Thank you for your answer");
});

app.route("/login", { name: "login", methods: ["GET"] }, (was) => was.render("login.html"));

app.route("/login", {
  methods: ["POST"],
  args: { name: REQUIRED, password: REQUIRED },
}, async (was, { name, password }) => {
  const [person] = await was.sqlite3("@forum")
    .execute("select * from people where name = ?", [name]).dataOrThrow();
  // The same work and the same words for a name nobody has.
  if (!await isPassword(String(password), String(person?.password ?? ""))) {
    return toPage(was, was.ab("login"), "Wrong name or password", "error");
  }
  return welcome(was, String(name));
});

app.route("/join", {
  name: "join",
  methods: ["POST"],
  args: { name: REQUIRED, password: REQUIRED },
}, async (was, { name, password }) => {
  if (!/^[\w-]{2,20}$/.test(String(name)) || String(password).length < 8) {
    return toPage(was, was.ab("login"), "2 to 20 letters, and 8 for the password", "error");
  }
  const rows = await was.sqlite3("@forum").execute(
    "insert into people values (?, ?) on conflict do nothing returning name",
    [name, await hashPassword(String(password))],
  ).dataOrThrow();
  if (rows.length === 0) return toPage(was, was.ab("login"), "That name is taken", "error");
  return welcome(was, String(name));
});

app.route("/logout", { name: "logout", methods: ["POST"] }, (was) => {
  was.session.expire();
  return toPage(was, was.ab("index"), "Good bye");
});

async function write(
  was: AtilaWas,
  topic: number,
  text: unknown,
  files: readonly UploadedFile[],
): Promise<void> {
  let picture = null;
  for (const file of files) {
    // What the browser says about a file proves nothing; a page under this roof could do anything.
    const ending = await imageEnding(file);
    if (ending === undefined) was.response.throw("415 Unsupported Media Type", "Not a picture");
    picture = `${crypto.randomUUID()}.${ending}`;
    await file.save(pictures, { name: picture });
  }
  await was.sqlite3("@forum").execute(
    "insert into posts (topic, author, text, picture) values (?, ?, ?, ?)",
    [topic, was.session.get("name"), text, picture],
  ).wait();
}

/** A new session for whoever has just proved to be somebody. */
function welcome(was: AtilaWas, name: string) {
  was.session.renew();
  was.session.set("name", name);
  return toPage(was, was.ab("index"), `Welcome, ${name}`);
}

/** To another page, where the message is shown. */
function toPage(was: AtilaWas, url: string, message: string, category = "info") {
  was.mbox.send(message, category);
  return was.redirect(url, "303 See Other");
}

skitai.mount("/", app);
skitai.mount("/static", "static");
skitai.mount("/pictures", pictures);
await skitai.run();
