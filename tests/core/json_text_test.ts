import { equal, throws } from "node:assert/strict";
import { jsonText } from "../../src/core/json_text.ts";

const DAY = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6));

Deno.test("RSP-09 data become the JSON that the runtime itself would make of them", () => {
  class Price {
    at = DAY;
    toJSON() {
      return { at: this.at.getTime() };
    }
  }
  const own = new Date(DAY);
  Object.assign(own, { toJSON: () => "own" });
  const sparse = [{ at: DAY }];
  sparse[3] = { at: DAY };
  const values: unknown[] = [
    ...[null, 1, "é", true, undefined, [], {}, DAY, [DAY], { at: DAY, none: undefined }],
    [{ id: 1, at: DAY }, { id: 2, at: null }, { id: 3, at: new Date(NaN) }],
    [{ id: 1 }, { id: 2, at: DAY }],
    { rows: [{ at: new Date(-1) }, { at: new Date(8.64e15) }, { at: new Date("0044-03-15") }] },
    { price: new Price(), own, list: [own, DAY], map: new Map([[1, DAY]]) },
    { at: DAY, toJSON: () => ({ at: DAY, seen: true }) },
    JSON.parse('{"__proto__":{"at":1},"b":2}'),
    { ["__proto__"]: DAY, a: DAY },
    Object.assign(Object.create(null), { at: DAY }),
    Object.assign(Object.create({ at: DAY }), { b: 1 }),
    sparse,
    {
      get at() {
        return DAY;
      },
    },
    [[[[[[[[[DAY]]]]]]]]],
  ];
  for (const value of values) equal(jsonText(value), JSON.stringify(value));
  for (let day = 0; day < 400; day++) {
    const at = new Date(Date.UTC(2023, 0, day, day % 24, day % 60, day % 59, day * 7 % 1000));
    equal(jsonText([at]), JSON.stringify([at]));
  }
  throws(() => jsonText({ a: 1n }), TypeError);
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  throws(() => jsonText(circle), TypeError);
});

Deno.test("RSP-09 whoever changes how dates are written is obeyed", () => {
  const { toJSON } = Date.prototype;
  try {
    Date.prototype.toJSON = () => "changed";
    equal(jsonText({ at: DAY }), '{"at":"changed"}');
  } finally {
    Date.prototype.toJSON = toJSON;
  }
  equal(jsonText({ at: DAY }), '{"at":"2026-01-02T03:04:05.006Z"}');
});
