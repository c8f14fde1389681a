// A connection on which another node sends one stream: the handshake, then its frames one way and
// acknowledgements the other. Each acknowledgement is a u32: bytes of frames that were taken since
// the connection began, modulo 2^32. They come at least every heartbeat, and so answer pings.
//
//   HELLO ─► PROOF ─► FRAMES ─► ENDED
//
// A frame that finds no room stays here and the socket is not read until it is taken: what the
// system holds fills up, and the sender sees that nothing is acknowledged.

import type { Socket } from "node:net";
import { assert } from "../base/assert.ts";
import { FRAME_PREFIX_BYTES } from "./frame-layout.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import {
  createNonce, isProof, LINK_FORMAT, LineReader, proofOf, readHello, readProof, WRONG_SECRET,
  type Answer, type Hello,
} from "./handshake.ts";
import { heartbeatMs, type LinkContext } from "./link-context.ts";

const PHASE_HELLO = 0;
const PHASE_PROOF = 1;
const PHASE_FRAMES = 2;
const PHASE_ENDED = 3;
type Phase = typeof PHASE_HELLO | typeof PHASE_PROOF | typeof PHASE_FRAMES | typeof PHASE_ENDED;

const ACK_BYTES = 4;
/** Acknowledgements that the other side does not read: days of them, or something is wrong. */
const UNREAD_ACK_BYTES_MAX = 64 * 1024;
const TOO_LONG = "what came is longer than any word of a gateway: ListenRebalanceAddress is for the"
  + " other nodes of its cluster only";

export interface IncomingHandlers {
  readonly accepted: (link: IncomingLink) => void;
  /** @returns false: no room now. @param bytes a frame behind its size, borrowed. */
  readonly frame: (link: IncomingLink, bytes: Uint8Array) => boolean;
  /** @param hello what the other side said, if it can be read. */
  readonly refused: (reason: string, hello: Hello | null, address: string) => void;
  readonly closed: (link: IncomingLink) => void;
}

/** From an accepted socket to its end. */
export class IncomingLink {
  readonly #context: LinkContext;
  readonly #handlers: IncomingHandlers;
  readonly #socket: Socket;
  readonly #address: string;
  readonly #lines = new LineReader();
  readonly #frames = new FrameSplitter();
  readonly #beganMs: number;
  #phase: Phase = PHASE_HELLO;
  #hello: Hello | null = null;
  #answer: Answer | null = null;
  #isHolding = false;
  #isTaking = false;
  #takenBytes = 0;
  #unackedFrames = 0;
  #ackTimer: NodeJS.Timeout | null = null;
  #ackedAtMs: number;
  #heardAtMs: number;

  constructor(socket: Socket, context: LinkContext, handlers: IncomingHandlers) {
    this.#socket = socket;
    this.#context = context;
    this.#handlers = handlers;
    this.#address = socket.remoteAddress ?? "unknown";
    this.#beganMs = context.nowMs();
    this.#heardAtMs = this.#beganMs;
    this.#ackedAtMs = this.#beganMs;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", () => socket.destroy()); // "close" follows
    socket.once("close", () => {
      this.#end();
      handlers.closed(this);
    });
  }

