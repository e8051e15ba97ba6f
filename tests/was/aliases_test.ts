import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import {
  Alias,
  alias,
  aliases,
  type AliasOptions,
  AliasRegistry,
  type AliasType,
  DB_MONGODB,
  DB_PGSQL,
  DB_POSTGRESQL,
  DB_REDIS,
  DB_SQLITE3,
  findAlias,
  PROTO_HTTP,
  PROTO_HTTPS,
  PROTO_WS,
  PROTO_WSS,
  splitAliasPath,
} from "../../src/was/aliases.ts";
import { Was } from "../../src/was/was.ts";

Deno.test("ALI-01 ALI-12 the first definition of a name wins, the app's before the service's", () => {
  const first = alias("@ali-01", PROTO_HTTP, "10.0.0.1");
  equal(alias("ali-01", PROTO_HTTP, "10.0.0.2"), first);
  equal(aliases.get("ali-01"), first);
  equal(aliases.get("@ali-01"), first);
  const ofApp = new AliasRegistry();
  const own = ofApp.define("@ali-01", "http", "10.0.0.3");
  equal(findAlias("@ali-01", ofApp, aliases), own);
  equal(findAlias("@ali-01", undefined, aliases), first);
  ok(aliases.delete("@ali-01"));
});

Deno.test("ALI-01 what cannot be used is named", () => {
  const define = (...args: unknown[]) => () =>
    new Alias(...args as ConstructorParameters<typeof Alias>);
  throws(define("@", "http", "a"), /named "@"/);
  throws(define("@a/b", "http", "a"), /named "@a\/b"/);
  throws(define("@a", "gopher", "a"), /unknown type "gopher"; known are http, https, ws/);
  throws(define("@a", "http", "a", { roles: "x" }), /unknown option "roles"; known are role, /);
  throws(define("@a", "http", []), /no member/);
  throws(define("@a", "http", ""), /is empty/);
  throws(define("@a", "http", "a:99999"), /99999 is not a port/);
  throws(define("@a", "http", "a 0"), /weight/);
  throws(define("@a", "http", "http://a.test/"), /expected \[user:password@\]host/);
  throws(define("@a", "http", "us:%E0@a"), /percent-encoding/);
  throws(define("@a", "http", "us:secret@@"), (error: Error) => !error.message.includes("secret"));
});

Deno.test("ALI-02 types have constants and are accepted as text", () => {
  deepEqual(
    [PROTO_HTTP, PROTO_HTTPS, PROTO_WS, PROTO_WSS, DB_PGSQL, DB_POSTGRESQL],
    ["http", "https", "ws", "wss", "postgresql", "postgresql"],
  );
  deepEqual([DB_SQLITE3, DB_REDIS, DB_MONGODB], ["sqlite3", "redis", "mongodb"]);
  for (const type of ["http", "https", "ws", "wss", "postgresql", "redis", "mongodb"]) {
    equal(new Alias("a", type as AliasType, "a.test").type, type);
  }
});

Deno.test("ALI-03 ALI-04 ALI-06 members are read with user, port, database, in both forms", () => {
  const read = (type: AliasType, text: string) => {
    const { host, port, user, password, database, weight, node } = new Alias("@a", type, text)
      .members[0]!;
    return [host, port, user, password, database, weight, node];
  };
  deepEqual(read("http", "a.test"), ["a.test", 80, undefined, "", "", 1, "a.test:80"]);
  deepEqual(read("https", "a.test/base/ 3"), [
    ...["a.test", 443, undefined, "", "/base", 3, "a.test:443"],
  ]);
  deepEqual(read("http", "us%40er:p%3A%2Fw@a.test:8080"), [
    ...["a.test", 8080, "us@er", "p:/w", "", 1, "a.test:8080"],
  ]);
  deepEqual(read("http", "[::1]:8080"), ["::1", 8080, undefined, "", "", 1, "[::1]:8080"]);
  deepEqual(read("postgresql", "us:pw@db.test/shop 2"), [
    ...["db.test", 5432, "us", "pw", "shop", 2, "db.test:5432"],
  ]);
  deepEqual(read("postgresql", "db.test:5433/shop/us/p%2Fw"), [
    ...["db.test", 5433, "us", "p/w", "shop", 1, "db.test:5433"],
  ]);
  equal(read("redis", "r.test/0")[1], 6379);
  equal(read("mongodb", "m.test/db")[1], 27017);
});

Deno.test("ALI-05 weights: a member listed again only updates its own", () => {
  const { members } = new Alias("@a", "http", ["a.test 2", "b.test", "a.test 5"]);
  deepEqual(members.map((one) => [one.host, one.weight]), [["a.test", 5], ["b.test", 1]]);
});

Deno.test("ALI-05 WAS-18 the member with the least load for its weight is picked", () => {
  const group = new Alias("@a", "http", ["a.test 3", "b.test 1"]);
  const load = new Map<string, number>();
  for (let i = 0; i < 40; i++) {
    const { host } = group.pick((one) => load.get(one.host) ?? 0);
    load.set(host, (load.get(host) ?? 0) + 1);
  }
  deepEqual([load.get("a.test"), load.get("b.test")], [30, 10]);
  const equals = new Alias("@b", "http", ["a.test", "b.test", "c.test"]);
  const turns = Array.from({ length: 6 }, () => equals.pick(() => 0).host);
  deepEqual(turns, ["a.test", "b.test", "c.test", "a.test", "b.test", "c.test"]);
});

