import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Validator } from "@seriousme/openapi-schema-validator";
import { type } from "arktype";
import * as v from "valibot";
import { z } from "zod";
import {
  Atila,
  Atilary,
  FILE,
  FILES,
  REQUIRED,
  type StandardSchema,
  UploadedFile,
} from "../../src/atila/mod.ts";
import { openBrowser, watchPage } from "../_support/browser.ts";
import { serveHandler } from "../_support/serve_handler.ts";
import { isMissing } from "../_support/services.ts";

const here = import.meta.url;

// deno-lint-ignore no-explicit-any -- a document of any shape is looked into
type Document = any;

/** The description of an app, after an independent validator has accepted it. */
async function described(app: Atila, point = "/"): Promise<Document> {
  const { statusCode, headers, data } = await app.makeClient(point).get("/docs/openapi.json");
  assert.equal(statusCode, 200, JSON.stringify(data));
  assert.match(headers.get("content-type")!, /^application\/json/);
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(data));
  assert.ok(valid, JSON.stringify(errors, null, 2));
  assert.equal(validator.version, "3.1");
  return data;
}

/** Names and places of the parameters of an operation. */
function parametersOf(operation: Document): string[] {
  return (operation.parameters ?? []).map((parameter: Document) =>
    `${parameter.in} ${parameter.name}${parameter.required ? "*" : ""} ${
      JSON.stringify(parameter.schema)
    }`
  );
}

Deno.test("OPS-17 defaults and rules become parameters and bodies", async () => {
  const app = new Atila(here);
  app.openapi("/docs", { title: "Shop", version: "2.1.0", description: "Sells **pets**" });
  app.route("/pets", {
    methods: ["GET"],
    args: { kind: "", limit: 10, sold: false, tag: [] },
    doc: { summary: "Find pets", description: "All of them", tags: ["pets"] },
  }, function findPets() {
    return "";
  });
  app.route("/pets", { methods: ["POST"], args: { name: REQUIRED, age: 1 } }, function addPet() {
    return "";
  });
  app.route("/pets/<int:id>/<path:rest>", { methods: ["DELETE"] }, function dropPet() {
    return "";
  });
  app.route("/price/<float:amount>", () => "");
  app.route("/open", { methods: ["PUT"], args: { a: null }, rest: true }, () => "");
  app.route("/upload", { methods: ["POST"], contentTypes: ["multipart/form-data"] }, () => "");
  app.route("/hidden", { doc: false }, () => "");
  app.route("/old", { doc: { deprecated: true, responses: { 410: "It is gone" } } }, () => "");
  const { info, servers, paths, components } = await described(app, "/shop/");

  assert.deepEqual(info, { title: "Shop", version: "2.1.0", description: "Sells **pets**" });
  assert.deepEqual(servers, [{ url: "/shop" }]);
  assert.deepEqual(Object.keys(paths), [
    "/pets",
    "/pets/{id}/{rest}",
    "/price/{amount}",
    "/open",
    "/upload",
    "/old",
  ]);
  const { get, post } = paths["/pets"];
  assert.deepEqual(
    [get.operationId, get.summary, get.description, get.tags],
    ["findPets", "Find pets", "All of them", ["pets"]],
  );
  assert.deepEqual(parametersOf(get), [
    'query kind {"type":"string","default":""}',
    'query limit {"type":"number","default":10}',
    'query sold {"type":"boolean","default":false}',
    'query tag {"type":"array","items":{"type":"string"},"default":[]}',
  ]);
  assert.deepEqual(post.requestBody.required, true);
  assert.deepEqual(Object.keys(post.requestBody.content), [
    "application/json",
    "application/x-www-form-urlencoded",
  ]);
  assert.deepEqual(post.requestBody.content["application/json"].schema, {
    type: "object",
    properties: { name: { type: "string" }, age: { type: "number", default: 1 } },
    required: ["name"],
    additionalProperties: false,
  });
  assert.deepEqual(Object.keys(post.responses), ["200", "400", "default"]);
  const fault = post.responses["400"].content["application/json"].schema.$ref;
  assert.deepEqual(components.schemas[fault.split("/").at(-1)].required, ["code", "message"]);
  assert.deepEqual(parametersOf(paths["/pets/{id}/{rest}"].delete), [
    'path id* {"type":"integer","minimum":0}',
    'path rest* {"type":"string","description":"The rest of the path, slashes included"}',
  ]);
  assert.deepEqual(parametersOf(paths["/price/{amount}"].get), [
    'path amount* {"type":"number","minimum":0}',
  ]);
  assert.equal(
    paths["/open"].put.requestBody.content["application/json"].schema.additionalProperties,
    undefined,
  );
  assert.deepEqual(Object.keys(paths["/upload"].post.requestBody.content), ["multipart/form-data"]);
  assert.equal(paths["/old"].get.deprecated, true);
  assert.deepEqual(paths["/old"].get.responses["410"], { description: "It is gone" });
});

