// Asks a gateway at its admin address. Whatever goes wrong becomes one sentence that says what to
// do.

import http from "node:http";
import { readFlags, textOf, type Flags } from "../../config/command-line.ts";
import type { Address } from "../../config/setting-row.ts";
import { TOP_LEVEL } from "../../config/settings.ts";
import { addressText, readValue } from "../../config/values.ts";
import type { CommandInput } from "./command.ts";

/** Flags of every command that asks a gateway. */
export const ADMIN_FLAGS = {
  admin: { type: "string" }, configfile: { type: "string" }, json: { type: "boolean" },
} as const satisfies Flags;

/** What a gateway answered, or why there is no answer. */
export type AdminAnswer =
  | { readonly status: number; readonly body: string }
  | { readonly unreachable: string };

/** Where to ask. */
export type AdminTarget = { readonly address: Address } | { readonly refusal: string };

/** A lookup may take 5 s at the gateway; this is longer. */
const ANSWER_MS = 8_000;
/** A status of many lanes and forwarders is some hundred KB. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const VARIABLE = "TAILRACE_ADMIN_ADDRESS";

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there", ETIMEDOUT: "no answer in time",
  ENOTFOUND: "there is no such host", EAI_AGAIN: "the host name cannot be looked up now",
  EHOSTUNREACH: "the host cannot be reached", ENETUNREACH: "the network cannot be reached",
  ECONNRESET: "the connection was cut",
};

/** The flags of such a command, or the sentence for what is wrong. */
export function readAdminFlags(argv: readonly string[], flags: Flags, operands: boolean) {
  return readFlags(argv, { ...ADMIN_FLAGS, ...flags }, operands);
}

/** The flag, else the named file under the environment as at a start, else the environment. */
export async function findAdmin(
  values: Readonly<Record<string, string | boolean | undefined>>,
  { env, cwd, version, buildDate }: CommandInput,
): Promise<AdminTarget> {
  const flag = textOf(values["admin"]);
  if (flag !== null) return readAddress(flag.replace(/^http:\/\/|\/+$/g, ""), "--admin", cwd);
  const configFile = textOf(values["configfile"]);
  if (configFile === null) {
    const variable = env[VARIABLE] ?? "";
    const text = variable === "" ? TOP_LEVEL.AdminAddress.default : variable;
    return readAddress(text, VARIABLE, cwd);
  }
  const { loadHere } = await import("./load-here.ts");
  const result = loadHere(["--configfile", configFile], { env, cwd, version, buildDate }, () => []);
  if (result.kind !== "run") return { refusal: result.text.trimEnd() };
  return usable(result.settings.adminAddress, "AdminAddress");
}

/** GET; never throws. */
export async function askAdmin({ host, port }: Address, path: string): Promise<AdminAnswer> {
  const name = addressText({ host, port });
  return await new Promise<AdminAnswer>((resolve) => {
    const fail = (reason: string): void => resolve({
      unreachable: `no gateway answers at ${name} (${reason}); is it running? `
        + "--admin or --configfile says where else to ask",
    });
    const request = http.get({
      host, port, path, agent: false, signal: AbortSignal.timeout(ANSWER_MS),
    }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) response.destroy(new Error("the answer has no end"));
        else chunks.push(chunk);
      });
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
      });
      response.on("error", (error) => fail(reasonOf(error)));
    });
    request.on("error", (error) => fail(reasonOf(error)));
  });
}

/** JSON of an answer, or null when it is none. */
export function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return null; // another program listens there: the caller says so
  }
}

function readAddress(text: string, name: string, cwd: string): AdminTarget {
  const reading = readValue(TOP_LEVEL.AdminAddress, text, cwd);
  if (!reading.accepted) return { refusal: `${name}: ${reading.message}` };
  return usable(reading.value as Address, name); // what a row of this kind reads
}

/** A gateway that listens on every address is asked on the loopback one. */
function usable({ host, port }: Address, name: string): AdminTarget {
  if (port === 0) {
    return { refusal: `${name} has port 0, so the system chose one; ask with --admin HOST:PORT` };
  }
  const loopback: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  return { address: { host: loopback[host] ?? host, port } };
}

function reasonOf(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  if (error.name === "TimeoutError" || error.name === "AbortError") return "no answer in time";
  return REASONS[code] ?? (code === "" ? error.message : code);
}
