// npm run send-load: a small, lifelike load over OTLP/HTTP, so that a gateway that was just started
// has something to show. Plain Node, nothing to compile; for benches there is native-bench.

import { randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { requestOf, type SpanMessage } from "./otlp-message.ts";
import { resourceOf, shopTrace, type ShopSpan, type TraceKind } from "./shop-traffic.ts";

const ADMIN_PORT_DEFAULT = 9464;
const HOST = "127.0.0.1";
const USAGE = `usage: npm run send-load [-- OPTION...]
  --port N         port of the gateway's OTLP/HTTP listener (4318)
  --seconds N      how long (20)
  --rate N         traces begun in a second, of five to seven spans each (20)
  --admin-port N   port of the gateway's admin address, for the commands that are printed (9464)
  --help           this text
`;
const EXIT_REFUSED = 1;
const EXIT_USAGE = 2;
/** How often each service sends the spans that have ended. */
const FLUSH_MS = 250;
const REPORT_MS = 5_000;
const ANSWER_MS = 10_000;
/** Bodies stay small, as those of real exporters. */
const SPANS_PER_BODY = 512;
const KINDS: readonly (readonly [TraceKind, string])[] = [
  ["error", "with an error"], ["slow", "slower than 500 ms"], ["normal", "neither"],
];

interface Options {
  readonly port: number;
  readonly seconds: number;
  readonly rate: number;
  readonly adminPort: number;
}

/** What was sent and what became of it. */
interface Tally {
  readonly traces: Record<TraceKind, number>;
  /** The first of each kind, by its id. */
  readonly examples: Partial<Record<TraceKind, string>>;
  spansAccepted: number;
  spansRefused: number;
  /** Bodies by how they were answered. */
  readonly answers: Map<string, number>;
}

/** Null when the words mean nothing; "help" when that was asked for. */
function readOptions(): Options | "help" | null {
  const number = (text: string, least: number, most: number): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new RangeError(`"${text}" is not a whole number from ${least} to ${most}`);
    }
    return value;
  };
  try {
    const { values } = parseArgs({
      options: {
        "port": { type: "string", default: "4318" }, "seconds": { type: "string", default: "20" },
        "rate": { type: "string", default: "20" },
        "admin-port": { type: "string", default: String(ADMIN_PORT_DEFAULT) },
        "help": { type: "boolean", default: false },
      },
    });
    if (values.help) return "help";
    return {
      port: number(values.port, 1, 65_535), seconds: number(values.seconds, 1, 86_400),
      rate: number(values.rate, 1, 2_000), adminPort: number(values["admin-port"], 1, 65_535),
    };
  } catch (error) {
    process.stderr.write(`send-load: ${error instanceof Error ? error.message : String(error)}\n`);
    return null;
  }
}

/** Sends for the given time and until the last span has ended. */
async function sendAll(options: Options, tally: Tally): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const waiting: ShopSpan[] = [];
  const beganMs = Date.now();
  const endMs = beganMs + options.seconds * 1000;
  let begun = 0;
  let reportAtMs = beganMs + REPORT_MS;
  do {
    const nowMs = Date.now();
    const due = Math.floor((Math.min(nowMs, endMs) - beganMs) * options.rate / 1000);
    for (; begun < due; begun++) {
      waiting.push(...beginTrace(beganMs + (begun * 1000) / options.rate, tally));
    }
    await sendEnded(options, agent, waiting, nowMs, tally);
    if (nowMs >= reportAtMs) {
      reportAtMs += REPORT_MS;
      process.stdout.write(`  ${Math.round((nowMs - beganMs) / 1000)} s: ${begun} traces begun, `
        + `${tally.spansAccepted} spans accepted\n`);
    }
    await sleep(FLUSH_MS);
  } while (waiting.length > 0 || Date.now() < endMs);
  agent.destroy();
}

function beginTrace(startMs: number, tally: Tally): readonly ShopSpan[] {
  const trace = shopTrace(startMs, { random: Math.random, bytes: (count) => randomBytes(count) });
  tally.traces[trace.kind]++;
  tally.examples[trace.kind] ??= trace.traceIdHex;
  return trace.spans;
}