Deno.test("OPS-17 declared files are part of a multipart form, and one of them is required", async () => {
  const app = new Atila(here);
  app.openapi("/docs");
  app.route("/album", {
    methods: ["POST"],
    args: { title: REQUIRED, cover: FILE, photos: FILES },
  }, (_was, { cover }) => cover.name);
  const { paths } = await described(app);
  const { required, content } = paths["/album"].post.requestBody;
  assert.equal(required, true);
  assert.deepEqual(content, {
    "multipart/form-data": {
      schema: {
        type: "object",
        properties: {
          title: { type: "string" },
          cover: { type: "string", format: "binary" },
          photos: { type: "array", items: { type: "string", format: "binary" } },
        },
        required: ["title", "cover"],
        additionalProperties: false,
      },
    },
  });
});

Deno.test("OPS-17 validators of Zod, Valibot and ArkType, what they accept and what is answered", async () => {
  interface Tree {
    name: string;
    children: Tree[];
  }
  const tree: z.ZodType<Tree> = z.object({
    name: z.string().describe("Its name"),
    get children() {
      return z.array(tree);
    },
  });
  const app = new Atila(here);
  app.route("/zod/<int:id>", {
    methods: ["GET"],
    args: z.object({
      id: z.number(),
      q: z.string().min(2).describe("What to find"),
      page: z.coerce.number().int().default(1),
      since: z.date().optional(),
      kind: z.enum(["cat", "dog"]).optional(),
    }),
    doc: { returns: z.object({ total: z.number().int(), found: z.array(z.string()) }) },
  }, () => "");
  app.route(
    "/zod-tree",
    { methods: ["POST"], args: tree, doc: { returns: tree } },
    function plant() {
      return "";
    },
  );
  app.route("/zod-defs", {
    methods: ["POST"],
    args: z.object({ tree, others: z.array(tree), link: z.literal("#").default("#") }),
  }, () => "");
  app.route("/valibot", {
    methods: ["GET"],
    args: v.object({ email: v.pipe(v.string(), v.email()), n: v.optional(v.number(), 3) }),
  }, () => "");
  app.route("/arktype", {
    methods: ["POST"],
    args: type({ email: "string.email", "n?": "number > 3", "when?": "Date" }),
  }, () => "");
  app.openapi("/docs");
  const { paths, components } = await described(app);

  const zod = paths["/zod/{id}"].get;
  assert.deepEqual(parametersOf(zod).map((text) => text.split(" ").slice(0, 2).join(" ")), [
    "path id*",
    "query q*",
    "query page",
    "query since",
    "query kind",
  ]);
  const [, q, page, since, kind] = zod.parameters;
  assert.deepEqual([q.schema.minLength, q.description], [2, "What to find"]);
  assert.deepEqual([page.schema.type, page.schema.default], ["integer", 1]);
  assert.deepEqual(since.schema, {}, "a date cannot be said in JSON Schema");
  assert.deepEqual(kind.schema.enum, ["cat", "dog"]);
  const answer = zod.responses["200"].content["application/json"].schema;
  assert.deepEqual(Object.keys(answer.properties), ["total", "found"]);

  const recursive = paths["/zod-tree"].post.requestBody.content["application/json"].schema.$ref;
  const target = components.schemas[recursive.split("/").at(-1)];
  assert.equal(target.properties.children.items.$ref, recursive, "it refers to itself");
  const { properties } = paths["/zod-defs"].post.requestBody.content["application/json"]
    .schema as Document;
  assert.ok(components.schemas[properties.tree.$ref.split("/").at(-1)]);
  assert.equal(properties.link.default, "#", "a value that looks like a reference is none");

  const [email, n] = paths["/valibot"].get.parameters;
  assert.deepEqual([email.schema.format, email.required, n.schema.default], ["email", true, 3]);
  const ark = paths["/arktype"].post.requestBody.content["application/json"].schema;
  assert.deepEqual(ark.required, ["email"]);
  assert.equal(ark.properties.n.exclusiveMinimum, 3);
});

