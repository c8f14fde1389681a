import { parseArgs } from "node:util";
import type { DemoPorts } from "./demo-gateway.ts";

export const DEMO_USAGE = `usage: npm run demo [-- OPTION...]
Sends the traffic of a made-up shop to a gateway and tells what became of it. For a clone: the
OpenTelemetry SDK that it uses is no part of the installed package. Without --attach it starts a
gateway of its own, on free ports, with its log in a temporary directory.
  --seconds N      how long to send (25)
  --rate N         traces begun in a second, of three to eight spans each (30)
  --keep-running   leave the gateway running at the end, until Ctrl-C, to look around
  --attach         send to a gateway that runs; its own policies decide, nothing is expected
  --otlp-port N    with --attach: port of its OTLP/HTTP listener (4318)
  --zipkin-port N  with --attach: port of its signalfx listener (8080)
  --admin-port N   with --attach: port of its admin address (9464)
  --help           this text
Exit codes: 0 all as expected, 1 something was not, 2 usage, 130 ended by Ctrl-C.
`;

export interface DemoOptions {
  readonly seconds: number;
  readonly rate: number;
  readonly keepRunning: boolean;
  /** Where to attach; null for a gateway of its own. */
  readonly attach: DemoPorts | null;
}

const PORT_MAX = 65_535;
const SECONDS_MAX = 3_600;
/** More is a bench, and there are benches. */
const RATE_MAX = 200;

/**
 * Options from the words after the command; "help" when that was asked for.
 * @throws RangeError or TypeError with a sentence for the user.
 */
export function readDemoOptions(words: readonly string[]): DemoOptions | "help" {
  const { values } = parseArgs({ args: [...words], options: {
    "seconds": { type: "string", default: "25" }, "rate": { type: "string", default: "30" },
    "keep-running": { type: "boolean", default: false },
    "attach": { type: "boolean", default: false },
    "otlp-port": { type: "string", default: "4318" },
    "zipkin-port": { type: "string", default: "8080" },
    "admin-port": { type: "string", default: "9464" },
    "help": { type: "boolean", default: false },
  } });
  if (values.help) return "help";
  return {
    seconds: wholeNumber(values.seconds, 1, SECONDS_MAX),
    rate: wholeNumber(values.rate, 1, RATE_MAX),
    keepRunning: values["keep-running"],
    attach: values.attach ? {
      otlp: wholeNumber(values["otlp-port"], 1, PORT_MAX),
      zipkin: wholeNumber(values["zipkin-port"], 1, PORT_MAX),
      admin: wholeNumber(values["admin-port"], 1, PORT_MAX),
    } : null,
  };
}

function wholeNumber(text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`"${text}" is not a whole number from ${least} to ${most}`);
  }
  return value;
}
