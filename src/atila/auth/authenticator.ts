/**
 * Lets requests in, or asks for who they come from: basic, digest and bearer.
 *
 * @module
 */

import { HttpError } from "../../core/errors.ts";
import { nonces } from "../../was/nonces.ts";
import type { AtilaWas } from "../was.ts";
import { parseAuthorization, quoted } from "./authorization_header.ts";
import { equalSecrets } from "./constant_time.ts";
import { type DigestAlgorithm, DigestAuthority } from "./digest.ts";
import type { AuthScheme } from "./scheme.ts";
import {
  type KnownUser,
  readRecord,
  type UserCollection,
  type UserRecord,
} from "./user_records.ts";

/** What an app decides. */
export interface AuthSettings {
  /** Text in the challenge. */
  readonly realm: string;
  /** Users by name. */
  readonly users: UserCollection | undefined;
  /** The only user. @deprecated */
  readonly user: string | undefined;
  /** Password of the only user. @deprecated */
  readonly password: string | undefined;
  /** Algorithms of digest, the preferred one first. */
  readonly digestAlgorithms: readonly DigestAlgorithm[];
  /** How long a digest nonce is good, in seconds. */
  readonly nonceSeconds: number;
  /** Finds users where there is no collection. */
  readonly findUser: ((was: AtilaWas, username: string) => unknown) | undefined;
  /** Judges bearer tokens. */
  readonly judgeToken: ((was: AtilaWas, token: string) => unknown) | undefined;
}

/** Checks the credentials of requests to one app. */
export class Authenticator {
  readonly #settings: () => AuthSettings;
  readonly #digest: DigestAuthority;

  /** Makes one; the digest settings are read now, the others at each request. */
  constructor(settings: () => AuthSettings) {
    this.#settings = settings;
    const { digestAlgorithms, nonceSeconds } = settings();
    this.#digest = new DigestAuthority({
      algorithms: digestAlgorithms,
      nonceSeconds,
      nonces: nonces(),
    });
  }

  /**
   * Checks a request. Resolves to nothing when it may go on, with `ctx.user` set, or to the 401 to
   * answer. Fails when the app cannot tell, for example because no users are set.
   */
  check(was: AtilaWas, scheme: AuthScheme): Promise<HttpError | undefined> {
    switch (scheme) {
      case "basic":
        return this.#basic(was);
      case "digest":
        return this.#checkDigest(was);
      case "bearer":
        return this.#bearer(was);
      default:
        // Nothing that is not known lets anybody in.
        throw new TypeError(`Cannot authenticate by ${JSON.stringify(scheme)}`);
    }
  }

  async #basic(was: AtilaWas): Promise<HttpError | undefined> {
    const { realm } = this.#settings();
    const refused = () => challenge([`Basic realm=${quoted(realm)}`]);
    const credentials = parseAuthorization(was.parts!.req.headers.get("authorization"));
    const pair = credentials?.scheme === "basic" ? decodePair(credentials.rest) : undefined;
    if (pair === undefined) return refused();
    const user = await this.#lookup(was, pair.name);
    if (user?.encrypted) {
      throw new Error(
        `Basic authentication cannot check user ${JSON.stringify(pair.name)}: ` +
          "the stored password is a hash for digest authentication",
      );
    }
    const right = equalSecrets(pair.password, user?.password ?? `${pair.password}\0`);
    if (!right || user === undefined) return refused();
    was.ctx!.user = { name: pair.name, realm, info: user.info };
    return undefined;
  }

  async #checkDigest(was: AtilaWas): Promise<HttpError | undefined> {
    const { realm } = this.#settings();
    const { req } = was.parts!;
    const { path, query } = was.ctx!;
    const credentials = parseAuthorization(req.headers.get("authorization"));
    if (credentials?.scheme !== "digest") return challenge(this.#digest.challenges(realm));
    const verdict = await this.#digest.check(
      {
        method: req.method,
        target: query === "" ? path : `${path}?${query}`,
        credentials: credentials.rest,
      },
      realm,
      (name) => this.#lookup(was, name),
    );
    if (!verdict.ok) {
      if (verdict.problem !== undefined) was.log(verdict.problem, "warn");
      return challenge(this.#digest.challenges(realm, verdict.stale));
    }
    was.ctx!.user = { name: verdict.name, realm, info: verdict.user.info };
    return undefined;
  }

  async #bearer(was: AtilaWas): Promise<HttpError | undefined> {
    const { realm, judgeToken } = this.#settings();
    if (judgeToken === undefined) {
      throw new Error("Cannot authenticate by bearer token: set app.bearerHandler(…) first");
    }
    const credentials = parseAuthorization(was.parts!.req.headers.get("authorization"));
    if (credentials?.scheme !== "bearer" || credentials.rest === "") {
      return challenge([`Bearer realm=${quoted(realm)}`]);
    }
    if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(credentials.rest)) {
      return challenge([`Bearer realm=${quoted(realm)}, error="invalid_request"`]);
    }
    const problem = await judgeToken(was, credentials.rest);
    if (problem !== undefined && problem !== null) {
      if (typeof problem !== "string") {
        throw new TypeError(
          "The bearer handler returns nothing to accept a token, or an error text",
        );
      }
      return challenge([`Bearer realm=${quoted(realm)}, error=${quoted(problem)}`]);
    }
    // The log tells tokens apart without giving them away: of a short one nothing is shown.
    was.ctx!.token ??= `…${credentials.rest.length < 16 ? "" : credentials.rest.slice(-6)}`;
    return undefined;
  }

  async #lookup(was: AtilaWas, name: string): Promise<KnownUser | undefined> {
    const { users, findUser, user, password } = this.#settings();
    if (findUser !== undefined) return readRecord(name, await findUser(was, name) as UserRecord);
    if (users !== undefined) return readRecord(name, await users.get(name));
    if (user !== undefined && password !== undefined) {
      return name === user ? readRecord(name, password) : undefined;
    }
    throw new Error("Cannot authenticate: set app.users or app.authorizationHandler(…) first");
  }
}

function challenge(challenges: readonly string[]): HttpError {
  return new HttpError(401, "", {
    headers: challenges.map((text): [string, string] => ["www-authenticate", text]),
  });
}

/** Name and password of basic credentials; UTF-8, or Latin-1 where it is not. */
function decodePair(encoded: string): { name: string; password: string } | undefined {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(encoded);
  } catch {
    // Not base64: the credentials are malformed, which is answered like wrong ones.
    return undefined;
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    text = new TextDecoder("latin1").decode(bytes);
  }
  const colon = text.indexOf(":");
  // deno-lint-ignore no-control-regex
  if (colon === -1 || /[\x00-\x1f\x7f]/.test(text)) return undefined;
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}
