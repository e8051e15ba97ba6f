/**
 * What is measured of the app container: routing, hooks, sessions, templates, types of clients.
 *
 * @module
 */

import { checkTimes } from "./client_types.ts";
import { HERE, median } from "./harness.ts";
import { compare, JSON_PATH, LIKE_PEERS, type Row, type Scenario, skitai } from "./scenario.ts";
import { sessionApp } from "./subjects/session.ts";

/** What a script that times itself prints for a round, in nanoseconds. */
interface Timing {
  readonly clock: number;
  readonly processor: number;
}

/** A process that measures itself, once for each line it is given. */
class Timed implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;

  constructor(readonly name: string, script: string, ...args: string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", `subjects/${script}`, ...args],
      cwd: HERE,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Measures for that long. @throws {Error} when the process ended instead. */
  async round(seconds: number): Promise<Timing> {
    await this.#input.write(new TextEncoder().encode(`${seconds * 1000}\n`));
    let text = "";
    while (!text.endsWith("\n")) {
      const { value, done } = await this.#output.read();
      if (done) throw new Error(`${this.name} ended while it was measured`);
      text += value;
    }
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It ends with its input.
    await this.#input.close();
    await this.#child.status;
    await this.#output.cancel();
  }
}

/** Longest turn of a subject, in seconds: whatever else the machine does then falls on all alike. */
const TURN = 0.2;

/**
 * Medians of interleaved turns, as many as make up the rounds; one more round at the beginning warms up
 * and does not count.
 */
async function timings(
  subjects: readonly Timed[],
  rounds: number,
  seconds: number,
): Promise<Map<string, Timing>> {
  const all = new Map(subjects.map(({ name }) => [name, [] as Timing[]]));
  for (const subject of subjects) await subject.round(seconds);
  const turns = Math.ceil(rounds * seconds / TURN);
  for (let turn = 0; turn < turns; turn++) {
    for (const subject of subjects) all.get(subject.name)!.push(await subject.round(TURN));
  }
  const medians = ([name, values]: [string, Timing[]]) =>
    [name, {
      clock: median(values.map(({ clock }) => clock)),
      processor: median(values.map(({ processor }) => processor)),
    }] as const;
  return new Map([...all].map(medians));
}

/** Compares the render times of a page, through an app and by the engine alone. */
function rendering(engine: "nunjucks" | "Vento"): Scenario {
  return {
    name: `Rendering a page with ${engine}, through Atila ÷ by the engine alone`,
    run: async ({ rounds, seconds }) => {
      await using stack = new AsyncDisposableStack();
      const subjects = [`Atila with ${engine}`, `${engine} alone`].map((name) =>
        stack.use(new Timed(name, "render.ts", name))
      );
      const [own, alone] = [...(await timings(subjects, rounds, seconds)).values()];
      const shown = (nanoseconds: number) => `${(nanoseconds / 1000).toFixed(1)} µs`;
      return [
        { subject: subjects[0]!.name, value: shown(own!.clock), cpu: shown(own!.processor) },
        {
          subject: subjects[1]!.name,
          value: shown(alone!.clock),
          cpu: shown(alone!.processor),
          ratio: (own!.clock / alone!.clock).toFixed(2),
          cpuRatio: (own!.processor / alone!.processor).toFixed(2),
          wanted: "≤ 1.10",
        },
      ];
    },
  };
}

/** Everything measured of the app container. */
export const containerScenarios: readonly Scenario[] = [
  {
    name: "Finding one of 500 routes, time of a look-up (ours ÷ theirs)",
    run: async ({ rounds, seconds }) => {
      await using stack = new AsyncDisposableStack();
      const names = ["Atila", "find-my-way", "rou3", "Hono RegExpRouter", "Hono SmartRouter"];
      const subjects = [...names, "the loop alone"].map((name) =>
        stack.use(new Timed(name, "lookup.ts", name))
      );
      const taken = await timings(subjects, rounds, seconds);
      const loop = taken.get("the loop alone")!;
      const net = (name: string): Timing => ({
        clock: taken.get(name)!.clock - loop.clock,
        processor: taken.get(name)!.processor - loop.processor,
      });
      const own = net("Atila");
      return names.map((name): Row => {
        const { clock, processor } = net(name);
        const row = {
          subject: name,
          value: `${clock.toFixed(0)} ns`,
          cpu: `${processor.toFixed(0)} ns`,
        };
        return name === "Atila" ? row : {
          ...row,
          ratio: (own.clock / clock).toFixed(2),
          cpuRatio: (own.processor / processor).toFixed(2),
          wanted: "≤ 1.20",
        };
      });
    },
  },
  {
    name: "Hooks before, after and last, a session read, JSON; request log off",
    run: async (effort) => {
      const login = await sessionApp().makeClient().get("/login");
      const headers = { cookie: login.headers.getSetCookie()[0]!.split(";")[0]! };
      return await compare(effort, {
        name: "Skitai (Atila), hooks and session",
        command: skitai("session.ts", LIKE_PEERS),
        path: JSON_PATH,
        headers,
      }, [{
        name: "Skitai (Atila), a bare route",
        command: skitai("json.ts", LIKE_PEERS),
        path: JSON_PATH,
        headers,
        wanted: "≥ 0.60",
      }]);
    },
  },
  rendering("nunjucks"),
  rendering("Vento"),
  {
    name: "Checking the types of a client of 500 routes (ours ÷ theirs)",
    run: async ({ rounds }) => {
      const { nothing, declared, inferred } = await checkTimes(500, rounds);
      const shown = (values: number[]) => `${(median(values) / 1000).toFixed(2)} s`;
      return [
        { subject: "skitai client", value: shown(declared), wanted: "< 3 s" },
        {
          subject: "Hono hc",
          value: shown(inferred),
          ratio: (median(declared) / median(inferred)).toFixed(2),
        },
        { subject: "an empty program", value: shown(nothing) },
      ];
    },
  },
];
