// A connection that this node dials to send one stream to one other node, again and again while
// that node is a peer. Frames go one way; what comes back says how many bytes of them were taken.
//
//   WAITING ─► DIALING ─► ANSWER ─► ACCEPT ─► UP
//      ▲          └──────────┴────────┴──────┘ closed, by whomever and whyever
//      └── pause ──┘

import { connect, type Socket } from "node:net";
import { FRAME_PREFIX_BYTES } from "./frame-layout.ts";
import {
  createNonce, isProof, LINK_FORMAT, LINK_FORMAT_OLDEST, LineReader, proofOf, readAnswer, readProof,
  readRefusal, WRONG_SECRET, type Answer, type Hello, type LinkIdentity,
} from "./handshake.ts";
import { heartbeatMs, type LinkContext } from "./link-context.ts";

const PHASE_WAITING = 0;
const PHASE_DIALING = 1;
const PHASE_ANSWER = 2;
const PHASE_ACCEPT = 3;
const PHASE_UP = 4;
const PHASE_CLOSED = 5;
type Phase = typeof PHASE_WAITING | typeof PHASE_DIALING | typeof PHASE_ANSWER
  | typeof PHASE_ACCEPT | typeof PHASE_UP | typeof PHASE_CLOSED;

/** A frame of nothing. */
const PING = Buffer.alloc(FRAME_PREFIX_BYTES);
const ACK_BYTES = 4;
const NO_BYTES: Buffer = Buffer.alloc(0);

const ENDED = "the other side ended it";
const NO_GATEWAY = "what answers there is no gateway";
const ANOTHER_PROCESS = "another process answers there than the one that is meant";

export interface OutgoingTarget {
  readonly stream: number;
  readonly to: LinkIdentity;
  readonly host: string;
  readonly port: number;
}

export interface OutgoingHandlers {
  readonly up: () => void;
  /** It was up. */
  readonly down: (reason: string) => void;
  /** By either side, in words that name the setting. */
  readonly refused: (reason: string) => void;
  /** An attempt ended otherwise. @param forMs how long it has not been up. */
  readonly failed: (reason: string, forMs: number) => void;
}

/** From construction to close(). */
export class OutgoingLink {
  readonly #context: LinkContext;
  readonly #target: OutgoingTarget;
  readonly #handlers: OutgoingHandlers;
  #phase: Phase = PHASE_WAITING;
  #socket: Socket | null = null;
  #lines = new LineReader();
  #hello: Hello | null = null;
  #answer: Answer | null = null;
  /** Why the present connection ends, once it does. */
  #reason = "";
  #isRefused = false;
  #retryTimer: NodeJS.Timeout | null = null;
  #retryMs: number;
  #phaseAtMs: number;
  #downAtMs: number;
  #heardAtMs = 0;
  #sentAtMs = 0;
  #progressAtMs = 0;
  #sentBytes = 0;
  #takenBytes = 0;
  #partialAck: Buffer = NO_BYTES;

  constructor(target: OutgoingTarget, context: LinkContext, handlers: OutgoingHandlers) {
    this.#target = target;
    this.#context = context;
    this.#handlers = handlers;
    this.#retryMs = context.limits.retryMsMin;
    this.#phaseAtMs = context.nowMs();
    this.#downAtMs = this.#phaseAtMs;
    this.#dial();
  }

  get isUp(): boolean {
    return this.#phase === PHASE_UP && this.#socket?.destroyed === false;
  }

  /** It was up, and nobody was told that it is not any more. */
  get owesDown(): boolean {
    return this.#phase === PHASE_UP;
  }

  /**
   * Sent and not taken by the other node. Stays what it was when the connection is lost, until the
   * next one is up: nothing is taken by being lost.
   */
  get waitingBytes(): number {
    return this.#sentBytes - this.#takenBytes;
  }

  /** How long it is that something waits and none of it was taken. */
  get stalledMs(): number {
    return this.waitingBytes === 0 ? 0 : this.#context.nowMs() - this.#progressAtMs;
  }

