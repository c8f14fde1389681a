// Listeners with TLS, beside plain ones: real certificates, real handshakes.

import fs from "node:fs";
import { Agent, request as httpsRequest } from "node:https";
import { connect as connectPlain } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../engine/base/clock.ts";
import { GatewayError } from "../../../engine/base/errors.ts";
import { Door } from "../../../engine/front-door/door.ts";
import { DoorCounters } from "../../../engine/front-door/door-counters.ts";
import { OTLP_ROUTES } from "../../../engine/front-door/routes.ts";
import type { TlsFileNames } from "../../../engine/front-door/tls-files.ts";
import { HealthWords, createHealthWords } from "../../../engine/part/health-words.ts";
import { WakeWord, createWakeWord } from "../../../engine/ring/wake-word.ts";
import { REQUEST_TLS } from "../../../engine/telemetry/label-values.ts";
import {
  Certificates, type CertificateFiles, HAS_OPENSSL,
} from "../../support/certificates.ts";
import { FakeLane, type Harness, TEST_LIMITS, delay, openDoor, until } from "./door-harness.ts";

interface Answer { status: number; subject: string }

describe.runIf(HAS_OPENSSL)("a listener with TLS", () => {
  const made = new Certificates();
  afterAll(() => made.remove());
  let harness: Harness | null = null;
  afterEach(async () => {
    expect(harness?.failures ?? []).toEqual([]);
    await harness?.end();
    harness = null;
  });

  /** A listener's own files: they can be replaced. */
  function filesOf(pair: CertificateFiles, clientCaFile = ""): TlsFileNames {
    const directory = fs.mkdtempSync(`${made.directory}/listener-`);
    const files = { certFile: `${directory}/tls.crt`, keyFile: `${directory}/tls.key` };
    fs.copyFileSync(pair.cert, files.certFile);
    fs.copyFileSync(pair.key, files.keyFile);
    return { ...files, clientCaFile };
  }

  async function serve(tls: TlsFileNames, more = {}): Promise<Harness> {
    harness = await openDoor({ listener: { tls, ...more } });
    return harness;
  }

  function post(port: number, options: ConnectionOptions = {}): Promise<Answer> {
    const agent = new Agent({ maxCachedSessions: 0, rejectUnauthorized: false, ...options });
    return new Promise((resolve, reject) => {
      const request = httpsRequest({
        port, host: "127.0.0.1", path: "/v1/traces", method: "POST", agent,
        headers: { "content-type": "application/json" },
      }, (response) => {
        const socket = response.socket as import("node:tls").TLSSocket;
        const subject = socket.getPeerCertificate().subject.CN;
        response.resume();
        response.on("end", () => {
          agent.destroy();
          resolve({ status: response.statusCode!, subject: String(subject) });
        });
      });
      request.on("error", reject);
      request.end("{}");
    });
  }

  test("takes spans over TLS 1.2 and 1.3, and over nothing older", async () => {
    const pair = made.make({ name: "served" });
    const { port, door, payloads } = await serve(filesOf(pair));
    const ca = fs.readFileSync(pair.cert);
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const options = { ca, rejectUnauthorized: true, minVersion: version, maxVersion: version };
      expect(await post(port, options)).toEqual({ status: 200, subject: "served" });
    }
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    await expect(post(port, old as ConnectionOptions)).rejects.toThrow();
    expect(door.engineOf("otlp")).toBe("node");
    expect(payloads().length).toBe(2);
  });

  test("wants a certificate of the client's, or there is no HTTP at all", async () => {
    const authority = made.make({ name: "authority" });
    const stranger = made.make({ name: "stranger" });
    const known = made.make({ name: "client", by: authority });
    const unknown = made.make({ name: "client", by: stranger });
    const expired = made.make({ name: "late-client", by: authority, days: 0 });
    const { port, counters, payloads } = await serve(
      filesOf(made.make({ name: "server" }), authority.cert));
    const as = ({ cert, key }: CertificateFiles): ConnectionOptions => {
      return { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
    };
    expect((await post(port, as(known))).status).toBe(200);
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      for (const options of [{}, as(unknown), as(stranger), as(expired)]) {
        const before = counters.refused[REQUEST_TLS]!;
        await expect(post(port, { ...options, maxVersion: version })).rejects.toThrow();
        await until(() => counters.refused[REQUEST_TLS] === before + 1, "it is counted");
      }
    }
    expect((await post(port, as(known))).status).toBe(200);
    expect(payloads().length).toBe(2);
    expect(counters.answered[0]).toBe(2);
  });

  test("ends what is no TLS, and lets nobody wait for those that never speak", async () => {
    const { port, counters } = await serve(filesOf(made.make({ name: "server" })));
    const mute = connectPlain(port, "127.0.0.1");
    const plain = connectPlain(port, "127.0.0.1");
    let answer = "";
    plain.on("data", (chunk) => { answer += chunk.toString("latin1"); });
    plain.on("error", () => {});
    plain.write("POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    await new Promise<void>((resolve) => { plain.once("close", () => resolve()); });
    expect(answer).not.toContain("HTTP/1.1 200");
    await until(() => counters.refused[REQUEST_TLS] === 1, "it is counted");
    expect((await post(port)).status).toBe(200);
    const ended = new Promise<void>((resolve) => { mute.once("close", () => resolve()); });
    await harness!.door.close();
    await ended;
  });

  test("takes a new certificate while clients send, and none of them notices", async () => {
    const tls = filesOf(made.make({ name: "first" }));
    const { port, logged, counters } = await serve(tls);
    const next = made.make({ name: "second" });
    const subjects: string[] = [];
    let stop = false;
    const clients = Promise.all(Array.from({ length: 4 }, async () => {
      while (!stop) {
        const { status, subject } = await post(port);
        expect(status).toBe(200);
        subjects.push(subject);
        await delay(5);
      }
    }));
    // The certificate a while before its key, each by a rename, as tools do it.
    for (const [from, to] of [[next.cert, tls.certFile], [next.key, tls.keyFile]] as const) {
      fs.copyFileSync(from, `${to}.new`);
      fs.renameSync(`${to}.new`, to);
      await delay(50);
    }
    await until(() => subjects.at(-1) === "second", "the new one is served");
    stop = true;
    await clients;
    expect(new Set(subjects)).toEqual(new Set(["first", "second"]));
    expect(subjects.lastIndexOf("first") - subjects.indexOf("second")).toBeLessThan(4);
    expect(ofOtlp(logged).map(({ level }) => level)).toEqual(["info"]);
    expect(counters.tlsReloadFailures[0]).toBe(0);
  });

  test("follows a link that is turned over", async () => {
    const versions = ["one", "two"].map((name) => {
      const directory = fs.mkdtempSync(`${made.directory}/version-`);
      const pair = made.make({ name });
      fs.copyFileSync(pair.cert, `${directory}/tls.crt`);
      fs.copyFileSync(pair.key, `${directory}/tls.key`);
      return directory;
    });
    const link = `${made.directory}/data`;
    fs.symlinkSync(versions[0]!, link);
    const { port } = await serve({
      certFile: `${link}/tls.crt`, keyFile: `${link}/tls.key`, clientCaFile: "",
    });
    expect((await post(port)).subject).toBe("one");
    fs.symlinkSync(versions[1]!, `${link}.new`);
    fs.renameSync(`${link}.new`, link);
    for (let turn = 0; (await post(port)).subject === "one"; turn++) {
      expect(turn).toBeLessThan(100);
      await delay(100);
    }
    expect((await post(port)).subject).toBe("two");
  });

  test("goes on with the former certificate when the new files are no use, says it once, and "
    + "takes them when they are put right", async () => {
    const tls = filesOf(made.make({ name: "good" }));
    const { port, logged, counters } = await serve(tls);
    const pair = made.make({ name: "better" });
    fs.writeFileSync(tls.certFile, "no certificate");
    await until(() => counters.tlsReloadFailures[0] === 1, "it is counted");
    await delay(2_500);
    expect(counters.tlsReloadFailures[0]).toBe(1);
    expect(ofOtlp(logged).map(({ level }) => level)).toEqual(["error"]);
    expect(String(logged[0]!.fields["error"])).toContain(tls.certFile);
    expect((await post(port)).subject).toBe("good");
    fs.copyFileSync(pair.cert, tls.certFile);
    fs.copyFileSync(pair.key, tls.keyFile);
    await until(() => ofOtlp(logged).length === 2, "it is told that they are in use");
    expect((await post(port)).subject).toBe("better");
  });

  test("says when its certificate ends, and warns of one that has", async () => {
    const fresh = await serve(filesOf(made.make({ name: "fresh", days: 100 })));
    const inDays = fresh.counters.certificateExpiry[0]! / 86_400 - Date.now() / 86_400_000;
    expect(inDays).toBeGreaterThan(99);
    expect(inDays).toBeLessThan(101);
    expect(fresh.logged).toEqual([]);
    await fresh.end();
    for (const [days, says] of [[0, "has expired"], [3, "within a week"]] as const) {
      const { port, logged, end } = await serve(filesOf(made.make({ name: "old", days })));
      expect(logged.map(({ level, message }) => [level, message.includes(says)]))
        .toEqual([["warn", true], ["warn", true]]); // two listeners
      expect((await post(port)).status).toBe(200);
      await end();
    }
    harness = null;
  });

  test("counts its connections with all others, those in a handshake too", async () => {
    harness = await openDoor({
      listener: { tls: filesOf(made.make({ name: "server" })) }, limits: { connectionsMax: 2 },
    });
    const { port } = harness;
    const mute = [0, 1].map(() => connectPlain(port, "127.0.0.1"));
    await Promise.all(mute.map(async (socket) => {
      await new Promise<void>((resolve) => { socket.once("connect", () => resolve()); });
    }));
    await delay(20);
    await expect(post(port)).rejects.toThrow();
    for (const socket of mute) socket.destroy();
    await delay(50);
    expect((await post(port)).status).toBe(200);
  });

  test("resumes no session of a client whose certificate is not trusted any more", async () => {
    const former = made.make({ name: "former" });
    const client = made.make({ name: "client", by: former });
    const caFile = `${made.directory}/clients.pem`;
    fs.copyFileSync(former.cert, caFile);
    const { port, logged } = await serve(filesOf(made.make({ name: "server" }), caFile));
    const options: ConnectionOptions = {
      port, host: "127.0.0.1", rejectUnauthorized: false, maxVersion: "TLSv1.2",
      cert: fs.readFileSync(client.cert), key: fs.readFileSync(client.key),
    };
    const first = connectTls(options);
    const session = await new Promise<Buffer>((resolve) => { first.once("session", resolve); });
    first.destroy();
    fs.copyFileSync(made.make({ name: "next" }).cert, caFile);
    await until(() => logged.some(({ level }) => level === "info"), "the new list is in use");
    const again = connectTls({ ...options, session });
    await expect(new Promise<void>((resolve, reject) => {
      again.on("error", reject);
      again.on("close", () => reject(new Error("closed")));
      again.on("secureConnect", () => again.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
      again.on("data", () => resolve());
    })).rejects.toThrow();
  });

  test("is not opened with files that are no use: the setting, the file and what to do", () => {
    const good = made.make({ name: "good" });
    const other = made.make({ name: "other" });
    const file = (name: string, text: string): string => {
      fs.writeFileSync(made.path(name), text);
      return made.path(name);
    };
    const garbage = file("garbage.pem",
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const missing = made.path("missing.pem");
    const cases: [string, string, string, RegExp][] = [
      [missing, good.key, "", /^TLSCertFile of listener "x": .*missing\.pem cannot be read \(ENO/],
      [made.directory, good.key, "", /^TLSCertFile .*cannot be read \(EISDIR/],
      [good.key, good.key, "", /^TLSCertFile .*has no certificate in PEM form/],
      [garbage, good.key, "", /^TLSCertFile .*is damaged: certificate 1 of 1/],
      [good.cert, missing, "", /^TLSKeyFile .*cannot be read/],
      [good.cert, good.cert, "", /^TLSKeyFile .*has no private key in PEM form/],
      [good.cert, other.key, "", /^TLSKeyFile .*is not the key of the certificate in/],
      [good.cert, made.encryptedKey(good.key), "", /^TLSKeyFile .*is encrypted: give the key/],
      [good.cert, good.key, missing, /^TLSClientCAFile .*cannot be read/],
      [good.cert, good.key, file("empty.pem", ""), /^TLSClientCAFile .*has no certificate/],
      [file("large.pem", "x".repeat(2_000_000)), good.key, "", /has 2000000 bytes/],
    ];
    const key = fs.readFileSync(good.key, "utf8").split("\n")[1]!;
    for (const [certFile, keyFile, clientCaFile, says] of cases) {
      let thrown: unknown = null;
      try {
        doorWith({ certFile, keyFile, clientCaFile });
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(GatewayError);
      const { code, message } = thrown as GatewayError;
      expect(code).toBe("CONFIG_INVALID");
      expect(message).toMatch(says);
      expect(message).not.toContain("\n");
      expect(message).not.toContain(key);
    }
  });
});

/** Both listeners have the same files, and each tells for itself. */
function ofOtlp(logged: Harness["logged"]): Harness["logged"] {
  return logged.filter(({ fields }) => fields["listener"] === "otlp");
}

function doorWith(tls: TlsFileNames): Door {
  const wake = createWakeWord();
  return new Door({
    engine: "uws",
    listeners: [{ name: "x", host: "127.0.0.1", port: 0, routes: OTLP_ROUTES, tls }],
    lanes: [new FakeLane(0, 1024 * 1024, wake).ends], limits: TEST_LIMITS, reasons: [],
  }, {
    clock: systemClock, health: new HealthWords(createHealthWords()),
    counters: new DoorCounters(), wake: new WakeWord(wake), onTurn: () => {}, onFailure: () => {},
    log: () => {},
  });
}
