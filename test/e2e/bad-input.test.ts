// What clients should not send, against the real process: the answer says what is wrong, nothing of
// a refused body is taken, nothing of an accepted one is lost, and the next request is served.

import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BodyTrial } from "../support/body-trial.ts";
import { hostileBodies } from "../support/hostile-bodies.ts";
import { encodeRequest, type GroupInput, type SpanInput } from "../support/otlp-builder.ts";
import { randomRequest } from "../support/otlp-random.ts";
import { ProvingGround } from "../support/proving-ground.ts";
import type { Random } from "../support/random.ts";
import { headOf, RawConnection, textOf } from "../support/raw-client.ts";
import {
  AMBIGUOUS, CHUNK_SIZES, CHUNK_SIZES_READ_AS_0, GIBBERISH, MAX_BODY_BYTES, REQUESTS,
} from "../support/request-cases.ts";
import { Stage } from "../support/stage.ts";
import { until } from "../support/until.ts";

const TEST_MS = 60_000;
const ZERO_TRACE = "0".repeat(32);

/** A small request with something of everything. */
function everything(random: Random): Uint8Array {
  const span: SpanInput = {
    traceId: random.hex(16), spanId: random.hex(8), parentSpanId: random.hex(8), name: "GET /",
    kind: 2, startNs: 1_790_000_000_000_000_000n, endNs: 1_790_000_000_100_000_000n,
    attributes: { "http.route": "/cart", "retry": true, "size": 7, "tags": ["a", 1n] },
    events: [{ name: "miss", timeNs: 1n, attributes: { key: "k" } }],
    links: [{ traceId: random.hex(16), spanId: random.hex(8) }],
    statusCode: 2, statusMessage: "no", flags: 1,
  };
  return encodeRequest([
    { resource: { "service.name": "cart" }, scope: { name: "http", version: "1" }, spans: [span] },
    { resourceSchemaUrl: "u", spans: [{ traceId: random.hex(16), spanId: random.hex(8) }] },
  ]);
}

describe("a body", () => {
  it("that is cut short at any byte is refused, or taken as what it still says", async () => {
    const stage = Stage.open();
    const trial = await BodyTrial.open(stage);
    const body = everything(stage.random);
    const cuts = Array.from({ length: body.length + 1 }, (_, size) => body.subarray(0, size));
    await trial.offer(cuts);
    expect(trial.refused).toBeGreaterThan(body.length * 0.9);
    expect(trial.accepted).toBeGreaterThanOrEqual(3); // nothing, the first group, all
    await trial.close();
  }, TEST_MS);

  it("with any bit turned over is refused, or taken as what it says now", async () => {
    const stage = Stage.open();
    const trial = await BodyTrial.open(stage);
    const body = everything(stage.random);
    await trial.offer(turnedOver(body));
    expect(trial.refused).toBeGreaterThan(body.length);
    expect(trial.accepted).toBeGreaterThan(body.length);
    await trial.close();
  }, TEST_MS);

  it("of random bytes, or of a request with random changes, gets the oracle's answer", async () => {
    const stage = Stage.open();
    const trial = await BodyTrial.open(stage, { Workers: 2 });
    await trial.offer(randomBodies(stage.random));
    expect(trial.refused).toBeGreaterThan(500);
    expect(trial.accepted).toBeGreaterThan(500);
    await trial.close();
  }, TEST_MS);

  it("with lengths, varints, groups and depths made to break a reader harms nobody", async () => {
    const stage = Stage.open();
    const trial = await BodyTrial.open(stage);
    await trial.offer(hostileBodies());
    expect(trial.refused).toBeGreaterThan(500);
    expect(trial.accepted).toBeGreaterThan(100);
    await trial.close();
  }, TEST_MS);
});

function* turnedOver(body: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < body.length; at++) {
    for (let bit = 1; bit < 256; bit *= 2) {
      const changed = Uint8Array.from(body);
      changed[at] = changed[at]! ^ bit;
      yield changed;
    }
  }
}

