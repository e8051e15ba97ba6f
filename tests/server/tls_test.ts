import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { fileURLToPath } from "node:url";
import { ConfigError } from "../../src/core/errors.ts";
import { loadTls } from "../../src/server/tls.ts";
import { freePort } from "../_support/free_port.ts";
import type { FrontServiceSetup } from "../_support/front_service.ts";
import { curl, run } from "../_support/fronts.ts";
import { type ServiceProcess, Workshop } from "../_support/service_process.ts";

const SCRIPT = fileURLToPath(new URL("../_support/front_service.ts", import.meta.url));

/** Keys and certificates in a directory of their own. */
class Pki implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async open(): Promise<Pki> {
    const pki = new Pki(await Deno.makeTempDir({ prefix: "skitai-" }));
    const { rsa, ec, cert, other } = pki;
    await openssl(`genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ${rsa}`);
    await openssl(`ecparam -name prime256v1 -genkey -out ${ec}`);
    await openssl(`req -x509 -key ${rsa} -days 30 -subj /CN=localhost -out ${cert}`);
    await openssl(`req -x509 -key ${ec} -days 30 -subj /CN=other -out ${other}`);
    return pki;
  }

  /** Key of `cert`, PKCS#8. */
  get rsa(): string {
    return this.file("rsa.pem");
  }

  /** Key of `other`, SEC 1, with its parameters before it. */
  get ec(): string {
    return this.file("ec.pem");
  }

  get cert(): string {
    return this.file("cert.pem");
  }

  get other(): string {
    return this.file("other.pem");
  }

  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** A file of other files, and of text that is none. */
  async join(name: string, ...parts: string[]): Promise<string> {
    let text = "";
    for (const part of parts) {
      text += part.startsWith(this.path) ? await Deno.readTextFile(part) : part;
    }
    await Deno.writeTextFile(this.file(name), text);
    return this.file(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

async function openssl(args: string): Promise<void> {
  const output = await run("openssl", ...args.split(" "));
  assert.doesNotMatch(output, /\[exit/);
}

function fails(certFile: string, keyFile: string | undefined, passphrase?: string): ConfigError {
  try {
    loadTls({ certFile, keyFile, passphrase });
  } catch (error) {
    assert.ok(error instanceof ConfigError, `${error}`);
    return error;
  }
  throw new Error(`${certFile} and ${keyFile} were taken`);
}

Deno.test("HTTP-12 HTTP-13 certificate and key in two files, or in one, in any order", async () => {
  await using pki = await Pki.open();
  const pairs: [string, string | undefined][] = [
    [pki.cert, pki.rsa],
    [pki.other, pki.ec],
    [await pki.join("cert-key.pem", pki.cert, pki.rsa), undefined],
    [await pki.join("key-cert.pem", pki.ec, "some words\n", pki.other), undefined],
    [await pki.join("same.pem", pki.cert, pki.rsa), await pki.join("same.pem", pki.cert, pki.rsa)],
  ];
  for (const [certFile, keyFile] of pairs) {
    const { cert, key } = loadTls({ certFile, keyFile, passphrase: undefined });
    assert.ok(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)));
    assert.doesNotMatch(cert, /PRIVATE|words/, "the certificates alone");
  }
  const crlf = (await Deno.readTextFile(pki.cert)).replaceAll("\n", "\r\n");
  loadTls({
    certFile: await pki.join("crlf.pem", crlf),
    keyFile: pki.rsa,
    passphrase: "not needed",
  });
});

Deno.test("HTTP-12 a chain is kept whole, with the server's certificate first", async () => {
  await using pki = await Pki.open();
  const chain = await pki.join("chain.pem", pki.cert, "\n# intermediate\n", pki.other);
  const { cert } = loadTls({ certFile: chain, keyFile: pki.rsa, passphrase: undefined });
  assert.equal(cert.match(/BEGIN CERTIFICATE/g)!.length, 2);
  assert.match(new X509Certificate(cert).subject, /CN=localhost/);
  const turned = await pki.join("turned.pem", pki.other, pki.cert);
  assert.match(fails(turned, pki.rsa).message, /key does not belong to the certificate/);
});

Deno.test("HTTP-12 encrypted keys are opened with the passphrase, and with no other", async () => {
  await using pki = await Pki.open();
  const forms = {
    "pkcs8.pem": `pkcs8 -topk8 -in ${pki.rsa} -passout pass:secret`,
    "scrypt.pem": `pkcs8 -topk8 -scrypt -in ${pki.rsa} -passout pass:secret`,
    "rsa-old.pem": `rsa -aes256 -traditional -in ${pki.rsa} -passout pass:secret`,
    "ec-old.pem": `ec -aes128 -in ${pki.ec} -passout pass:secret`,
  };
  for (const [name, args] of Object.entries(forms)) {
    const keyFile = pki.file(name);
    await openssl(`${args} -out ${keyFile}`);
    const certFile = name.startsWith("ec") ? pki.other : pki.cert;
    const { key } = loadTls({ certFile, keyFile, passphrase: "secret" });
    assert.doesNotMatch(key, /ENCRYPTED/, name);
    const wrong = fails(certFile, keyFile, "wrong");
    assert.match(wrong.message, /passphrase does not open the private key/, name);
    assert.ok(wrong.message.includes(keyFile));
    assert.doesNotMatch(wrong.message, /wrong"|secret/, "the passphrase stays out of the log");
    for (const missing of [undefined, ""]) {
      assert.match(fails(certFile, keyFile, missing).message, /encrypted: a passphrase is needed/);
    }
  }
});

Deno.test("HTTP-13 missing and wrong files are named, with what is wrong with them", async () => {
  await using pki = await Pki.open();
  const cases: [string, string | undefined, string, RegExp][] = [
    [pki.file("none.pem"), undefined, "none.pem", /no such file/],
    [pki.cert, pki.file("none.pem"), "none.pem", /no such file/],
    [pki.path, pki.rsa, pki.path, /cannot be read/],
    [pki.cert, pki.path, pki.path, /cannot be read/],
    [pki.rsa, undefined, "rsa.pem", /no certificate in PEM form/],
    [await pki.join("empty.pem"), pki.rsa, "empty.pem", /no certificate in PEM form/],
    [pki.cert, undefined, "cert.pem", /no private key in PEM form/],
    [pki.cert, pki.other, "other.pem", /no private key in PEM form/],
    [pki.cert, pki.ec, "ec.pem", /does not belong to the certificate in .*cert\.pem/],
    [
      await pki.join(
        "bad-cert.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
      ),
      pki.rsa,
      "bad-cert.pem",
      /certificate is damaged/,
    ],
    [
      pki.cert,
      await pki.join("bad-key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
      "bad-key.pem",
      /private key is damaged/,
    ],
  ];
  for (const [certFile, keyFile, file, problem] of cases) {
    const { message } = fails(certFile, keyFile);
    assert.match(message, problem);
    assert.ok(message.includes(file), `${message} names ${file}`);
  }
  const der = pki.file("cert.der");
  await openssl(`x509 -in ${pki.cert} -outform DER -out ${der}`);
  assert.match(fails(der, pki.rsa).message, /no certificate in PEM form/);
});

Deno.test("HTTP-13 a service whose certificate cannot be used does not start, and says why", async () => {
  await using pki = await Pki.open();
  await using workshop = await Workshop.open();
  const starts: [[string, string?, string?], RegExp][] = [
    [[pki.file("none.pem")], /none\.pem.*no such file/],
    [[pki.cert], /cert\.pem.*no private key/],
    [[pki.cert, pki.ec], /ec\.pem.*does not belong/],
  ];
  await Promise.all(starts.map(async ([ssl, problem]) => {
    const port = freePort();
    const service = start(workshop, { ssl, run: { port } });
    assert.equal(await service.code(), 1);
    const lines = service.lines.filter((line) => problem.test(line));
    assert.equal(lines.length, 1, service.lines.join("\n"));
    assert.ok(!service.lines.some((line) => /^ +at /.test(line)), "no stack for the operator");
    await assert.rejects(Deno.connect({ port }), Deno.errors.ConnectionRefused);
  }));
});

for (const front of ["fast", "edge"] as const) {
  Deno.test(`HTTP-12 HTTP-13 HTTP-15 ${front} HTTPS with an encrypted key, curl and h2load`, async () => {
    await using pki = await Pki.open();
    await using workshop = await Workshop.open();
    await openssl(`pkcs8 -topk8 -in ${pki.rsa} -passout pass:secret -out ${pki.file("enc.pem")}`);
    const both = await pki.join("both.pem", pki.file("enc.pem"), pki.cert);
    const service = start(workshop, { ssl: [both, "", "secret"], run: { front } });
    const port = await service.port();
    const url = `https://127.0.0.1:${port}/version`;
    assert.equal(await curl("--http2", "-w", " %{http_version}", url), "2.0 2");
    assert.equal(await curl("--http1.1", "-w", " %{http_version}", url), "1.1 1.1");
    // On one connection both ways of asking for HTTP/2 end in the same.
    assert.equal(await curl("--http2", url, "--next", "-k", "-sS", "--http2", url), "2.02.0");
    const talk = await run("curl", "-skv", "--stderr", "-", "--http2", "-o", "/dev/null", url);
    assert.match(talk, /ALPN.*accepted.*h2/i);
    const load = await run("h2load", "-n", "2000", "-c", "10", "-m", "20", url);
    const told = (text: string) => `${text}\n${service.lines.join("\n")}`;
    assert.match(load, /2000 succeeded, 0 failed, 0 errored, 0 timeout/, told(load));
    assert.match(load, /Application protocol: h2/);
    const old = await run("h2load", "--h1", "-n", "500", "-c", "5", url);
    assert.match(old, /500 succeeded, 0 failed/, told(old));
    // The port speaks TLS only.
    const plain = await curl(`http://127.0.0.1:${port}/`);
    assert.match(plain, /\[exit (?:1|52|56)\]/, plain);
    // And old versions of it do not come in.
    const tls11 = await curl("--tls-max", "1.1", "--tlsv1.0", url);
    assert.match(tls11, /\[exit 35\]/, tls11);
    assert.match(await curl("--tls-max", "1.2", url), /^[12]/);
    service.signal("SIGTERM");
    assert.equal(await service.code(), 0);
  });
}

Deno.test("HTTP-15 edge sessions that end while they are at work leave the process unharmed", async () => {
  await using pki = await Pki.open();
  await using workshop = await Workshop.open();
  const both = await pki.join("both.pem", pki.rsa, pki.cert);
  // Memory that was given back is overwritten, so that whoever still uses it is sure to fail.
  const env = { MALLOC_PERTURB_: "165" };
  const service = start(workshop, { ssl: [both], run: { front: "edge" } }, env);
  const url = `https://127.0.0.1:${await service.port()}/version`;
  for (let round = 0; round < 2; round++) {
    const load = await run("h2load", "-n", "1000", "-c", "10", "-m", "20", url);
    assert.match(load, /1000 succeeded, 0 failed/, load);
  }
  assert.equal(await curl("--http2", url), "2.0");
  service.signal("SIGTERM");
  assert.equal(await service.code(), 0);
});

const COME_BACK = `
import socket, ssl, struct, sys, time
port, local = int(sys.argv[1]), int(sys.argv[2])
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE

def connect():
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # closing it resets the connection, and the port is free at once
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.bind(("127.0.0.1", local))
    plain.settimeout(20)
    plain.connect(("127.0.0.1", port))
    return plain

def ask(secure, path):
    secure.sendall(b"GET " + path + b" HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")

for _ in range(3):
    first = tls.wrap_socket(connect())
    ask(first, b"/version")
    assert first.recv(1000).startswith(b"HTTP/1.1 200")
    busy = tls.wrap_socket(socket.create_connection(("127.0.0.1", port), 20))
    ask(busy, b"/busy?ms=200")
    time.sleep(0.05)
    first.close()
    again = tls.wrap_socket(connect())
    ask(again, b"/version")
    print(again.recv(12).decode())
    again.close()
    assert busy.recv(1000).startswith(b"HTTP/1.1 200")
    busy.close()
`;

Deno.test("HTTP-12 edge serves a client that comes back from the same port at once", async () => {
  await using pki = await Pki.open();
  await using workshop = await Workshop.open();
  const both = await pki.join("both.pem", pki.rsa, pki.cert);
  const service = start(workshop, { ssl: [both], run: { front: "edge" } });
  const ports = [`${await service.port()}`, `${freePort()}`];
  assert.equal(await run("python3", "-c", COME_BACK, ...ports), "HTTP/1.1 200\n".repeat(3));
});

function start(
  workshop: Workshop,
  setup: FrontServiceSetup,
  env: Record<string, string> = {},
): ServiceProcess {
  return workshop.start(SCRIPT, { env: { FRONT_TEST: JSON.stringify(setup), ...env } });
}

Deno.test("HTTP-12 SRV-11 a certificate that is not there is named by where it was looked for", () => {
  assert.throws(
    () => loadTls({ certFile: "none.pem", keyFile: undefined, passphrase: undefined }),
    (error) =>
      error instanceof ConfigError && error.message === `${Deno.cwd()}/none.pem: no such file`,
  );
});
