import { describe, expect, it } from "vitest";
import {
  createNonce, HANDSHAKE_LINE_BYTES_MAX, isProof, LINK_FORMAT, LineReader, proofOf, readAnswer,
  readHello, readProof, readRefusal, type Answer, type Hello,
} from "../../../engine/peer/handshake.ts";

const from = { name: "a", logId: "log-a", incarnation: "1" };
const hello: Hello = {
  tailrace: 1, oldest: 1, cluster: "shop", stream: 0, to: { logId: "log-b", incarnation: "2" },
  from, nonce: createNonce(),
};
const answer: Answer = {
  tailrace: 1, from: { name: "b", logId: "log-b", incarnation: "2" }, nonce: createNonce(),
};

describe("a proof", () => {
  it("is of one side, one secret and every word of both", () => {
    const own = proofOf("secret", "dialer", hello, answer);
    const others = [
      proofOf("secret", "answerer", hello, answer),
      proofOf("secreT", "dialer", hello, answer),
      proofOf("", "dialer", hello, answer),
      proofOf("secret", "dialer", { ...hello, nonce: createNonce() }, answer),
      proofOf("secret", "dialer", { ...hello, stream: 1 }, answer),
      proofOf("secret", "dialer", { ...hello, cluster: "other" }, answer),
      proofOf("secret", "dialer", { ...hello, to: { ...hello.to, incarnation: "3" } }, answer),
      proofOf("secret", "dialer", { ...hello, from: { ...from, logId: "log-c" } }, answer),
      // Words that only together are the same.
      proofOf(
        "secret", "dialer", { ...hello, from: { ...from, name: "al", logId: "og-a" } }, answer),
      proofOf("secret", "dialer", hello, { ...answer, nonce: createNonce() }),
      proofOf("secret", "dialer", hello, { ...answer, from: { ...answer.from, incarnation: "9" } }),
    ];
    expect(new Set([own, ...others]).size).toBe(others.length + 1);
    expect(isProof(own, proofOf("secret", "dialer", hello, answer))).toBe(true);
    for (const other of [...others, "", `${own}=`, own.slice(1)]) {
      expect(isProof(other, own)).toBe(false);
    }
  });

  it("is not made twice of the same nonces", () => {
    expect(new Set(Array.from({ length: 100 }, createNonce)).size).toBe(100);
  });
});

describe("a first word", () => {
  const read = (changes: object): Hello | string => {
    return readHello(JSON.stringify({ ...hello, ...changes }), "shop", "b");
  };

  it("is read as it was written, whatever else a later version says", () => {
    expect(read({})).toEqual(hello);
    expect(read({ more: [1] })).toEqual(hello);
    expect(readAnswer(JSON.stringify({ ...answer, more: 1 }))).toEqual(answer);
    expect(readProof("{\"proof\":\"x\"}")).toBe("x");
    expect(readRefusal("{\"refused\":\"x\"}")).toBe("x");
  });

  it("of another cluster is refused by the names", () => {
    const words = "ClusterName is \"shop\" at \"b\" and \"bank\" at \"a\"";
    expect(read({ cluster: "bank" })).toBe(words);
    expect(read({ cluster: "x".repeat(3_000) })).toHaveLength(42 + 255);
  });

  it("of newer and older versions is refused when there is no format that both speak", () => {
    const newest = LINK_FORMAT + 1;
    expect(read({ tailrace: newest, oldest: LINK_FORMAT })).toMatchObject({ tailrace: newest });
    expect(read({ tailrace: newest, oldest: newest, from: 7, stream: "x" })).toBe("the other node"
      + ` speaks link format ${newest} or newer, "b" up to ${LINK_FORMAT}: upgrade "b"`);
    expect(read({ tailrace: 0, oldest: 0 })).toBe(
      `"a" speaks link format 0 or older, "b" from ${LINK_FORMAT}: upgrade "a"`);
  });

  it.each([
    ["nothing", ""], ["no JSON", "GET / HTTP/1.1"], ["a list", "[1]"], ["null", "null"],
    ["no version", JSON.stringify({ ...hello, tailrace: undefined })],
    ["a half version", JSON.stringify({ ...hello, tailrace: 1.5 })],
    ["a negative version", JSON.stringify({ ...hello, oldest: -1 })],
    ["a third stream", JSON.stringify({ ...hello, stream: 2 })],
    ["no name", JSON.stringify({ ...hello, from: { ...from, name: "" } })],
    ["a long id", JSON.stringify({ ...hello, from: { ...from, logId: "x".repeat(256) } })],
    ["nobody", JSON.stringify({ ...hello, from: null })],
    ["nobody to be meant", JSON.stringify({ ...hello, to: "b" })],
    ["a short nonce", JSON.stringify({ ...hello, nonce: "x" })],
    ["no cluster", JSON.stringify({ ...hello, cluster: 1 })],
  ])("with %s is no word of a gateway", (_, line) => {
    expect(readHello(line, "shop", "b")).toContain("no word of a gateway");
    expect(readProof(line)).toBeNull();
    expect(readRefusal(line)).toBeNull();
  });
});

describe("lines", () => {
  it("come in pieces, and leave what is behind them", () => {
    const reader = new LineReader();
    for (const piece of ["o", "n", "e\ntw", "o\n", "\nrest"]) reader.push(Buffer.from(piece));
    expect([reader.next(), reader.next(), reader.next(), reader.next()])
      .toEqual(["one", "two", "", null]);
    expect(reader.rest().toString()).toBe("rest");
    expect(reader.rest()).toHaveLength(0);
  });

  it("have a bound, with an end and without", () => {
    const reader = new LineReader();
    reader.push(Buffer.alloc(HANDSHAKE_LINE_BYTES_MAX, "x"));
    expect(reader.isTooLong).toBe(false);
    reader.push(Buffer.from("\n"));
    expect([reader.isTooLong, reader.next()?.length]).toEqual([false, HANDSHAKE_LINE_BYTES_MAX]);
    reader.push(Buffer.alloc(HANDSHAKE_LINE_BYTES_MAX + 1, "x"));
    expect([reader.isTooLong, reader.next()]).toEqual([true, null]);
    reader.push(Buffer.from("\n"));
    expect([reader.isTooLong, reader.next()]).toEqual([true, null]);
  });
});
