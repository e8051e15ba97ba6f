/**
 * A small forum: people join and log in, write with pictures, and change or delete what they wrote.
 *
 * `deno run -A examples/forum/app.ts --data /srv/forum`, then open http://127.0.0.1:5000/. Without
 * `--data` it is gone when the server stops. `SECUREKEY` in the environment, 32 characters that nobody
 * knows, lets logins survive a restart, and is needed with more than one worker.
 */

import * as skitai from "@skitai/skitai";
import { Atila, type AtilaWas, FILES, REQUIRED } from "@skitai/skitai/atila";
import * as login from "@skitai/skitai/atila/services/login";
import { hashPassword, isPassword } from "./passwords.ts";
import { dropPicture, keepPicture } from "./pictures.ts";

const PAGE_SIZE = 10;
const MAX_TITLE = 100;
const MAX_TEXT = 10_000;

const [options] = skitai.argopt("", ["data="]);
const given = new Map(options).get("--data");
const data = given ?? await Deno.makeTempDir({ prefix: "forum-" });
const pictures = `${data}/pictures`;
await Deno.mkdir(pictures, { recursive: true });
skitai.alias("@forum", skitai.DB_SQLITE3, `${data}/forum.sqlite3`);

const app = new Atila(import.meta.url);
app.securekey = Deno.env.get("SECUREKEY") ?? crypto.randomUUID();
app.config.maxUploadFileSize = 2_000_000;
app.config.maxMultipartBodySize = 3_000_000;
// On the same disk a file is moved, not copied.
app.config.uploadDir = data;

app.templateGlobal("me", nameOf);
const clock = new Intl.DateTimeFormat("en-GB", {
  dateStyle: "medium",
  timeStyle: "short",
  timeZone: "UTC",
});
app.templateFilter("minute", (ms: number) => `${clock.format(ms)} UTC`);
app.templateFilter("iso", (ms: number) => new Date(ms).toISOString());

app.mounted((was) =>
  was.sqlite3("@forum").execute(`
    create table if not exists people
      (name text primary key collate nocase, password text not null);
    create table if not exists topics (id integer primary key, title text not null);
    create table if not exists posts
      (id integer primary key, topic integer not null references topics on delete cascade,
       author text not null references people, created integer not null, edited integer,
       text text not null, picture text);
    create index if not exists posts_of_topic on posts (topic, id);
  `).wait()
);
app.umounted(() => given === undefined ? Deno.remove(data, { recursive: true }) : undefined);

// Whatever changes something has to come from a form of ours.
app.beforeRequest((was) => {
  const { method } = was.request;
  if (method !== "GET" && method !== "HEAD" && !was.csrfVerify(true)) {
    throw new skitai.HttpError(403, "This form is too old or not ours");
  }
});
app.defaultErrorHandler((was, error) => was.render("error.html", { error }));

// -- people ------------------------------------------------------------------------------------------

app.mountWith(login, {
  ns: "account",
  template: "login.html",
  async verify(was: AtilaWas, name: string, password: string) {
    const [person] = await was.sqlite3("@forum")
      .execute("select name, password from people where name = ?", [name]).dataOrThrow();
    // The same work for a name nobody has.
    if (!await isPassword(password, person?.password as string | undefined)) return undefined;
    was.mbox.send(`Welcome, ${person!.name}`);
    return { name: person!.name };
  },
});

app.route("/join", {
  name: "join",
  methods: ["POST"],
  args: { name: REQUIRED, password: REQUIRED },
}, async (was, args) => {
  const [name, password] = [String(args.name), String(args.password)];
  if (!/^[\w-]{2,20}$/.test(name) || password.length < 8 || password.length > 200) {
    was.mbox.send("A name has 2 to 20 letters, a password at least 8 characters", "error");
    return was.redirect(was.ab("account.signin"), "303 See Other");
  }
  const rows = await was.sqlite3("@forum").execute(
    "insert into people values (?, ?) on conflict do nothing returning name",
    [name, await hashPassword(password)],
  ).dataOrThrow();
  if (rows.length === 0) {
    was.mbox.send("That name is taken", "error");
    return was.redirect(was.ab("account.signin"), "303 See Other");
  }
  was.session.renew();
  was.session.set("user", { name });
  was.mbox.send(`Welcome, ${name}`);
  return was.redirect(was.ab("index"), "303 See Other");
});

// -- topics ------------------------------------------------------------------------------------------

app.route("/", { name: "index", methods: ["GET"], args: { page: 1 } }, async (was, { page }) => {
  const db = was.sqlite3("@forum");
  was.g.topics = db.execute(
    `select topics.id, title, count(*) as posts, max(posts.created) as latest,
            (select author from posts where topic = topics.id order by id limit 1) as author
       from topics join posts on topic = topics.id
      group by topics.id order by max(posts.id) desc limit ? offset ?`,
    [PAGE_SIZE, offset(page)],
  );
  const { rows } = await db.execute("select count(*) as rows from topics").oneOrThrow();
  was.g.pages = pages(was, "index", page, Number(rows));
  return await was.render("index.html");
});

app.route("/topic/<int:id>", {
  name: "topic",
  methods: ["GET"],
  args: { page: 1 },
}, async (was, { id, page }) => {
  const db = was.sqlite3("@forum");
  was.g.topic = db.execute("select * from topics where id = ?", [id]);
  was.g.posts = db.execute("select * from posts where topic = ? order by id limit ? offset ?", [
    ...[id, PAGE_SIZE, offset(page)],
  ]);
  const { rows } = await db.execute("select count(*) as rows from posts where topic = ?", [id])
    .oneOrThrow();
  was.g.pages = pages(was, "topic", page, Number(rows));
  return await was.render("topic.html");
});

