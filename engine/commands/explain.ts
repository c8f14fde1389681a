// tailrace explain: what a running gateway knows of one trace, and why it was kept or dropped.

import { addressText } from "../../config/values.ts";
import type { TraceReport } from "../telemetry/trace-report.ts";
import { askAdmin, findAdmin, jsonOf, readAdminFlags } from "./admin-client.ts";
import {
  EXIT_NO_ANSWER, EXIT_OK, EXIT_UNKNOWN, refuseUsage, type CommandInput,
} from "./command.ts";
import { traceCard } from "./explain-card.ts";
import { printable } from "./terminal.ts";

const NOT_FOUND = 404;
const SHOWN_CHARACTERS_MAX = 80;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Prints the card of a trace. */
export async function explain(input: CommandInput): Promise<number> {
  const { terminal } = input;
  const reading = readAdminFlags(input.argv, {}, true);
  if ("refusal" in reading) return refuseUsage(input, "explain", reading.refusal);
  const { values, operands } = reading;
  if (operands.length === 0) return refuseUsage(input, "explain", "which trace? give its id");
  const traceId = traceIdOf(operands.join(" "));
  if (traceId === null) {
    const shown = JSON.stringify(operands.join(" ").slice(0, SHOWN_CHARACTERS_MAX));
    return refuseUsage(input, "explain",
      `${shown} is no trace id: write 32 or 16 hex digits that are not all zero`);
  }
  const target = await findAdmin(values, input);
  if ("refusal" in target) return refuseUsage(input, "explain", target.refusal);
  const answer = await askAdmin(target.address, `/traces/${traceId}`);
  if ("unreachable" in answer) {
    terminal.complain(`tailrace explain: ${answer.unreachable}\n`);
    return EXIT_NO_ANSWER;
  }
  const body = jsonOf(answer.body);
  if (answer.status === NOT_FOUND && isProblem(body) && body.error === "trace_unknown") {
    if (values["json"] === true) terminal.write(answer.body);
    else terminal.complain(unknownTrace(traceId, addressText(target.address)));
    return EXIT_UNKNOWN;
  }
  if (answer.status !== 200 || !isTraceReport(body)) {
    const hint = isProblem(body) ? body.hint : "is it a tailrace of this version?";
    terminal.complain(`tailrace explain: ${addressText(target.address)} answered `
      + `${answer.status}: ${printable(hint)}\n`);
    return EXIT_NO_ANSWER;
  }
  terminal.write(values["json"] === true ? answer.body : traceCard(body, terminal));
  return EXIT_OK;
}

/** 32 lower-case hex digits, or 16; null when the text holds no id. */
export function traceIdOf(text: string): string | null {
  const plain = text.trim().toLowerCase();
  const digits = TRACEPARENT.exec(plain)?.[1] ?? plain.replace(/[-\s]/g, "").replace(/^0x/, "");
  return /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/.test(digits) && !/^0+$/.test(digits) ? digits : null;
}

function unknownTrace(traceId: string, address: string): string {
  return `The gateway at ${address} knows nothing of trace ${traceId}. One of these:
  - No span of it came here: its senders may not sample it, or send elsewhere.
  - Its spans came and were refused: tailrace status shows refused requests and spans.
  - It was judged so long ago that its decision is forgotten: see DecisionMemory.
  - The id is that of a span, or lost digits on its way here.
`;
}

function isProblem(value: unknown): value is { readonly error: string; readonly hint: string } {
  return typeof value === "object" && value !== null && "error" in value && "hint" in value
    && typeof value.error === "string" && typeof value.hint === "string";
}

/** What the card reads first; the rest is of the same version, or is shown as unknown. */
function isTraceReport(value: unknown): value is TraceReport {
  return typeof value === "object" && value !== null && "traceId" in value && "state" in value
    && typeof value.traceId === "string" && typeof value.state === "string"
    && "decisions" in value && Array.isArray(value.decisions)
    && "undecided" in value && Array.isArray(value.undecided);
}
