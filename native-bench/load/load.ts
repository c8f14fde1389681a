// Drives the load generator (generator.c) from here, and the sink (sink.c) that plays the backend.

import { spawn, type ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { nativeProgram } from "../native-program.ts";
import type { Payload } from "./payload.ts";

/** A sink that says nothing for so long does not run. */
const SINK_START_MS = 5_000;

export interface LoadOptions {
  /** For the generator's files; the caller removes it. */
  readonly directory: string;
  /** Connections take turns: with several, a trace's spans reach different gateways. */
  readonly ports: readonly number[];
  readonly payload: Payload;
  readonly connections: number;
  readonly seconds: number;
  /** 0: closed loop, as fast as answers come. */
  readonly requestsPerSecond: number;
  /** 0: no bound but the time. */
  readonly requestsMax: number;
  /** Requests in a row that a trace has spans in. */
  readonly spread: number;
  readonly seed: number;
}

/** What the generator saw. Latencies of an open loop count from when a request was due. */
export interface LoadResult {
  /** From the first request to the last answer. */
  readonly seconds: number;
  /** Requests that should have been sent; equals `sent` in a closed loop. */
  readonly due: number;
  readonly sent: number;
  /** Requests that got no answer within ten seconds of the end. */
  readonly unanswered: number;
  /** Requests whose connection ended before the answer. */
  readonly broken: number;
  readonly reconnects: number;
  /** Of the generator. */
  readonly cpuSeconds: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Answers by status code. */
  readonly status: Readonly<Record<string, number>>;
}

/** Runs the generator to its end, without blocking this thread. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const program = nativeProgram("native-bench/load/generator.c");
  const body = join(options.directory, "body");
  const ids = join(options.directory, "ids");
  const { payload } = options;
  const form = payload.hexIds ? "h" : "r";
  writeFileSync(body, payload.body);
  writeFileSync(ids, payload.ids
    .map(({ at, bytes, group }) => `${at} ${bytes} ${group} ${form}\n`).join(""));
  const output = await outputOf(spawn(program, [
    options.ports.join(","), payload.path, payload.contentType, body, ids, options.connections,
    options.seconds, options.requestsPerSecond, options.requestsMax, options.spread, options.seed,
  ].map(String), { stdio: ["ignore", "pipe", "pipe"] }));
  return JSON.parse(output) as LoadResult; // our own program's
}

/** Requests answered with 2xx. */
export function acceptedRequests(result: LoadResult): number {
  return Object.entries(result.status)
    .filter(([status]) => status.startsWith("2"))
    .reduce((sum, [, count]) => sum + count, 0);
}

/** What a sink counted. */
export interface SinkResult {
  readonly requests: number;
  readonly bytes: number;
  readonly cpuSeconds: number;
}

/** A backend that throws away what it gets; a process of its own. */
export class Sink {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #output: Promise<string>;

  private constructor(sink: ChildProcess, output: Promise<string>, port: number) {
    this.#process = sink;
    this.#output = output;
    this.port = port;
  }

  static async start(): Promise<Sink> {
    const sink = spawn(nativeProgram("native-bench/load/sink.c"), {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = outputOf(sink);
    const port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the sink is silent")), SINK_START_MS);
      sink.stdout?.once("data", (chunk: Buffer) => {
        clearTimeout(timer);
        resolve(Number(chunk.toString().split(" ")[1]));
      });
      output.catch(reject);
    });
    return new Sink(sink, output, port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/v1/traces`;
  }

  async stop(): Promise<SinkResult> {
    this.#process.kill("SIGTERM");
    const lines = (await this.#output).trim().split("\n");
    return JSON.parse(lines.at(-1) ?? "") as SinkResult; // our own program's
  }
}

/** Standard output of a process that ends well. @throws with what it complained about otherwise. */
function outputOf(child: ChildProcess): Promise<string> {
  let output = "";
  let complaints = "";
  child.stdout?.on("data", (chunk: Buffer) => { output += chunk.toString(); });
  child.stderr?.on("data", (chunk: Buffer) => { complaints += chunk.toString(); });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${child.spawnfile} ended with ${code ?? signal}: ${complaints}`));
    });
  });
}
