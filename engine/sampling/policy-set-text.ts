// A node's policies as other nodes of its cluster read them: JSON under the sha256 of its text.
// From it another node gets the predicates by which parts for this one are folded, the numbers of
// this one's forwarders, and what its votes mean.

import { createHash } from "node:crypto";
import { z } from "zod";
import { GatewayError } from "../base/errors.ts";
import { FORWARDERS_MAX } from "../part/decision-layout.ts";
import {
  compilePolicySet, SEMANTICS_VERSION, type PolicySet, type SamplerInput,
} from "./compile.ts";
import { policiesSchema } from "./policy-config.ts";

/** Raised when an older version would read a text otherwise than it is meant. */
export const POLICY_SET_FORMAT = 1;

/** A text, and the hash that it is known by. */
export interface PublishedPolicySet {
  readonly hash: string;
  readonly text: string;
}

/** What a text says. */
export interface ForeignPolicySet {
  /** Names of forwarders by slot, FORWARDERS_MAX of them; "" where a slot is free. */
  readonly slotNames: readonly string[];
  readonly set: PolicySet;
  /** What is configured, whatever the numbers of forwarders: equal for equal configurations. */
  readonly meaning: string;
}

const headSchema = z.object({ format: z.int(), semantics: z.int() });
const setSchema = z.object({
  slotNames: z.array(z.string()).length(FORWARDERS_MAX),
  samplers: z.array(z.object({
    slot: z.int().min(0).max(FORWARDERS_MAX - 1),
    forwarder: z.string().min(1),
    invertDecisions: z.boolean().optional(),
    policies: policiesSchema,
  })).max(FORWARDERS_MAX),
});

/** Hash of a text: nodes of equal hashes have equal predicates, votes and numbers of forwarders. */
export function hashPolicySetText(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** @param slotNames as ForeignPolicySet has them. */
export function writePolicySet(
  samplers: readonly SamplerInput[], slotNames: readonly string[],
): PublishedPolicySet {
  const text = JSON.stringify({
    format: POLICY_SET_FORMAT, semantics: SEMANTICS_VERSION, slotNames,
    samplers: samplers.map(({ slot, forwarder, invertDecisions, policies }) => {
      return { slot, forwarder, invertDecisions, policies };
    }),
  });
  return { hash: hashPolicySetText(text), text };
}

/**
 * Reads and compiles a text.
 * @throws GatewayError CLUSTER_FORMAT for what another version wrote, or none; CONFIG_INVALID for
 * policies that this version does not compile.
 */
export function readPolicySet(text: string): ForeignPolicySet {
  const value = parse(text);
  const head = headSchema.safeParse(value);
  if (!head.success) throw unreadable(z.prettifyError(head.error));
  const { format, semantics } = head.data;
  if (format !== POLICY_SET_FORMAT || semantics !== SEMANTICS_VERSION) {
    throw unreadable(`it has format ${format}.${semantics}, and this version reads `
      + `${POLICY_SET_FORMAT}.${SEMANTICS_VERSION}`);
  }
  const read = setSchema.safeParse(value);
  if (!read.success) throw unreadable(z.prettifyError(read.error));
  const { slotNames, samplers } = read.data;
  const isNamed = samplers.every(({ slot, forwarder }) => slotNames[slot] === forwarder);
  const isOnce = new Set(samplers.map(({ slot }) => slot)).size === samplers.length;
  if (!isNamed || !isOnce) throw unreadable("its samplers and forwarders do not fit");
  const meaning = JSON.stringify(samplers.map((sampler) => ({ ...sampler, slot: 0 })));
  return { slotNames, set: compilePolicySet(samplers), meaning };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GatewayError("CLUSTER_FORMAT", "the text is not JSON", {}, error);
  }
}

function unreadable(problem: string): GatewayError {
  return new GatewayError("CLUSTER_FORMAT", problem, { problem });
}