/** Takes the spans that are over out of the queue; every service sends its own. */
async function sendEnded(
  options: Options, agent: Agent, waiting: ShopSpan[], nowMs: number, tally: Tally,
): Promise<void> {
  const ended = new Map<string, SpanMessage[]>();
  const open = waiting.filter(({ service, span }) => {
    if (span.endMs > nowMs) return true;
    const spans = ended.get(service) ?? [];
    spans.push(span);
    ended.set(service, spans);
    return false;
  });
  waiting.splice(0, waiting.length, ...open);
  await Promise.all([...ended].map(async ([service, spans]) => {
    for (let at = 0; at < spans.length; at += SPANS_PER_BODY) {
      const part = spans.slice(at, at + SPANS_PER_BODY);
      const answer = await post(options.port, agent, requestOf(resourceOf(service), part));
      tally.answers.set(answer, (tally.answers.get(answer) ?? 0) + 1);
      if (answer === "200") tally.spansAccepted += part.length;
      else tally.spansRefused += part.length;
    }
  }));
}

/** Status code of the answer, or why there is none. */
function post(port: number, agent: Agent, body: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const sent = request({
      agent, host: HOST, port, path: "/v1/traces", method: "POST",
      headers: { "content-type": "application/x-protobuf", "content-length": body.length },
    }, (answer) => {
      answer.resume();
      answer.once("end", () => resolve(String(answer.statusCode)));
      answer.once("error", (error) => resolve(error.message));
    });
    sent.once("error", (error) => resolve(error.message));
    sent.setTimeout(ANSWER_MS, () => sent.destroy(new Error(`no answer in ${ANSWER_MS} ms`)));
    sent.end(body);
  });
}

/** Null when the gateway is there, else what a person should know. */
async function whyNotReady(port: number): Promise<string | null> {
  const url = `http://${HOST}:${port}/readyz`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
    return answer.status === 200 ? null : `${url} answers ${answer.status}: ${await answer.text()}`;
  } catch {
    return `nothing answers on ${HOST}:${port}. Start the gateway in another terminal: npm start\n`
      + "Does it listen elsewhere? --port N says where.";
  }
}

function summary(options: Options, tally: Tally): string {
  const traces = KINDS.reduce((sum, [kind]) => sum + tally.traces[kind], 0);
  const spans = tally.spansAccepted + tally.spansRefused;
  const refused = [...tally.answers].filter(([answer]) => answer !== "200")
    .map(([answer, count]) => `  ${count} bodies: ${answer}`);
  const { adminPort } = options;
  const admin = adminPort === ADMIN_PORT_DEFAULT ? "" : ` --admin ${HOST}:${adminPort}`;
  const lines = [
    `Sent ${spans} spans of ${traces} traces; ${tally.spansAccepted} spans were accepted.`,
    ...refused,
    ...KINDS.map(([kind, words]) => `  ${String(tally.traces[kind]).padStart(6)} traces ${words}`),
    "",
    "With its default policies the gateway keeps the traces of the first two lines and a tenth of",
    "the third. It judges a trace 30 s after its first span. What became of one trace:",
    ...KINDS.flatMap(([kind, words]) => {
      const id = tally.examples[kind];
      const command = `node dist/engine/main.js explain ${id}${admin}`;
      return id === undefined ? [] : [`  ${command}   # ${words}`];
    }),
    "and of all:",
    `  node dist/engine/main.js status${admin}`,
    "The line \"sends\" of the gateway's first output says where kept traces go.",
  ];
  return `${lines.join("\n")}\n`;
}

async function main(options: Options): Promise<number> {
  const reason = await whyNotReady(options.port);
  if (reason !== null) {
    process.stderr.write(`send-load: ${reason}\n`);
    return EXIT_REFUSED;
  }
  process.stdout.write(`Sending ${options.rate} traces a second of a made-up web shop to `
    + `http://${HOST}:${options.port}/v1/traces for ${options.seconds} s ...\n`);
  const tally: Tally = {
    traces: { error: 0, slow: 0, normal: 0 }, examples: {}, spansAccepted: 0, spansRefused: 0,
    answers: new Map(),
  };
  await sendAll(options, tally);
  process.stdout.write(summary(options, tally));
  return tally.spansRefused === 0 ? 0 : EXIT_REFUSED;
}

const options = readOptions();
if (options === "help") process.stdout.write(USAGE);
else if (options === null) {
  process.stderr.write(USAGE);
  process.exitCode = EXIT_USAGE;
} else {
  process.exitCode = await main(options);
}
