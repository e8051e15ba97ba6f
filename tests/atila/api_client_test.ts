import assert from "node:assert/strict";
import { join } from "node:path";
import { ApiError, createClient } from "@skitai/skitai/api-client";
import { z } from "zod";
import { Atila, FILE, FILES, REQUIRED } from "../../src/atila/mod.ts";
import { clientDeclarations } from "../../src/atila/openapi/declarations.ts";
import { serveHandler } from "../_support/serve_handler.ts";

const ROOT = new URL("../../", import.meta.url);

/** The declarations below, as `skitai client` writes them. */
interface Api {
  "GET /pets/<name>": {
    args: { name: string; full?: boolean; tag?: string[] };
    returns: { name: string; full: boolean; tag: string[] };
  };
  "POST /pets": { args: { name: string; age?: number }; returns: { saved: string } };
  "GET /files/<path:rest>": { args: { rest: string }; returns: string };
  "GET /nothing": { args: { a?: string }; returns: unknown };
  "PUT /upload/<int:id>": { args: { id: number; file: Blob }; returns: string };
  "DELETE /pets/<int:id>": { args: { id: number; why?: string }; returns: string };
}

function shop(): Atila {
  const app = new Atila(import.meta.url);
  app.route(
    "/pets/<name>",
    { methods: ["GET"], args: { full: false, tag: [] } },
    (was, args) => was.response.API(args),
  );
  app.route(
    "/pets",
    { methods: ["POST"], args: { name: REQUIRED, age: 1 } },
    (was, args) =>
      was.response.API({ saved: `${args.name} ${args.age + 1} ${was.request.getHeader("x-key")}` }),
  );
  app.route("/files/<path:rest>", { methods: ["GET"] }, (_was, { rest }) => `file ${rest}`);
  app.route("/nothing", { methods: ["GET"], args: { a: "" } }, (was) => was.response.API({ a: 1 }));
  app.route("/upload/<int:id>", { methods: ["PUT"] }, (was, { id }) => {
    return `${id} ${was.request.getContentType()}`;
  });
  app.route(
    "/pets/<int:id>",
    { methods: ["DELETE"], args: { why: "" } },
    (was, { id, why }) =>
      why === "" ? was.response.throw("409 Conflict", "say why") : `${id} ${why}`,
  );
  return app;
}

Deno.test("OPS-18 a client asks routes by their rules, with declared types", async () => {
  const app = shop();
  await using server = serveHandler((req, ctx) => {
    ctx.mountPoint = "/shop/";
    return app.handle(req, ctx);
  });
  const api = createClient<Api>(`${server.url}/shop/`, { headers: () => ({ "x-key": "k" }) });
  const pet = await api("GET /pets/<name>", { name: "Old Rex/ü", full: true, tag: ["a", "b"] });
  const name: string = pet.name;
  assert.deepEqual([name, pet.full, pet.tag], ["Old Rex/ü", true, ["a", "b"]]);
  assert.equal((await api("POST /pets", { name: "Kim", age: 2 })).saved, "Kim 3 k");
  assert.equal(await api("GET /files/<path:rest>", { rest: "a b/c?d" }), "file a b/c?d");
  assert.deepEqual(await api("GET /nothing"), { a: 1 });
  const file = new Blob(["x"], { type: "text/plain" });
  assert.equal(await api("PUT /upload/<int:id>", { id: 4, file }), "4 multipart/form-data");
  assert.equal(await api("DELETE /pets/<int:id>", { id: 4, why: "a&b" }), "4 a&b");
  await assert.rejects(api("DELETE /pets/<int:id>", { id: 4 }), (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.status, 409);
    assert.match(error.message, /DELETE .* 409 say why/);
    assert.equal((error.data as { code: number }).code, 40900);
    return true;
  });
  // @ts-expect-error an argument is missing
  await assert.rejects(api("GET /pets/<name>", {}), /"name" is missing/);
  // @ts-expect-error there is no such route
  await assert.rejects(api("GET /nowhere"), { status: 404 });
  const wrong = () => {
    // @ts-expect-error the number is no text
    void api("POST /pets", { name: 7 });
    // @ts-expect-error the answer has no such member
    void api("POST /pets", { name: "a" }).then(({ other }) => other);
  };
  assert.equal(typeof wrong, "function");
});

