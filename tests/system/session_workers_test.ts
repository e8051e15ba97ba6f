import assert from "node:assert/strict";
import { join } from "node:path";
import { type ServiceProcess, until, Workshop } from "../_support/service_process.ts";

const SCRIPT = new URL("../_support/session_service.ts", import.meta.url).pathname;
const [OLD, NEW] = ["an old key ", "a new key "].map((key) => key.repeat(4)) as [string, string];

/** A service, its keys, and curl with cookie jars. */
class Sessions implements AsyncDisposable {
  #workshop: Workshop;
  #env: Record<string, string>;
  #service: ServiceProcess;
  #port: number;

  private constructor(workshop: Workshop, env: Record<string, string>, service: ServiceProcess) {
    this.#workshop = workshop;
    this.#env = env;
    this.#service = service;
    this.#port = 0;
  }

  static async start({ workers = 2 } = {}): Promise<Sessions> {
    const workshop = await Workshop.open();
    const env = { SESSION_KEYS: join(workshop.path, "keys.json"), SESSION_WORKERS: `${workers}` };
    await Deno.writeTextFile(env.SESSION_KEYS, JSON.stringify({ keys: [OLD] }));
    const service = workshop.start(SCRIPT, { flags: ["--unstable-net"], env });
    const sessions = new Sessions(workshop, env, service);
    sessions.#port = await service.port();
    return sessions;
  }

