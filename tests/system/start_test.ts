import assert from "node:assert/strict";

const MODULE = import.meta.resolve("../../mod.ts");

interface GraphModule {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier?: string };
    readonly isDynamic?: boolean;
  }[];
}

Deno.test("a start loads no module of Node and nothing from npm", async () => {
  const { modules, roots } = JSON.parse(await deno("info", "--json", MODULE)) as {
    modules: GraphModule[];
    roots: string[];
  };
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const reached = new Map<string, string>(roots.map((root) => [root, "the start"]));
  for (const specifier of reached.keys()) {
    for (const { code, isDynamic } of bySpecifier.get(specifier)?.dependencies ?? []) {
      const target = code?.specifier;
      if (isDynamic || target === undefined || reached.has(target)) continue;
      reached.set(target, specifier);
    }
  }
  assert.ok(reached.size > 100, `only ${reached.size} modules were reached`);
  assert.deepEqual([...reached].filter(([specifier]) => !specifier.startsWith("file:")), []);
});

Deno.test("no timer of the runtime is used before the first answer, nor Buffer", async () => {
  const output = await deno(
    "eval",
    `
    const used = [];
    for (const name of ["setTimeout", "setInterval", "setImmediate", "Buffer", "process"]) {
      const value = Object.getOwnPropertyDescriptor(globalThis, name);
      Object.defineProperty(globalThis, name, {
        configurable: true,
        get() {
          used.push(new Error(name).stack);
          return value.get === undefined ? value.value : value.get.call(globalThis);
        },
      });
    }
    const skitai = await import(${JSON.stringify(MODULE)});
    skitai.mount("/", () => new Response("Hello"));
    const { port } = await skitai.run({ port: 0, name: "start-test" });
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(new TextEncoder().encode("GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"));
    await connection.read(new Uint8Array(1024));
    // Lines of the server are on the same output.
    Deno.stdout.writeSync(new TextEncoder().encode("used: " + JSON.stringify(used) + "\\n"));
    Deno.exit();
    `,
  );
  assert.match(output, /^used: \[\]$/m);
});

async function deno(...args: string[]): Promise<string> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args,
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}