Deno.test("OPS-18 declarations say what rules, defaults and validators say", async () => {
  interface Tree {
    name: string;
    children: Tree[];
  }
  const tree: z.ZodType<Tree> = z.object({
    name: z.string(),
    get children() {
      return z.array(tree);
    },
  });
  const app = shop();
  app.route("/episode/<int:id>", { args: { id: 1, "odd name": 0 } }, function episode() {
    return "";
  });
  app.route("/tree", {
    methods: ["POST"],
    args: z.object({
      root: tree,
      kind: z.enum(["a", "b"]).nullable(),
      pair: z.tuple([z.string(), z.number()]),
      either: z.union([z.string(), z.array(z.union([z.number(), z.boolean()]))]).optional(),
      by: z.record(z.string(), z.number()),
      "what?": z.literal(3).describe("always */ three"),
    }),
    doc: { summary: "Plants", description: "a tree", returns: tree, deprecated: true },
  }, () => "");
  app.route("/album", { methods: ["POST"], args: { cover: FILE, photos: FILES } }, () => "");
  app.route("/hidden", { doc: false }, () => "");
  const problems: string[] = [];
  const text = await clientDeclarations([{ app, point: "/shop/" }], (p) => void problems.push(p));
  assert.deepEqual(problems, []);
  for (
    const part of [
      `  "GET /shop/pets/<name>": {\n    args: {\n      name: string;\n      full?: boolean;\n      tag?: string[];\n    };\n    returns: unknown;\n  };\n`,
      `"POST /shop/pets": {\n    args: {\n      name: string;\n      age?: number;\n    };`,
      `"GET /shop/files/<path:rest>": {\n    args: {\n      rest: string;\n      [name: string]: unknown;\n    };`,
      `"GET /shop/episode": {\n    args: {\n      "odd name"?: number;\n    };`,
      `"GET /shop/episode/<int:id>": {\n    args: {\n      id: number;\n      "odd name"?: number;\n    };`,
      `  /**\n   * Plants\n   * a tree\n   * @deprecated\n   */\n  "POST /shop/tree": {`,
      `      kind: "a" | "b" | null;\n      pair: [string, number`,
      `"POST /shop/album": {\n    args: {\n      cover: Blob;\n      photos?: Blob[];\n    };`,
      `either?: string | (number | boolean)[];`,
      `/** always *\\/ three */\n      "what?": 3;`,
    ]
  ) assert.ok(text.includes(part), `${part}\n--- is not in\n${text}`);
  assert.ok(!text.includes("hidden"));
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(directory, "api.d.ts"), text);
    await Deno.writeTextFile(
      join(directory, "use.ts"),
      `import type { Api } from "./api.d.ts";
       import { createClient } from "${new URL("src/atila/api_client.ts", ROOT)}";
       const api = createClient<Api>("http://h");
       const planted = await api("POST /shop/tree", {
         root: { name: "a", children: [{ name: "b", children: [] }] },
         kind: null, pair: ["x", 1], by: { a: 1 }, "what?": 3,
       });
       const name: string = planted.children[0]!.name;
       // @ts-expect-error a number is wanted
       await api("GET /shop/episode/<int:id>", { id: name });
       // @ts-expect-error nothing else is known here
       await api("GET /shop/episode", { other: 1 });
       await api("GET /shop/files/<path:rest>", { rest: "a", anything: 1 });`,
    );
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", join(directory, "use.ts")],
      cwd: directory,
      env: { NO_COLOR: "1" },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr) + text);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("OPS-18 skitai client writes to standard output and serves nothing", async () => {
  const directory = await Deno.makeTempDir();
  const write = (name: string, text: string) => Deno.writeTextFile(join(directory, name), text);
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        // The first run on a machine says what it downloads.
        "--quiet",
        "--unstable-net",
        "--config",
        new URL("deno.json", ROOT).pathname,
        new URL("cli.ts", ROOT).pathname,
        "client",
        ...args,
      ],
      cwd: directory,
      env: { NO_COLOR: "1" },
    }).output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, out: decode(stdout), err: decode(stderr) };
  };
  const imports = `import * as skitai from "@skitai/skitai";
    import { Atila } from "@skitai/skitai/atila";`;
  try {
    await write(
      "app.ts",
      `${imports}
       console.log("loading");
       export const app = new Atila(import.meta.url);
       app.mountWith({ async mount(app) { await 1; app.route("/late", () => ""); } });
       app.route("/a/<int:id>", () => "");
       export const other = new Atila(import.meta.url);
       other.route("/o", () => "");
       setInterval(() => {}, 1000);`,
    );
    await write(
      "start.ts",
      `${imports}
       const own = new Atila(import.meta.url);
       own.route("/own", () => "");
       skitai.mount("/", own);
       skitai.mount("/app", "./app.ts");
       skitai.mount("/fetch", () => new Response());
       await skitai.run({ port: 1 });`,
    );
    await write("none.ts", `export const x = 1;`);
    await write("broken.ts", `throw new Error("broken on purpose");`);

    const app = await run("app.ts", "--point", "/x");
    assert.deepEqual([app.code, app.err.trim()], [0, "loading"]);
    assert.match(app.out, /^\/\/ Made by/);
    assert.match(app.out, /"GET \/x\/a\/<int:id>": \{\n {4}args: \{\n {6}id: number;/);
    assert.match(app.out, /"GET \/x\/late"/);
    assert.match((await run("app.ts", "--export", "other")).out, /"GET \/o"/);

    const start = await run("start.ts");
    assert.equal(start.code, 0, start.err);
    assert.match(start.out, /"GET \/own"[\s\S]*"GET \/app\/a\/<int:id>"/);

    for (
      const [args, message] of [
        [["none.ts"], /neither exports an Atila app/],
        [["app.ts", "--export", "nobody"], /"nobody" is no Atila app/],
        [["app.ts", "--point", "x"], /--point: "x" has no slash at its start/],
        [["broken.ts"], /broken on purpose/],
        [["gone.ts"], /gone\.ts/],
      ] as const
    ) {
      const { code, out, err } = await run(...args);
      assert.deepEqual([code, out], [1, ""]);
      assert.match(err, message);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