  /** Stops the service and starts it again. */
  async restart(): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
    this.#service = this.#workshop.start(SCRIPT, { flags: ["--unstable-net"], env: this.#env });
    this.#port = await this.#service.port();
  }

  keys(...keys: string[]): Promise<void> {
    return Deno.writeTextFile(this.#env.SESSION_KEYS!, JSON.stringify({ keys }));
  }

  jar(name: string): string {
    return join(this.#workshop.path, `${name}.jar`);
  }

  async copyJar(from: string, to: string): Promise<void> {
    await Deno.copyFile(this.jar(from), this.jar(to));
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.#port}${path}`;
  }

  /** One request with a jar, on a connection of its own, so that any worker may take it. */
  async ask(jar: string, path: string, { save = true } = {}): Promise<string> {
    const file = this.jar(jar);
    const { stdout } = await new Deno.Command("curl", {
      args: ["-s", "-m", "15", "-b", file, ...(save ? ["-c", file] : []), this.url(path)],
    }).output();
    return new TextDecoder().decode(stdout);
  }

  /** What each worker says about the visitor, without saving cookies. */
  async everywhere(jar: string, query = "", workers = 2): Promise<Record<string, Facts>> {
    const found: Record<string, Facts> = {};
    await until(
      async () => {
        const facts = JSON.parse(await this.ask(jar, `/who${query}`, { save: false })) as Facts;
        found[facts.worker] = facts;
        return Object.keys(found).length;
      },
      (size) => size === workers,
      "all workers answer",
    );
    return found;
  }

  /** Users that the workers see. */
  async users(jar: string): Promise<string[]> {
    return Object.values(await this.everywhere(jar)).map(({ user }) => user);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#workshop[Symbol.asyncDispose]();
  }
}

interface Facts {
  readonly worker: string;
  readonly user: string;
  readonly verified: boolean;
  readonly token: string;
  readonly jwt: string;
}

Deno.test("SES-01 SES-07 a cookie made by one worker is read by all, before and after a rotation", async () => {
  await using sessions = await Sessions.start();
  const maker = await sessions.ask("ann", "/login/ann");
  const before = await sessions.everywhere("ann");
  assert.deepEqual(Object.keys(before).sort(), ["W0", "W1"]);
  assert.ok(maker in before);
  assert.ok(Object.values(before).every(({ user, verified }) => user === "ann" && verified));

  await sessions.keys(NEW, OLD);
  assert.deepEqual(await sessions.users("ann"), ["ann", "ann"], "the old key still opens");
  const sealedBefore = await Deno.readTextFile(sessions.jar("ann"));
  await sessions.ask("ann", "/touch");
  const sealedAfter = await Deno.readTextFile(sessions.jar("ann"));
  const kid = (jar: string) => /sk\.sid\s+(\w+)\./.exec(jar)![1];
  assert.notEqual(kid(sealedBefore), kid(sealedAfter), "and the new one seals");
  assert.deepEqual(await sessions.users("ann"), ["ann", "ann"]);

  await sessions.keys(NEW);
  assert.deepEqual(await sessions.users("ann"), ["ann", "ann"]);
  await Deno.writeTextFile(sessions.jar("late"), sealedBefore);
  assert.deepEqual(await sessions.users("late"), ["", ""], "nobody knows the old key any more");
  assert.equal(await sessions.ask("ann", "/messages"), "", "sealed with the old key");
  await sessions.ask("ann", "/login/bob");
  assert.equal(await sessions.ask("ann", "/messages"), "Welcome, bob");
  assert.equal(await sessions.ask("ann", "/messages"), "");
});

Deno.test("SES-06 TOK-06 TOK-07 what ends in one worker has ended in all, and after a restart", async () => {
  await using sessions = await Sessions.start();
  await sessions.ask("ann", "/login/ann");
  await sessions.ask("bob", "/login/bob");
  await sessions.copyJar("ann", "thief");
  const { token, jwt } = JSON.parse(await sessions.ask("ann", "/token"));
  const query = `?token=${token}&jwt=${jwt}`;
  for (const facts of Object.values(await sessions.everywhere("thief", query))) {
    assert.deepEqual([facts.user, facts.token, facts.jwt], ["ann", "value", "ann"]);
  }
  await sessions.ask("ann", "/logout");
  await sessions.ask("bob", `/revoke?token=${token}`);
  await sessions.ask("bob", `/revoke?token=${jwt}`);
  for (let round = 0; round < 2; round++) {
    for (const facts of Object.values(await sessions.everywhere("thief", query))) {
      assert.deepEqual([facts.user, facts.token, facts.jwt], ["", "", ""]);
    }
    assert.deepEqual(await sessions.users("bob"), ["bob", "bob"], "others go on");
    if (round === 0) await sessions.restart();
  }
});

Deno.test("SES-06 a login ends what was copied before, in every worker", async () => {
  await using sessions = await Sessions.start();
  await sessions.ask("ann", "/login/guest");
  await sessions.copyJar("ann", "planted");
  await sessions.ask("ann", "/login/ann");
  assert.deepEqual(await sessions.users("planted"), ["", ""]);
  assert.deepEqual(await sessions.users("ann"), ["ann", "ann"]);
});

Deno.test("SES-01 CKY-02 the cookie jar of Python keeps sessions, and drops them at logout", async () => {
  await using sessions = await Sessions.start({ workers: 1 });
  const program = `
import http.cookiejar, json, sys, urllib.request, urllib.error
base = sys.argv[1]
jar = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
def get(path):
    try:
        return opener.open(base + path, timeout=15).read().decode()
    except urllib.error.HTTPError as error:
        return str(error.code)
get("/login/ann")
said = {"names": sorted(c.name for c in jar)}
said["flags"] = [[c.path, c.has_nonstandard_attr("HttpOnly"), c.expires is not None] for c in jar]
said["user"] = json.loads(get("/who"))["user"]
said["messages"] = get("/messages")
said["after"] = sorted(c.name for c in jar)
said["fits"] = [get("/set/2500"), json.loads(get("/who"))["user"]]
said["size"] = max(len(c.name) + len(c.value) for c in jar)
said["large"] = [get("/set/4000"), json.loads(get("/who"))["user"]]
get("/logout")
said["end"] = [len(jar), json.loads(get("/who"))["user"]]
print(json.dumps(said))
`;
  const output = await new Deno.Command("python3", { args: ["-c", program, sessions.url("")] })
    .output();
  assert.ok(output.success, new TextDecoder().decode(output.stderr));
  const said = JSON.parse(new TextDecoder().decode(output.stdout));
  assert.ok(said.size > 3500 && said.size < 4096, said.size);
  delete said.size;
  assert.deepEqual(said, {
    names: ["sk.mbox", "sk.sid"],
    flags: [["/", true, true], ["/", true, true]],
    user: "ann",
    messages: "Welcome, ann",
    after: ["sk.sid"],
    fits: ["W0", "ann"],
    large: ["500", "ann"],
    end: [0, ""],
  });
});