Deno.test("OPS-17 authentication, sub-apps, services, defaults in the path, namesakes", async () => {
  const app = new Atila(here);
  app.users = new Map([["kim", "secret"]]);
  app.route("/free", () => "");
  app.route("/basic", { authenticate: "basic" }, () => "");
  app.route("/token", { authenticate: "bearer" }, () => "");
  app.route("/episode/<int:id>", { args: { id: 1 } }, function episode() {
    return "";
  });
  app.route("/same/<a>", { methods: ["GET"] }, function same() {
    return "";
  });
  app.route("/same/<b>", { methods: ["PUT"], args: { x: 1 } }, function same() {
    return "";
  });
  const part = new Atilary();
  part.route("/inside/<x>", () => "");
  app.mount(part, "/part");
  app.mountWith({
    mount: (app: Atila) =>
      void app.route("/s", function s() {
        return "";
      }),
  }, { point: "/service", ns: "service" });
  app.openapi("/docs");
  const { paths, components } = await described(app);
  assert.deepEqual(components.securitySchemes, {
    basic: { type: "http", scheme: "basic" },
    bearer: { type: "http", scheme: "bearer" },
  });
  assert.equal(paths["/free"].get.security, undefined);
  assert.deepEqual(paths["/basic"].get.security, [{ basic: [] }]);
  assert.ok(paths["/token"].get.responses["401"]);
  assert.deepEqual(
    [paths["/episode"].get.parameters, paths["/episode/{id}"].get.operationId],
    [undefined, "episode"],
  );
  assert.deepEqual(Object.keys(paths["/same/{a}"]), ["get", "put"], "one path, spelled once");
  assert.equal(paths["/same/{a}"].put.parameters[0].name, "a");
  assert.equal(paths["/same/{a}"].put.operationId, "same.put");
  assert.ok(paths["/part/inside/{x}"]);
  assert.equal(paths["/service/s"].get.operationId, "service.s");
});

Deno.test("OPS-17 routes that come later appear; validators without JSON Schema do no harm", async () => {
  const app = new Atila(here);
  app.openapi("/docs");
  assert.deepEqual((await described(app)).paths, {});
  const plain: StandardSchema = {
    "~standard": { version: 1, vendor: "own", validate: (value) => ({ value }) },
  };
  app.route("/own", { methods: ["POST"], args: plain }, () => "");
  app.route("/broken", {
    args: {
      "~standard": {
        ...plain["~standard"],
        jsonSchema: {
          input() {
            throw new Error("cannot say");
          },
        },
      },
    } as unknown as StandardSchema,
  }, () => "");
  const { paths } = await described(app);
  assert.deepEqual(paths["/own"].post.requestBody.content["application/json"].schema, {
    type: "object",
  });
  assert.ok(paths["/broken"].get);
  assert.throws(() => app.openapi("docs"), /write the path like/);
});

