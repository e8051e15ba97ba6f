/**
 * Refuses a response whose headers cannot be sent, without asking for its `headers`.
 *
 * Once somebody has looked at `headers`, the runtime sends a response in a longer way, which costs a sixth of
 * the throughput. What they are made of stands behind a symbol of its own; it is looked up by name and
 * tried out with the first response. Where the trial fails, in another runtime or a later version,
 * `headers` is asked: slower, never wrong.
 *
 * @module
 */

import { checkSendable, MAX_FIELDS, tooManyFields } from "./header_value.ts";

type Pairs = Iterable<readonly [name: string, value: string]>;
type Opaque = Record<symbol, { readonly headerList?: Pairs } | undefined>;

let pairsOf: ((res: Response) => Pairs) | undefined;

/**
 * Checks headers that somebody else has made.
 *
 * @throws {TypeError} for control characters, for names that are too long, and for too many fields. The
 * platform takes most of them, and the runtime ends the whole process when it comes to write one.
 */
export function checkHeaders(res: Response): void {
  let count = 0;
  for (const [name, value] of (pairsOf ??= choose())(res)) {
    count++;
    checkSendable(name, value);
  }
  if (count > MAX_FIELDS) throw tooManyFields(count);
}

function choose(): (res: Response) => Pairs {
  const symbol = Object.getOwnPropertySymbols(new Response()).find(({ description }) =>
    description === "response"
  );
  if (symbol === undefined) return asked;
  const peek = (res: Response) => (res as unknown as Opaque)[symbol]?.headerList ?? asked(res);
  return worksAsExpected(peek) ? peek : asked;
}

function asked(res: Response): Pairs {
  return res.headers;
}

function worksAsExpected(peek: (res: Response) => Pairs): boolean {
  const later = new Response("x");
  later.headers.append("a", "3");
  const all = [
    new Response("x", { headers: { a: "1" } }),
    new Response(null, { headers: [["b", "0"], ["a", "2"]] }),
    later,
    Response.json(1, { headers: { a: "4" } }),
    Response.redirect("http://localhost/5"),
  ];
  const values = all.map((res) => {
    const seen = [...peek(res)].map((pair) => Array.isArray(pair) ? pair[1] : undefined);
    return [...res.headers].every(([, value]) => seen.includes(value));
  });
  return values.every(Boolean);
}