function* randomBodies(random: Random): Generator<Uint8Array> {
  for (let count = 0; count < 300; count++) {
    yield Buffer.from(random.hex(random.below(200)), "hex");
    const size = random.below(64).toString(16).padStart(2, "0");
    yield Buffer.from(`0a${size}${random.hex(64)}`, "hex");
    const request = randomRequest(random, 8);
    yield request;
    yield request.subarray(0, random.below(request.length + 1));
    const changed = Uint8Array.from(request);
    for (let changes = random.below(4); changes >= 0 && changed.length > 0; changes--) {
      changed[random.below(changed.length)] = random.below(256);
    }
    yield changed;
    yield Buffer.concat([request, changed]);
  }
}

describe("spans without usable ids", () => {
  const good = (random: Random): SpanInput => {
    return { traceId: random.hex(16), spanId: random.hex(8), name: "good" };
  };
  const bad: Readonly<Record<string, (random: Random) => SpanInput>> = {
    "no trace id": (random) => ({ ...good(random), traceId: "" }),
    "a short trace id": (random) => ({ ...good(random), traceId: random.hex(8) }),
    "a long trace id": (random) => ({ ...good(random), traceId: random.hex(17) }),
    "a trace id of zeros": (random) => ({ ...good(random), traceId: ZERO_TRACE }),
    "no span id": (random) => ({ ...good(random), spanId: "" }),
    "a short span id": (random) => ({ ...good(random), spanId: random.hex(7) }),
    "a long span id": (random) => ({ ...good(random), spanId: random.hex(16) }),
    "a span id of zeros": (random) => ({ ...good(random), spanId: "0".repeat(16) }),
    "a parent id of another size": (random) => ({ ...good(random), parentSpanId: random.hex(4) }),
    "a link to an id of another size": (random) => {
      return { ...good(random), links: [{ traceId: random.hex(15), spanId: random.hex(8) }] };
    },
  };
  const kinds = Object.values(bad);

  it("are rejected one by one, and said so; the others of their body arrive", async () => {
    const stage = Stage.open();
    const { random } = stage;
    const trial = await BodyTrial.open(stage);
    for (const kind of kinds) {
      const body = encodeRequest([{ spans: [good(random), kind(random), good(random)] }]);
      const answer = await trial.client.send({ body });
      expect(answer.status).toBe(200);
      expect(textOf(answer).rejectedSpans).toBe(1);
      expect(textOf(answer).message).toMatch(/^1 span has no usable/);
      trial.judge(body, answer);
    }
    await trial.close();
    expect(await trial.gateway.metric("tailrace_spans_received_total")).toBe(2 * kinds.length);
  }, TEST_MS);

  it("in any mixture are counted, alone as well", async () => {
    const stage = Stage.open();
    const { random } = stage;
    const trial = await BodyTrial.open(stage, { Workers: 2 });
    const onlyBad = encodeRequest([{ spans: kinds.map((kind) => kind(random)) }]);
    const answer = await trial.client.send({ body: onlyBad });
    expect(textOf(answer).rejectedSpans).toBe(kinds.length);
    trial.judge(onlyBad, answer);
    await trial.offer(Array.from({ length: 200 }, () => {
      const groups = Array.from({ length: 1 + random.below(4) }, (): GroupInput => ({
        resource: { "service.name": "mixed" },
        spans: Array.from({ length: random.below(8) }, () => {
          return random.chance(0.5) ? good(random) : kinds[random.below(kinds.length)]!(random);
        }),
      }));
      return encodeRequest(groups);
    }));
    expect(trial.refused).toBe(0);
    await trial.close();
  }, TEST_MS);
});

const KIB = 1024;

it("a request is answered as its size, encoding, type, path and method deserve, and good ones "
  + "are served meanwhile", async () => {
  const stage = Stage.open();
  const ground = await ProvingGround.open(stage, {
    spansMax: 100_000, config: { MaxBodyBytes: MAX_BODY_BYTES },
  });
  const memoryBefore = ground.memoryBytes();
  ground.beginSteady();
  for (const [name, { status, code, says, send, body }] of Object.entries(REQUESTS)) {
    const made = body === undefined ? ground.body() : body(ground);
    if (status === 200) ground.owe(made);
    const answer = await ground.client.send(send(made.bytes));
    const text = textOf(answer);
    expect.soft([name, answer.status], name).toEqual([name, status]);
    if (code !== undefined) expect.soft(text.code, name).toBe(code);
    expect.soft(text.message, name).toMatch(says ?? (status === 200 ? /^$/ : /./));
    expect.soft(answer.headers["content-type"], name).toBe("application/x-protobuf");
    if (status === 405) expect.soft(answer.headers.allow, name).toBe("POST");
  }
  await ground.close();
  const counted = { too_large: 413, not_found: 404, method: 405 };
  for (const [reason, status] of Object.entries(counted)) {
    const expected = Object.values(REQUESTS).filter((each) => each.status === status).length;
    // The door counts for the page about once a second.
    await until(async () => expected === await ground.gateway.metric(
      "tailrace_requests_refused_total", { reason }), `${expected} are counted as ${reason}`);
  }
  expect(ground.memoryBytes() - memoryBefore).toBeLessThan(150 * KIB * KIB);
}, TEST_MS);

