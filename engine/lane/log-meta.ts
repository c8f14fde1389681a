import { z } from "zod";
import type { PolicySetSummary } from "./policy-sets.ts";

const LOG_META = z.object({
  logId: z.string(),
  lanes: z.number(),
  forwarders: z.array(z.string()),
  policySets: z.array(z.object({
    hash: z.string(),
    policies: z.array(z.object({
      name: z.string(), samplerSlot: z.number(), sampleRate: z.number(),
    })),
  })),
});

/** What the head of a generation says about the run that wrote it. */
export interface LogMeta {
  readonly logId: string;
  readonly lanes: number;
  /** Forwarder names by slot. */
  readonly forwarders: readonly string[];
  /** By the number that decisions of this generation give them; 0 made the predicate bits. */
  readonly policySets: readonly PolicySetSummary[];
}

export function encodeLogMeta(meta: LogMeta): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(meta));
}

/** @throws SyntaxError or ZodError for text that no version wrote: it passed its checksum. */
export function decodeLogMeta(bytes: Uint8Array, at: number, end: number): LogMeta {
  return LOG_META.parse(JSON.parse(new TextDecoder().decode(bytes.slice(at, end))));
}
