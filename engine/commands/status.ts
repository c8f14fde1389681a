// tailrace status: how a running gateway does.

import { setTimeout as sleep } from "node:timers/promises";
import type { Address } from "../../config/setting-row.ts";
import { addressText } from "../../config/values.ts";
import type { StatusReport } from "../telemetry/status-report.ts";
import { askAdmin, findAdmin, jsonOf, readAdminFlags } from "./admin-client.ts";
import { EXIT_NO_ANSWER, EXIT_OK, refuseUsage, type CommandInput } from "./command.ts";
import { askCluster, type ClusterAnswer } from "./status-cluster.ts";
import { statusPage } from "./status-page.ts";

const REDRAW_MS = 2_000;
/** Cursor to the upper left, and everything below it empty. */
const REDRAW = "\u001b[H\u001b[J";

type Answer =
  | { readonly report: StatusReport; readonly body: string; readonly cluster: ClusterAnswer }
  | { readonly fault: string };

/** Prints the page, once or again and again. */
export async function status(input: CommandInput): Promise<number> {
  const { terminal } = input;
  const reading = readAdminFlags(input.argv, { watch: { type: "boolean" } }, false);
  if ("refusal" in reading) return refuseUsage(input, "status", reading.refusal);
  const { values } = reading;
  const target = await findAdmin(values, input);
  if ("refusal" in target) return refuseUsage(input, "status", target.refusal);
  if (values["watch"] === true) {
    if (terminal.interactive && values["json"] !== true) return await watch(target.address, input);
    return refuseUsage(input, "status", "--watch draws on a terminal, without --json");
  }
  const answer = await ask(target.address);
  if ("fault" in answer) {
    terminal.complain(`tailrace status: ${answer.fault}\n`);
    return EXIT_NO_ANSWER;
  }
  const { report, body, cluster } = answer;
  if (values["json"] !== true) terminal.write(statusPage(report, null, terminal, cluster));
  else if (cluster === null) terminal.write(body);
  else if ("unknown" in cluster) {
    terminal.complain(`tailrace status: ${cluster.unknown}\n`);
    terminal.write(body);
  } else terminal.write(`${JSON.stringify({ ...report, cluster }, null, 2)}\n`);
  return report.ready ? EXIT_OK : EXIT_NO_ANSWER;
}

/** Until a signal ends the process. */
async function watch(address: Address, { terminal }: CommandInput): Promise<never> {
  let earlier: StatusReport | null = null;
  for (;;) {
    const answer = await ask(address);
    if ("fault" in answer) {
      terminal.write(`${REDRAW}${answer.fault}\n`);
      earlier = null;
    } else {
      terminal.write(REDRAW + statusPage(answer.report, earlier, terminal, answer.cluster));
      earlier = answer.report;
    }
    await sleep(REDRAW_MS);
  }
}

async function ask(address: Address): Promise<Answer> {
  const answer = await askAdmin(address, "/status");
  if ("unreachable" in answer) return { fault: answer.unreachable };
  const body = jsonOf(answer.body);
  if (answer.status === 200 && isStatusReport(body)) {
    return { report: body, body: answer.body, cluster: await askCluster(address) };
  }
  return {
    fault: `${addressText(address)} answered ${answer.status}, and not what this version of `
      + "tailrace does; is it the admin address of a gateway, of this version?",
  };
}

/** The parts that the page cannot do without; they came with this version. */
function isStatusReport(value: unknown): value is StatusReport {
  return typeof value === "object" && value !== null
    && "version" in value && typeof value.version === "string"
    && "ready" in value && typeof value.ready === "boolean"
    && "reasons" in value && Array.isArray(value.reasons)
    && "balance" in value && typeof value.balance === "object" && value.balance !== null
    && "lanes" in value && Array.isArray(value.lanes)
    && "forwarders" in value && Array.isArray(value.forwarders)
    && "requests" in value && typeof value.requests === "object" && value.requests !== null
    && "process" in value && typeof value.process === "object" && value.process !== null;
}