  /**
   * Sends a frame, if it is up.
   * @returns false when the bytes are kept, because not all left. Those that come behind them are
   * copied: what is kept is no larger than what waits.
   */
  send(bytes: Uint8Array): boolean {
    if (!this.isUp) return true;
    const { counts, limits } = this.#context;
    const leaves = this.#socket?.writableLength === 0;
    this.#write(leaves ? bytes : new Uint8Array(bytes)); // a copy
    counts.framesSent++;
    counts.bytesSent += bytes.length;
    const isKept = leaves && this.#socket?.writableLength !== 0;
    if (this.waitingBytes > limits.waitingBytesMax) this.#drop("it takes too little of what comes");
    return !isKept;
  }

  #write(bytes: Uint8Array): void {
    const nowMs = this.#context.nowMs();
    if (this.waitingBytes === 0) this.#progressAtMs = nowMs;
    this.#sentBytes += bytes.length;
    this.#sentAtMs = nowMs;
    this.#socket?.write(bytes);
  }

  /** Ends the connection; another one is made. */
  reset(): void {
    this.#drop("it was given up");
  }

  /** Ends it for good; no handler is called any more. @returns the socket, if there is one. */
  close(): Socket | null {
    const socket = this.#socket;
    this.#phase = PHASE_CLOSED;
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
    this.#socket = null;
    return socket;
  }

  /** Looks at the time; called a few times in a heartbeat. */
  tick(): void {
    const nowMs = this.#context.nowMs();
    const { silenceMsMax, limits } = this.#context;
    if (this.#phase === PHASE_UP) {
      if (nowMs - this.#heardAtMs > silenceMsMax) this.#drop(`silent for ${silenceMsMax} ms`);
      else if (nowMs - this.#sentAtMs >= heartbeatMs(this.#context)) this.#write(PING);
    } else if (this.#socket !== null && nowMs - this.#phaseAtMs > limits.handshakeMsMax) {
      this.#drop(`no answer within ${limits.handshakeMsMax} ms`);
    }
  }

  #drop(reason: string): void {
    if (this.#reason === "") this.#reason = reason;
    this.#socket?.destroy(); // "close" follows
  }

  #dial(): void {
    const { host, port } = this.#target;
    const socket = connect({ host, port, noDelay: true });
    this.#socket = socket;
    this.#phase = PHASE_DIALING;
    this.#phaseAtMs = this.#context.nowMs();
    this.#reason = "";
    this.#isRefused = false;
    this.#lines = new LineReader();
    socket.once("connect", () => this.#introduce(socket));
    socket.on("data", (chunk: Buffer) => {
      if (socket === this.#socket) this.#take(chunk);
    });
    socket.once("end", () => this.#fail(socket, ENDED));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#fail(socket, error.code ?? error.message);
    });
    socket.once("close", () => {
      if (socket === this.#socket) this.#ended();
    });
  }

  #fail(socket: Socket, reason: string): void {
    if (socket === this.#socket) this.#drop(reason);
    else socket.destroy();
  }

  #ended(): void {
    const { limits, random, nowMs, counts } = this.#context;
    const wasUp = this.#phase === PHASE_UP;
    this.#phase = PHASE_WAITING;
    this.#socket = null;
    if (wasUp) {
      // One that never lasts is dialed less and less often.
      if (nowMs() - this.#phaseAtMs > limits.retryMsMax) this.#retryMs = limits.retryMsMin;
      this.#downAtMs = nowMs();
    }
    const pauseMs = this.#retryMs * (0.5 + random() / 2);
    this.#retryMs = Math.min(limits.retryMsMax, this.#retryMs * 2);
    this.#retryTimer = setTimeout(() => {
      counts.reconnects++;
      this.#dial();
    }, pauseMs);
    if (wasUp) this.#handlers.down(this.#reason);
    else if (!this.#isRefused) this.#handlers.failed(this.#reason, nowMs() - this.#downAtMs);
  }

  #introduce(socket: Socket): void {
    if (socket !== this.#socket) return;
    const { self, cluster } = this.#context;
    const { stream, to } = this.#target;
    this.#hello = {
      tailrace: LINK_FORMAT, oldest: LINK_FORMAT_OLDEST, cluster, stream,
      to: { logId: to.logId, incarnation: to.incarnation }, from: self, nonce: createNonce(),
    };
    this.#phase = PHASE_ANSWER;
    socket.write(`${JSON.stringify(this.#hello)}\n`);
  }

  #take(chunk: Buffer): void {
    if (this.#socket?.destroyed !== false) return;
    this.#heardAtMs = this.#context.nowMs();
    if (this.#phase === PHASE_UP) {
      this.#takeAcks(chunk);
      return;
    }
    this.#lines.push(chunk);
    while (this.#phase === PHASE_ANSWER || this.#phase === PHASE_ACCEPT) {
      const line = this.#lines.isTooLong ? "" : this.#lines.next();
      if (line === null || this.#socket?.destroyed !== false) return;
      const refusal = readRefusal(line);
      if (refusal !== null) this.#refuse(refusal);
      else if (this.#phase === PHASE_ANSWER) this.#takeAnswer(line);
      else this.#takeProof(line);
    }
  }

  #refuse(reason: string): void {
    this.#isRefused = true;
    this.#handlers.refused(reason);
    this.#drop(reason);
  }

  #takeAnswer(line: string): void {
    const { to } = this.#target;
    const answer = readAnswer(line);
    const hello = this.#hello;
    if (answer === null || hello === null) {
      this.#drop(NO_GATEWAY);
    } else if (answer.from.logId !== to.logId || answer.from.incarnation !== to.incarnation) {
      this.#drop(ANOTHER_PROCESS);
    } else if (answer.tailrace < LINK_FORMAT_OLDEST || answer.tailrace > LINK_FORMAT) {
      this.#refuse(`"${to.name}" answers in link format ${answer.tailrace}`);
    } else {
      this.#answer = answer;
      this.#phase = PHASE_ACCEPT;
      const proof = proofOf(this.#context.secret, "dialer", hello, answer);
      this.#socket?.write(`${JSON.stringify({ proof })}\n`);
    }
  }

  #takeProof(line: string): void {
    const { secret, nowMs } = this.#context;
    const proof = readProof(line);
    const [hello, answer] = [this.#hello, this.#answer];
    if (proof === null || hello === null || answer === null) {
      this.#drop(NO_GATEWAY);
    } else if (!isProof(proof, proofOf(secret, "answerer", hello, answer))) {
      this.#refuse(WRONG_SECRET);
    } else {
      this.#phase = PHASE_UP;
      this.#phaseAtMs = nowMs();
      this.#sentAtMs = this.#phaseAtMs;
      this.#sentBytes = 0;
      this.#takenBytes = 0;
      this.#partialAck = NO_BYTES;
      this.#takeAcks(this.#lines.rest());
      this.#handlers.up();
    }
  }

  /** Each says the bytes taken since the connection began, modulo 2^32; the last one counts. */
  #takeAcks(chunk: Buffer): void {
    const bytes = this.#partialAck.length === 0 ? chunk : Buffer.concat([this.#partialAck, chunk]);
    const whole = bytes.length - bytes.length % ACK_BYTES;
    this.#partialAck = whole === bytes.length ? NO_BYTES : Buffer.from(bytes.subarray(whole));
    if (whole === 0) return;
    const taken = (bytes.readUInt32LE(whole - ACK_BYTES) - this.#takenBytes) >>> 0;
    if (taken > this.waitingBytes) {
      this.#drop("it acknowledges what was not sent");
      return;
    }
    if (taken > 0) this.#progressAtMs = this.#context.nowMs();
    this.#takenBytes += taken;
  }
}