  /** Who sends; of an accepted link. */
  get from(): Hello {
    assert(this.#hello !== null, "somebody was accepted");
    return this.#hello;
  }

  /** It has proved who it is, and was not closed by this side. */
  get isAccepted(): boolean {
    return this.#phase === PHASE_FRAMES;
  }

  close(): void {
    this.#end();
    this.#socket.destroy();
  }

  /** Offers the frame that found no room again, and what came behind it. */
  resume(): void {
    if (!this.#isHolding || this.#isTaking) return;
    this.#isHolding = false;
    this.#takeFrames();
    if (this.#isHolding || this.#phase !== PHASE_FRAMES) return;
    this.#heardAtMs = this.#context.nowMs(); // it was this side that did not listen
    this.#socket.resume();
  }

  /** Looks at the time; called a few times in a heartbeat. */
  tick(): void {
    const { nowMs, silenceMsMax, limits, counts } = this.#context;
    if (this.#phase !== PHASE_FRAMES) {
      if (nowMs() - this.#beganMs <= limits.handshakeMsMax) return;
      if (this.#phase !== PHASE_ENDED) counts.silentHandshakes++;
      this.close();
      return;
    }
    if (!this.#isHolding && nowMs() - this.#heardAtMs > silenceMsMax) this.#socket.destroy();
    else if (nowMs() - this.#ackedAtMs >= heartbeatMs(this.#context)) this.#acknowledge();
  }

  #end(): void {
    this.#phase = PHASE_ENDED;
    if (this.#ackTimer !== null) clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
  }

  #take(chunk: Buffer): void {
    this.#heardAtMs = this.#context.nowMs();
    if (this.#phase === PHASE_ENDED) return; // refused: nothing more is read
    if (this.#phase === PHASE_FRAMES) {
      this.#frames.push(chunk);
      this.#takeFrames();
      return;
    }
    this.#lines.push(chunk);
    while (this.#phase === PHASE_HELLO || this.#phase === PHASE_PROOF) {
      if (this.#lines.isTooLong) this.#refuse(TOO_LONG);
      const line = this.#lines.next();
      if (line === null) return;
      if (this.#phase === PHASE_HELLO) this.#takeHello(line);
      else this.#takeProof(line);
    }
  }

  #takeHello(line: string): void {
    const { self, cluster } = this.#context;
    const hello = readHello(line, cluster, self.name);
    if (typeof hello === "string") {
      this.#refuse(hello);
      return;
    }
    this.#hello = hello;
    if (hello.to.logId !== self.logId || hello.to.incarnation !== self.incarnation) {
      this.close(); // meant for another process, which was here before
      return;
    }
    const tailrace = Math.min(hello.tailrace, LINK_FORMAT);
    this.#answer = { tailrace, from: self, nonce: createNonce() };
    this.#phase = PHASE_PROOF;
    this.#socket.write(`${JSON.stringify(this.#answer)}\n`);
  }

  #takeProof(line: string): void {
    const { secret } = this.#context;
    const answer = this.#answer;
    assert(answer !== null, "an answer comes before its proof");
    const proof = readProof(line);
    if (proof === null || !isProof(proof, proofOf(secret, "dialer", this.from, answer))) {
      this.#refuse(WRONG_SECRET);
      return;
    }
    this.#phase = PHASE_FRAMES;
    const own = proofOf(secret, "answerer", this.from, answer);
    this.#socket.write(`${JSON.stringify({ proof: own })}\n`);
    this.#frames.push(this.#lines.rest());
    this.#handlers.accepted(this);
    this.#takeFrames();
  }

  #refuse(reason: string): void {
    if (this.#phase === PHASE_ENDED) return;
    const hello = this.#hello;
    this.#end();
    this.#handlers.refused(reason, hello, this.#address);
    this.#socket.end(`${JSON.stringify({ refused: reason })}\n`);
  }

  /** Takes whole frames until one finds no room. A handler may end this link meanwhile. */
  #takeFrames(): void {
    if (this.#isHolding) return;
    this.#isTaking = true;
    while (this.#phase === PHASE_FRAMES) {
      const frame = this.#frames.peek();
      if (frame === null) break;
      const isPing = frame.length === FRAME_PREFIX_BYTES;
      if (!isPing && !this.#handlers.frame(this, frame)) {
        this.#hold();
        break;
      }
      this.#count(frame.length, isPing);
    }
    this.#isTaking = false;
    if (this.#frames.isBroken) this.#socket.destroy(); // no gateway writes that
  }

  #hold(): void {
    this.#context.counts.framesHeld++;
    this.#isHolding = true;
    this.#socket.pause();
  }

  #count(bytes: number, isPing: boolean): void {
    const { counts, limits } = this.#context;
    this.#frames.take();
    this.#takenBytes += bytes;
    this.#unackedFrames++;
    if (!isPing) {
      counts.framesTaken++;
      counts.bytesTaken += bytes;
    }
    if (this.#phase !== PHASE_FRAMES) return; // the handler ended it
    if (this.#unackedFrames >= limits.ackFrames) this.#acknowledge();
    else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), limits.ackMs);
  }

  #acknowledge(): void {
    if (this.#ackTimer !== null) clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
    this.#unackedFrames = 0;
    this.#ackedAtMs = this.#context.nowMs();
    if (this.#socket.writableLength > UNREAD_ACK_BYTES_MAX) {
      this.#socket.destroy(); // it sends and does not listen
      return;
    }
    const ack = Buffer.allocUnsafe(ACK_BYTES);
    ack.writeUInt32LE(this.#takenBytes % 2 ** 32, 0);
    this.#socket.write(ack);
  }
}
