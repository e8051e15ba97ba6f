import assert from "node:assert/strict";
import { NONCE_BYTES, NonceTable } from "../../src/store/nonce_table.ts";

const id = (n: number) => {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, n);
  return bytes;
};

Deno.test("AUTH-06 each count of a nonce is taken once, also out of order and far behind", () => {
  const table = new NonceTable();
  const use = (count: number) => table.use(id(1), 1000, 0, count);
  assert.deepEqual([1, 1, 3, 2, 2, 3].map(use), [true, false, true, true, false, false]);
  assert.deepEqual([67, 2, 3, 4, 66, 66].map(use), [true, false, false, true, true, false]);
  assert.deepEqual([0xffffffff, 0xfffffffe, 68].map(use), [true, true, false]);
  assert.equal(table.use(id(2), 1000, 0, 1), true, "another nonce");
});

Deno.test("AUTH-06 a full table forgets the oldest, which is not good any more then", () => {
  const table = new NonceTable({ slots: 4 });
  for (let n = 1; n <= 4; n++) assert.equal(table.use(id(n), n * 10, 0, 1), true);
  assert.equal(table.use(id(5), 5, 0, 1), false, "older than all of them");
  assert.equal(table.use(id(6), 60, 0, 1), true);
  assert.equal(table.use(id(1), 10, 0, 2), false, "forgotten");
  assert.equal(table.use(id(2), 20, 0, 2), true);
  assert.equal(table.use(id(2), 20, 0, 1), false);
  assert.equal(table.use(id(7), 70, 40, 1), true, "those that are over make room");
  assert.equal(table.use(id(6), 60, 40, 1), false);
});

Deno.test("AUTH-06 a clock that is set back while the table is full shuts nobody out", () => {
  const buffer = new SharedArrayBuffer(NONCE_BYTES);
  const [table, other] = [new NonceTable({ buffer }), new NonceTable({ buffer })];
  for (let n = 0; n < 16; n++) assert.ok(table.use(id(n), 5000, 0, 1, 6000));
  const before = table.key;
  // All of their window are in use until the clock is there again.
  assert.equal(table.use(id(0), 1000, 0, 2, 1500), true, "what is known is counted");
  const late = new Uint8Array(id(0));
  late[15] = late[4] = 1;
  assert.equal(table.use(late, 1000, 0, 1, 1500), false);
  assert.notDeepEqual(table.key, before, "nothing from before is good any more");
  assert.deepEqual(other.key, table.key);
  assert.equal(other.use(late, 1400, 0, 1, 1500), true);

  const full = new NonceTable({ slots: 1 });
  assert.ok(full.use(id(1), 5000, 0, 1, 6000) && full.use(id(2), 5500, 0, 1, 6000));
  assert.equal(full.use(id(3), 1000, 0, 1, 1500), false, "those until 5000 were forgotten");
  assert.equal(full.use(id(3), 1400, 0, 1, 1500), true);
});

Deno.test("AUTH-06 all who open a memory share its key and counts; memory of its own does not", async () => {
  const buffer = new SharedArrayBuffer(64 + NONCE_BYTES);
  const [a, b] = [0, 1].map(() => new NonceTable({ buffer, byteOffset: 64 }));
  assert.deepEqual(a!.key, b!.key);
  assert.notDeepEqual(a!.key, new NonceTable().key);
  assert.ok(a!.key.some((byte) => byte !== 0));
  assert.deepEqual([a!.use(id(1), 1, 0, 1), b!.use(id(1), 1, 0, 1)], [true, false]);
  assert.throws(() => new NonceTable({ buffer: new SharedArrayBuffer(64) }), RangeError);

  const counts = 3000;
  const memory = new SharedArrayBuffer(NONCE_BYTES);
  const workers = [1, 2, 3].map(() =>
    new Worker(new URL("../_support/nonce_worker.ts", import.meta.url), { type: "module" })
  );
  try {
    const answers = await Promise.all(
      workers.map((worker) =>
        new Promise<{ taken: number[]; key: Uint8Array }>((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = (event) => reject(new Error(event.message));
          worker.postMessage({ buffer: memory, counts });
        })
      ),
    );
    for (const { key } of answers) assert.deepEqual(key, answers[0]!.key);
    const all = answers.flatMap(({ taken }) => taken);
    assert.equal(new Set(all).size, all.length, "no count was taken twice");
    assert.ok(all.includes(counts), "the last one was taken");
  } finally {
    for (const worker of workers) worker.terminate();
  }
});