Deno.test("ALI-07 SQLite members are files", () => {
  const { members } = new Alias("@a", DB_SQLITE3, ["/tmp/a b.db", "data/c.db 2"]);
  deepEqual(members.map((one) => [one.database, one.node, one.weight]), [
    ["/tmp/a b.db", "/tmp/a b.db", 1],
    ["data/c.db", "data/c.db", 2],
  ]);
});

Deno.test("ALI-08 TLS by flag or by type", () => {
  deepEqual(
    [
      new Alias("@a", "http", "a.test").tls,
      new Alias("@a", "http", "a.test", { ssl: true }).tls,
      new Alias("@a", "https", "a.test").tls,
      new Alias("@a", "wss", "a.test", { ssl: false }).tls,
    ],
    [false, true, true, true],
  );
  equal(new Alias("@a", "http", "a.test", { ssl: true }).members[0]!.port, 443);
  for (const ssl of ["yes", 1, null, { ca: "x" }]) {
    const given = { ssl: ssl as never };
    throws(() => new Alias("@a", "http", "a.test", given), /^TypeError: Cannot define @a: ssl is/);
    const was = new Was();
    const databases = [
      () => was.postgresql("u:s3cret@a.test/x", given),
      () => was.redis("u:s3cret@a.test", 1, given),
      () => was.mongodb("u:s3cret@a.test", "x", given),
    ];
    for (const use of databases) {
      throws(use, /^TypeError: Cannot use \w+ u:\*\*\*@a.test.*: ssl is/);
    }
  }
});

Deno.test("ALI-11 an address is cut after the name; unknown names throw and list the known", () => {
  deepEqual(splitAliasPath("@a/b/c?d"), { name: "@a", rest: "/b/c?d" });
  deepEqual(splitAliasPath("@a?d"), { name: "@a", rest: "?d" });
  deepEqual(splitAliasPath("@a"), { name: "@a", rest: "" });
  const registry = new AliasRegistry();
  throws(() => findAlias("@x", registry), /"@x": no such alias; defined are none/);
  registry.define("@y", "http", "a");
  throws(() => findAlias("@x", registry), /defined are @y/);
});

Deno.test("ALI-01 ALI-03 what is wrong with an alias is said without its passwords", () => {
  const registry = new AliasRegistry();
  const define = (members: unknown, type = "postgresql", options = {}) => () =>
    registry.define("@masked", type as "http", members as string, options);
  const cases = ["u:s3c@ret@h", "u:s3cret@h:99999", "h:5432/db/user/s3cret 0", "h/db/u/s3cret/x 0"];
  for (const member of cases) {
    throws(define(member), ({ message }: Error) => {
      match(message, /^Cannot use ".*\*\*\*.*" as a member of @masked: /);
      return !/s3c|ret/.test(message);
    }, member);
  }
  throws(define(5), /Cannot define @masked: members are an address or a list of them/);
  throws(define(undefined), /members are an address or a list of them/);
  throws(define([5]), /Cannot use 5 as a member of @masked: it is no text/);
  throws(define("h", "http", { role: 5 }), /role and source are text/);
  for (const host of ["h?x", "h#x", "h\\x"]) throws(define(host, "http"), /expected \[user/);
});

Deno.test("OPS-01 OPS-02 OPS-04 codes and methods that would never be met are refused", () => {
  const define = (options: unknown) => () =>
    new Alias("@never", "http", "h", options as AliasOptions);
  throws(
    define({ eject: { codes: ["500"] } }),
    /eject.codes is a list of status codes, not \["500"\]/,
  );
  throws(define({ retry: { codes: 503 } }), /retry.codes is a list of status codes, not 503/);
  throws(
    define({ retry: { methods: ["post"] } }),
    /retry.methods is a list of methods in capitals/,
  );
  throws(
    define({ health: { status: "2xx" } }),
    /health.status is a code or a list of codes, not "2xx"/,
  );
  throws(define({ health: { status: [] } }), /health.status is a code or a list/);
  define({ retry: { methods: ["POST"], codes: [503] }, health: { status: [200, 204] } })();
});

Deno.test("ALI-08 WAS-22 certificates are text: a path or anything else is named at definition", () => {
  const pem = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";
  const define = (ca: unknown) => new Alias("@pem", "https", "h", { ca } as AliasOptions).caCerts;
  deepEqual(define(pem), [pem]);
  deepEqual(define([pem, pem]), [pem, pem]);
  equal(define(undefined), undefined);
  for (const ca of ["/etc/ssl/ca.pem", "", 5, [pem, "ca.pem"]]) {
    throws(() => define(ca), /Cannot define @pem: ca is the text of certificates in PEM form/);
  }
});

Deno.test("ALI-03 ALI-09 ALI-10 lists of nothing and paths with a query are mistakes", () => {
  const define = (member: string, options: AliasOptions = {}) => () =>
    new Alias("@slip", "http", member, options);
  for (const list of [",", " , "]) {
    throws(define("h", { source: list }), /Cannot define @slip: " ?, ?" names no source/);
    throws(define("h", { role: list }), /Cannot define @slip: " ?, ?" names no role/);
  }
  ok(define("h", { source: " ", role: "" })().allowsSource("10.0.0.1"));
  ok(define("h", { source: "10.0.0.1," })().allowsSource("10.0.0.1"));
  for (const member of ["h/x?y=1", "h/x#y"]) throws(define(member), /has no query/);
});