app.route("/topics", {
  name: "open",
  methods: ["POST"],
  use: [app.loginRequired],
  args: { title: REQUIRED, text: REQUIRED, picture: FILES },
}, async (was, { title, text, picture }) => {
  const { topic } = await write(was, picture, (name) => [
    { sql: "insert into topics (title) values (?)", params: [within(title, "title", MAX_TITLE)] },
    {
      sql: `insert into posts (topic, author, created, text, picture)
            values (last_insert_rowid(), ?, ?, ?, ?) returning topic`,
      params: [nameOf(was), Date.now(), within(text, "text", MAX_TEXT), name],
    },
  ]);
  was.mbox.send("Your topic is open");
  return was.redirect(was.ab("topic", topic), "303 See Other");
});

// -- posts -------------------------------------------------------------------------------------------

app.route("/topic/<int:id>/posts", {
  name: "answer",
  methods: ["POST"],
  use: [app.loginRequired],
  args: { text: REQUIRED, picture: FILES },
}, async (was, { id, text, picture }) => {
  await was.sqlite3("@forum").execute("select id from topics where id = ?", [id]).oneOrThrow();
  const { post } = await write(was, picture, (name) => [{
    sql: `insert into posts (topic, author, created, text, picture) values (?, ?, ?, ?, ?)
          returning id as post`,
    params: [id, nameOf(was), Date.now(), within(text, "text", MAX_TEXT), name],
  }]);
  const { rows } = await was.sqlite3("@forum").execute(
    "select count(*) as rows from posts where topic = ? and id <= ?",
    [id, post],
  ).oneOrThrow();
  was.mbox.send("Thank you for your answer");
  const last = Math.ceil(Number(rows) / PAGE_SIZE);
  return was.redirect(`${was.ab("topic", id, last)}#post-${post}`, "303 See Other");
});

app.route("/post/<int:id>", {
  name: "edit",
  methods: ["GET"],
  use: [app.loginRequired],
}, async (was, { id }) => await was.render("edit.html", { post: await ownPost(was, id) }));

app.route("/post/<int:id>", {
  name: "change",
  methods: ["POST"],
  use: [app.loginRequired],
  args: { text: REQUIRED },
}, async (was, { id, text }) => {
  const { topic } = await ownPost(was, id);
  await was.sqlite3("@forum").execute(
    "update posts set text = ?, edited = ? where id = ? and author = ?",
    [within(text, "text", MAX_TEXT), Date.now(), id, nameOf(was)],
  ).wait();
  was.mbox.send("Your post is changed");
  return was.redirect(`${was.ab("topic", topic)}#post-${id}`, "303 See Other");
});

app.route("/post/<int:id>/delete", {
  name: "remove",
  methods: ["POST"],
  use: [app.loginRequired],
}, async (was, { id }) => {
  const { picture } = await ownPost(was, id);
  await was.sqlite3("@forum").execute([
    "begin immediate",
    { sql: "delete from posts where id = ? and author = ?", params: [id, nameOf(was)] },
    "delete from topics where not exists (select 1 from posts where topic = topics.id)",
    "commit",
  ]).wait();
  await dropPicture(picture, pictures);
  was.mbox.send("Your post is deleted");
  return was.redirect(was.ab("index"), "303 See Other");
});

/** Name of whoever is logged in. */
function nameOf(was: AtilaWas): string | undefined {
  return (was.session.get("user") as { name: string } | undefined)?.name;
}

/** A post, if it is of whoever asks. */
async function ownPost(was: AtilaWas, id: number) {
  const post = await was.sqlite3("@forum")
    .execute(
      "select posts.*, title from posts join topics on topic = topics.id where posts.id = ?",
      [
        id,
      ],
    ).oneOrThrow();
  if (post.author !== nameOf(was)) throw new skitai.HttpError(403, "This is not your post");
  return post;
}

/** Writes all of it or nothing, the picture included; gives the row of the last statement. */
async function write(
  was: AtilaWas,
  files: Parameters<typeof keepPicture>[0],
  statements: (picture: string | null) => readonly { sql: string; params: unknown[] }[],
) {
  const picture = await keepPicture(files, pictures);
  try {
    return await was.sqlite3("@forum")
      .execute(["begin immediate", ...statements(picture), "commit"]).oneOrThrow();
  } catch (error) {
    await dropPicture(picture, pictures);
    throw error;
  }
}

/** A text of a form. */
function within(value: unknown, name: string, most: number): string {
  const text = String(value).trim();
  if (text.length > 0 && text.length <= most) return text;
  throw new skitai.HttpError(400, `The ${name} has 1 to ${most} characters`);
}

/** Rows before a page. */
function offset(page: number): number {
  if (Number.isInteger(page) && page >= 1 && page <= 1e9) return (page - 1) * PAGE_SIZE;
  throw new skitai.HttpError(404, "There is no such page");
}

/** What the links between pages need. */
function pages(was: AtilaWas, route: string, page: number, rows: number) {
  const last = Math.max(1, Math.ceil(rows / PAGE_SIZE));
  return {
    page,
    last,
    newer: page > 1 ? was.partial(route, { page: page - 1 }) : undefined,
    older: page < last ? was.partial(route, { page: page + 1 }) : undefined,
  };
}

skitai.secureHeaders({
  contentSecurityPolicy: "default-src 'none'; style-src 'self'; img-src 'self' data:; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
});
skitai.mount("/", app);
skitai.mount("/static", "static");
skitai.mount("/pictures", pictures);
await skitai.run();
