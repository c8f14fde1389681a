// Whether a server serves: its /health says that it has a leader and that a quorum answered a read.

import http from "node:http";
import https from "node:https";

export interface HealthTls {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** The answer is a few bytes; more is no answer of etcd. */
const ANSWER_BYTES_MAX = 4_096;
const HTTP_OK = 200;
/** Addresses that mean all of the machine are called on loopback. */
const ANY_ADDRESSES: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "[::]": "[::1]" };

/** A listening URL as this machine calls it. */
export function reachableUrl(url: string): string {
  const target = new URL(url);
  target.hostname = ANY_ADDRESSES[target.hostname] ?? target.hostname;
  return target.href.replace(/\/$/, "");
}

/** Asks `url` + /health. @returns false for every fault: who does not answer is not well. */
export async function isHealthy(
  url: string, tls: HealthTls | null, timeoutMs: number,
): Promise<boolean> {
  const target = new URL("/health", reachableUrl(url));
  return await new Promise((resolve) => {
    const options = { agent: false, timeout: timeoutMs, ...tls };
    const client = target.protocol === "https:" ? https : http;
    const request = client.get(target, options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) request.destroy();
      });
      response.on("end", () => finish(response.statusCode === HTTP_OK && saysHealthy(text)));
      response.on("close", () => finish(false));
    });
    // `timeout` is about silence; this is about the whole answer.
    const timer = setTimeout(() => request.destroy(), timeoutMs);
    const finish = (answer: boolean): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    request.on("error", () => finish(false));
    request.on("close", () => finish(false));
  });
}

function saysHealthy(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    const health = typeof value === "object" && value !== null && "health" in value
      ? value.health : null;
    return health === "true" || health === true;
  } catch {
    return false; // something else listens there
  }
}
