/**
 * A variable of the environment for one test file. The environment itself belongs to the process,
 * and so to all test files that run beside this one, and to the programs they start.
 *
 * @module
 */

/** Lets `Deno.env.get` of this isolate give a value until it is disposed of. */
export function overrideEnv(name: string, value: string): Disposable {
  const { env } = Deno;
  const { get } = env;
  env.get = (asked) => asked === name ? value : get.call(env, asked);
  return { [Symbol.dispose]: () => void (env.get = get) };
}
