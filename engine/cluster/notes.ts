// What coordinators send each other beside batches: questions about etcd and about traces, and the
// word that a report is still being made. JSON.

import { z } from "zod";

const nonce = z.int().min(0);
const noteSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("ask"), nonce }),
  z.object({ kind: z.literal("grant"), nonce, epoch: nonce, incarnation: z.string() }),
  z.object({ kind: z.literal("walking") }),
  z.object({ kind: z.literal("trace"), question: nonce, traceId: z.string().length(32) }),
  z.object({ kind: z.literal("answer"), question: nonce, trace: z.unknown() }),
]);

export type Note = z.infer<typeof noteSchema>;

/** @returns null for what no version that is known writes. */
export function readNote(text: string): Note | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // told by the caller
  }
  const read = noteSchema.safeParse(value);
  return read.success ? read.data : null;
}

