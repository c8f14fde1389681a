// The ForwardTo entries: common keys, keys of the type, the sampler, the access token.

import { resolve } from "node:path";
import type { Findings } from "./findings.ts";
import {
  ORIGINAL_FORWARDER, ORIGINAL_FORWARDER_TYPES, ORIGINAL_TRACE_SAMPLE,
} from "./original-keys.ts";
import { NODE_KEYS, type WrittenNodeKey } from "./read-cluster.ts";
import {
  memberOf, openSection, pathOf, readObjects, readRows, readType, refuseMember, reportOtherKeys,
  valueOf, type ReadContext, type Section,
} from "./read-section.ts";
import type {
  FileForwarderSettings, ForwarderSettings, OtlpForwarderSettings, TraceSampleSettings,
} from "./settings-types.ts";
import {
  DEFAULT_POLICIES, FILE_FORWARDER, FORWARDER, FORWARDERS_MAX, FORWARDER_TYPES, OTLP_FORWARDER,
  TRACE_SAMPLE,
} from "./settings.ts";
import { readValueText } from "./values.ts";
import { reportTwins } from "./document.ts";
import { offsetOf } from "./document-node.ts";

/** What a variable's name looks like, and hardly any token. */
const VARIABLE_NAME = /^[A-Z][A-Z0-9_]{0,63}$/;
/** Last resort for an access token, as in the original. */
const TOKEN_VARIABLE = "SIGNALFX_ACCESS_TOKEN";

/** What is wrong with policies, each as `path: sentence`; paths begin with the given one. */
export type ValidatePolicies = (policies: readonly unknown[], path: string) => readonly string[];

/** A directory that a TraceSample asks for, with its place for messages. */
export interface WrittenLocation {
  readonly path: string;
  readonly directory: string;
  readonly offset: number;
}

/** What the forwarders say; entries with an unknown type are left out. */
export interface ForwardersReading {
  readonly forwarders: readonly ForwarderSettings[];
  readonly sections: readonly Section[];
  readonly locations: readonly WrittenLocation[];
  /** Keys of TraceSamples that belong to the node. */
  readonly nodeKeys: readonly WrittenNodeKey[];
}

/** What TraceSamples say of the node, collected. */
interface SaidOfNode {
  readonly locations: WrittenLocation[];
  readonly nodeKeys: WrittenNodeKey[];
}

/** Reads ForwardTo; problems are in the context. */
export function readForwarders(
  top: Section, context: ReadContext, validatePolicies: ValidatePolicies,
): ForwardersReading {
  const forwarders: ForwarderSettings[] = [];
  const sections: Section[] = [];
  const said: SaidOfNode = { locations: [], nodeKeys: [] };
  for (const section of readObjects(top, "ForwardTo", FORWARDERS_MAX, context)) {
    const type = readType(section, FORWARDER_TYPES, ORIGINAL_FORWARDER_TYPES, "forwarder", context);
    if (type === null) {
      // For what is wrong in it.
      readTraceSample(section, { locations: [], nodeKeys: [] }, context, validatePolicies);
      continue;
    }
    const traceSample = readTraceSample(section, said, context, validatePolicies);
    forwarders.push(type === "otlp"
      ? readOtlpForwarder(section, traceSample, context)
      : readFileForwarder(section, traceSample, context));
    sections.push(section);
  }
  return { forwarders, sections, ...said };
}

function readOtlpForwarder(
  section: Section, traceSample: TraceSampleSettings | null, context: ReadContext,
): OtlpForwarderSettings {
  const common = readCommon(section, "otlp", context);
  const { defaultAuthToken, authTokenEnvVar, ...own } = readRows(OTLP_FORWARDER, section, context);
  reportOtherKeys(section, [FORWARDER, OTLP_FORWARDER, DISTRIBUTOR], ORIGINAL_FORWARDER, context);
  warnOfBarePath(section, own.url, context);
  const token = readToken(section, defaultAuthToken, authTokenEnvVar, context);
  const carried = Object.keys(own.headers)
    .some((name) => name.toLowerCase() === own.tokenHeader.toLowerCase());
  const headers = memberOf(section, "Headers");
  if (carried && token !== "" && headers !== null) {
    refuseMember(
      headers, OTLP_FORWARDER.Headers, `has ${own.tokenHeader}, which carries the access token`,
      "remove it, or the token", context,
    );
  }
  return { type: "otlp", ...common, ...own, token, traceSample };
}

function warnOfBarePath(section: Section, url: string, context: ReadContext): void {
  const member = memberOf(section, "URL");
  if (member === null || url === "" || new URL(url).pathname !== "/") return;
  const message = "has no path, and none is added; OTLP backends take traces at /v1/traces";
  context.findings.warning(member.path, message, member.node.offset);
}

function readFileForwarder(
  section: Section, traceSample: TraceSampleSettings | null, context: ReadContext,
): FileForwarderSettings {
  const common = readCommon(section, "file", context);
  const own = readRows(FILE_FORWARDER, section, context);
  reportOtherKeys(section, [FORWARDER, FILE_FORWARDER, DISTRIBUTOR], ORIGINAL_FORWARDER, context);
  if (own.maxFileBytes > own.maxBytes) {
    problemAt(
      context.findings, section, "MaxFileBytes",
      "is more than MaxBytes, so that no whole file would be kept; lower it or raise MaxBytes",
    );
  }
  return { type: "file", ...common, ...own, traceSample };
}

/** The original's routing-only tier: known, and refused with its own sentence. */
const DISTRIBUTOR = {
  TraceDistributor: { kind: "structure", form: "nothing", doc: "Not supported." },
} as const;