describe("a connection", () => {
  it("that does not speak HTTP plainly is refused or ended, nothing of it taken", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, { spansMax: 50_000 });
    ground.beginSteady();
    const talks: (readonly (string | Uint8Array)[])[] = [
      ...AMBIGUOUS.map((lines) => [headOf(lines), "40\r\n", ground.body(2).bytes.subarray(0, 64)]),
      ...CHUNK_SIZES.map((size) => {
        return [headOf(["Transfer-Encoding: chunked"]), `${size}\r\n`, ground.body(2).bytes];
      }),
      ...GIBBERISH.map((text) => [text]),
    ];
    const faults: string[] = [];
    for (const talk of talks) {
      const connection = await RawConnection.open(ground.gateway.port);
      connection.write(...talk);
      const statuses = await connection.answers(1, 300);
      // No answer: it waits for more, and is ended when nothing comes.
      if (statuses.some((status) => status < 400)) faults.push(JSON.stringify([talk[0], statuses]));
      connection.close();
    }
    expect(faults).toEqual([]);
    await ground.close();
  }, TEST_MS);

  it("whose chunk has no size is ended, and nothing of it taken", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, { spansMax: 50_000 });
    for (const size of CHUNK_SIZES_READ_AS_0) {
      const connection = await RawConnection.open(ground.gateway.port);
      connection.write(headOf(["Transfer-Encoding: chunked"]), `${size}\r\n`, ground.body(2).bytes);
      await until(() => connection.ended, "the connection is ended");
      expect(connection.statuses.at(-1) ?? 0).not.toBe(200);
      connection.close();
    }
    await ground.close();
  }, TEST_MS);

  it("that ends before its body does leaves nothing behind", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, { spansMax: 50_000 });
    ground.beginSteady();
    for (let size = 0; size < 400; size += 3) {
      const body = ground.body(10).bytes;
      const chunked = size % 2 === 0;
      const request = Buffer.concat(chunked
        ? [headOf(["Transfer-Encoding: chunked"]), `${body.length.toString(16)}\r\n`, body, "\r\n"]
          .map((piece) => Buffer.from(piece))
        : [Buffer.from(headOf([`Content-Length: ${body.length}`])), body]);
      const connection = await RawConnection.open(ground.gateway.port);
      connection.write(request.subarray(0, Math.min(size, request.length - 1)));
      if (size % 3 === 0) await sleep(1);
      connection.reset();
    }
    await ground.close();
    await until(async () => await ground.gateway.metric("tailrace_requests_in_flight") === 0,
      "no request is left open");
    expect(await ground.gateway.metric("tailrace_unfinished_body_bytes")).toBe(0);
  }, TEST_MS);

  it("on which requests follow without waiting ends; what was answered with 200 arrives, what "
    + "was taken without an answer was whole", async () => {
    const stage = Stage.open();
    const ground = await ProvingGround.open(stage, { spansMax: 50_000 });
    ground.beginSteady();
    for (let round = 0; round < 50; round++) {
      const bodies = Array.from({ length: 1 + stage.random.below(5) }, () => ground.body(5));
      const connection = await RawConnection.open(ground.gateway.port);
      connection.write(Buffer.concat(bodies.flatMap(({ bytes }) => {
        return [Buffer.from(headOf([`Content-Length: ${bytes.length}`])), bytes];
      })));
      const statuses = await connection.answers(bodies.length);
      expect(statuses.every((status) => status === 200)).toBe(true);
      expect(statuses.length === bodies.length || connection.ended).toBe(true);
      bodies.forEach((body, index) => {
        if (index < statuses.length) ground.owe(body);
        else ground.allow(body);
      });
      connection.close();
    }
    await ground.close();
  }, TEST_MS);
});