Deno.test("OPS-17 the page and the description are protected as the app is, or as they say", async () => {
  const app = new Atila(here);
  app.users = new Map([["kim", "secret"]]);
  app.authenticate = "basic";
  app.openapi("/docs");
  app.openapi("/open", { authenticate: null });
  const client = app.makeClient();
  const status = async (path: string) => (await client.get(path)).statusCode;
  for (const path of ["", "/openapi.json", "/browse.js", "/browse.css"]) {
    assert.equal(await status(`/docs${path}`), 401);
    assert.equal(await status(`/open${path}`), 200);
  }
  const { headers, text } = await client.get("/open");
  assert.match(headers.get("content-security-policy")!, /^default-src 'none'; script-src 'self'/);
  assert.doesNotMatch(text, /https?:\/\//, "nothing from elsewhere");
});

Deno.test({
  name: "OPS-17 the page in Chromium: find, read, try out, without any other server",
  ignore: isMissing("chromium"),
  // The browser keeps its own connections.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const app = new Atila(here);
    app.bearerHandler((_was, token) => token === "good" ? undefined : "invalid_token");
    app.route("/hello/<name>", {
      methods: ["GET"],
      args: { times: 1 },
      doc: { summary: "<b>Says hello</b>", tags: ["people"] },
    }, (was, { name, times }) => was.response.API({ text: `hello ${name}`.repeat(times) }));
    app.route("/add", {
      methods: ["POST"],
      authenticate: "bearer",
      args: z.object({ a: z.number().default(2), b: z.number().default(3) }),
      doc: { tags: ["sums"], returns: z.object({ sum: z.number() }) },
    }, (was, { a, b }) => was.response.API({ sum: a + b }));
    app.route("/album", {
      methods: ["POST"],
      args: { title: "", cover: FILE, photos: FILES },
      doc: { tags: ["sums"] },
    }, (was, { title, cover, photos }) => {
      assert.ok(cover instanceof UploadedFile);
      return was.response.API({ got: [title, cover.name, ...photos.map(({ name }) => name)] });
    });
    app.openapi("/docs", { title: "Shop & more", description: "<script>alert(1)</script>" });
    await using server = serveHandler((req, ctx) => {
      ctx.mountPoint = "/shop/";
      return app.handle(req, ctx);
    });
    const browser = await openBrowser();
    try {
      const page = await browser.newPage();
      const { complaints } = watchPage(page);
      await page.goto(`${server.url}/shop/docs`);
      await page.locator("details").first().waitFor();
      assert.equal(await page.locator("h1").innerText(), "Shop & more");
      assert.match(await page.locator("#about").innerText(), /<script>alert\(1\)<\/script>/);
      assert.deepEqual(await page.locator("main h2").allInnerTexts(), ["people", "sums"]);

      await page.locator("#find").fill("hello");
      assert.equal(await page.locator("details:visible").count(), 1);
      const hello = page.locator("details", { hasText: "/hello/{name}" });
      assert.match(
        await hello.locator("summary").innerText(),
        /GET\s*\/hello\/\{name\}\s+<b>Says hello<\/b>/,
      );
      await hello.locator("summary").click();
      assert.match(await hello.locator("table").first().innerText(), /times\s+query\s+number\s+1/);
      await hello.locator("input[name=name]").fill("Kim & Lee");
      await hello.locator("input[name=times]").fill("2");
      await hello.locator("button").click();
      await hello.locator(".result", { hasText: "200" }).waitFor();
      assert.match(
        await hello.locator(".result").innerText(),
        /"text": "hello Kim & Leehello Kim & Lee"/,
      );

      await page.locator("#find").fill("");
      const album = page.locator("details", { hasText: "/album" });
      await album.locator("summary").click();
      assert.match(await album.locator("table").first().innerText(), /cover \*\s+file/);
      const upload = (name: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from("x") });
      await album.locator("textarea").fill('{ "title": "Alps" }');
      await album.locator("input[name=cover]").setInputFiles(upload("c.txt"));
      await album.locator("input[name=photos]").setInputFiles([upload("1.txt"), upload("2.txt")]);
      await album.locator("button").click();
      await album.locator(".result", { hasText: "200" }).waitFor();
      assert.match(
        await album.locator(".result").innerText(),
        /Alps[^]*c\.txt[^]*1\.txt[^]*2\.txt/,
      );

      const add = page.locator("details", { hasText: "/add" });
      await add.locator("summary").click();
      assert.deepEqual(JSON.parse(await add.locator("textarea").inputValue()), { a: 2, b: 3 });
      await page.locator("#authorization").fill("Bearer good");
      await add.locator("button").click();
      await add.locator(".result", { hasText: "200" }).waitFor();
      assert.match(await add.locator(".result").innerText(), /"sum": 5/);
      assert.deepEqual(complaints, []);
    } finally {
      await browser.close();
    }
  },
});