function readCommon(section: Section, type: string, context: ReadContext) {
  const common = readRows(FORWARDER, section, context);
  if (common.retryInitialMs > common.retryMaxMs) {
    const message = "is more than RetryMax; lower it or raise RetryMax";
    problemAt(context.findings, section, "RetryInitial", message);
  }
  return { ...common, name: common.name === "" ? type : common.name };
}

function problemAt(findings: Findings, section: Section, name: string, message: string): void {
  const offset = memberOf(section, name)?.node.offset ?? section.node.offset;
  findings.problem(pathOf(section, name), message, offset);
}

function readToken(
  section: Section, fromFile: string, variable: string, context: ReadContext,
): string {
  const fromVariable = readTokenVariable(variable, context);
  if (fromVariable !== "") return fromVariable;
  if (variable !== "" && fromFile === "") {
    const at = memberOf(section, "AuthTokenEnvVar")?.node.offset ?? section.node.offset;
    // Some write the token itself here, and tokens have small letters.
    const named = VARIABLE_NAME.test(variable) ? `variable ${variable}` : "variable";
    const message = `the ${named} is not set and there is no DefaultAuthToken; set it`;
    context.findings.warning(pathOf(section, "AuthTokenEnvVar"), message, at);
  }
  return fromFile === "" ? readTokenVariable(TOKEN_VARIABLE, context) : fromFile;
}

function readTokenVariable(variable: string, context: ReadContext): string {
  const text = variable === "" ? undefined : context.env[variable];
  if (text === undefined || text === "") return "";
  const reading = readValueText(OTLP_FORWARDER.DefaultAuthToken, text, context.cwd);
  if (reading.accepted) return text;
  context.findings.problem(variable, reading.message, null);
  return "";
}

function readTraceSample(
  forwarder: Section, said: SaidOfNode, context: ReadContext, validatePolicies: ValidatePolicies,
): TraceSampleSettings | null {
  const member = memberOf(forwarder, "TraceSample");
  refuseDistributor(forwarder, member !== null, context);
  if (member === null) {
    const written = forwarder.members.get("tracesample");
    if (written !== undefined) {
      const message = "is empty, so every span is forwarded; write {} for the default policies";
      context.findings.warning(written.path, message, written.keyAt);
    }
    return null;
  }
  const section = openSection(member.node, member.path, context);
  if (section === null) return null;
  const own = readRows(TRACE_SAMPLE, section, context);
  reportOtherKeys(section, [TRACE_SAMPLE], ORIGINAL_TRACE_SAMPLE, context);
  readLocation(section, said.locations, context);
  said.nodeKeys.push(...nodeKeysOf(section));
  const afterRoot = memberOf(section, "DecisionWaitAfterRoot");
  if (afterRoot !== null && own.decisionWaitAfterRootMs >= Math.max(own.decisionWaitMs, 1)) {
    const message = "has no effect: DecisionWait is not longer, so it always ends first";
    context.findings.warning(afterRoot.path, message, afterRoot.node.offset);
  }
  return { ...own, policies: readPolicies(section, context, validatePolicies) };
}

function refuseDistributor(forwarder: Section, sampled: boolean, context: ReadContext): void {
  const distributor = memberOf(forwarder, "TraceDistributor");
  if (distributor === null) return;
  const message = sampled
    ? "please specify only TraceSample or TraceDistributor not both"
    : "there is no tier that only routes: every node judges traces; rename it to TraceSample";
  context.findings.problem(distributor.path, message, distributor.keyAt);
}

function readLocation(
  section: Section, locations: WrittenLocation[], context: ReadContext,
): void {
  const member = memberOf(section, "BackupLocation");
  if (member === null) return;
  const written = valueOf(member);
  if (typeof written !== "string" || written === "" || written.includes("\0")) {
    const advice = "write the directory of the log in double quotes";
    refuseMember(member, TRACE_SAMPLE.BackupLocation, "is no path", advice, context);
    return;
  }
  const directory = resolve(context.cwd, written);
  locations.push({ path: member.path, directory, offset: member.node.offset });
}

/** Empty ones are as if they were not there. */
function nodeKeysOf(section: Section): WrittenNodeKey[] {
  return NODE_KEYS.flatMap((name) => {
    const member = memberOf(section, name);
    const value = member === null ? "" : valueOf(member);
    if (member === null || value === "") return [];
    return [{ name, path: member.path, value, offset: member.node.offset }];
  });
}

function readPolicies(
  section: Section, context: ReadContext, validatePolicies: ValidatePolicies,
): readonly unknown[] {
  const member = memberOf(section, "Policies");
  const written: unknown = member === null ? DEFAULT_POLICIES : valueOf(member);
  if (member !== null && (!Array.isArray(written) || written.length === 0)) {
    refuseMember(
      member, TRACE_SAMPLE.Policies, Array.isArray(written) ? "would keep nothing" : "is no array",
      "write at least one policy, or leave the key out for the default policies", context,
    );
    return [];
  }
  const policies = written as readonly unknown[]; // an array: checked above, or the default
  const path = pathOf(section, "Policies");
  if (member !== null) reportTwins(member.node, path, context.findings);
  for (const problem of validatePolicies(policies, path)) {
    const pathEnd = Math.max(problem.indexOf(": ", path.length), path.length);
    const within = problem.slice(path.length, pathEnd);
    const offset = member === null ? section.node.offset : offsetOf(member.node, within);
    const message = problem.slice(pathEnd).replace(/^: /, "");
    context.findings.problem(path + within, message, offset);
  }
  return policies;
}
