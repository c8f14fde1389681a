// What a transaction or a read of the log answers. Numbers, because the lane acts on them every
// turn.

/** Committed: safe as the durability setting promises. */
export const LOG_OK = 0;
/** Nothing was written: the disk, or a quota, is full. The same work may be tried again later. */
export const LOG_FULL = 1;
/** Nothing was written for another reason; `lastError` has it. The same work may be tried again. */
export const LOG_FAILED = 2;
export type LogStatus = typeof LOG_OK | typeof LOG_FULL | typeof LOG_FAILED;

/** When a commit is safe: once the kernel has it, or once the disk has it. */
export type Durability = "process" | "disk";
