import { describe, expect, it } from "vitest";
import { HIDDEN, Redaction } from "../../../engine/base/redaction.ts";
import { Random } from "../../support/random.ts";

const hide = (secrets: readonly string[], text: string): string => {
  return new Redaction(secrets).hide(text);
};

describe("a secret", () => {
  it("is replaced wherever it stands, also inside a word and more than once", () => {
    expect(hide(["s3cret-token"], "a s3cret-token, xs3cret-tokeny"))
      .toBe(`a ${HIDDEN}, x${HIDDEN}y`);
  });

  it("is found as JSON, an address or a log of printable characters would write it", () => {
    const secret = "quo\"te /ö? token";
    for (const form of [
      JSON.stringify({ h: secret }), encodeURIComponent(secret), encodeURI(secret),
      "quo\"te /.? token",
    ]) {
      expect(hide([secret], form)).toContain(HIDDEN);
      expect(hide([secret], form)).not.toMatch(/te|token/);
    }
  });

  it("that holds another one is replaced whole", () => {
    expect(hide(["abcdefgh", "xx-abcdefgh-yy"], "xx-abcdefgh-yy")).toBe(HIDDEN);
  });

  it("of four to seven characters is replaced only where it stands alone", () => {
    expect(hide(["kept"], "kept, keptx, (kept) kept"))
      .toBe(`${HIDDEN}, keptx, (${HIDDEN}) ${HIDDEN}`);
  });

  it("of fewer than four characters is left alone, or no line could be read", () => {
    expect(hide(["1", "abc", ""], "1 abc")).toBe("1 abc");
  });

  it("that was cut off at the end of a text leaves no four characters", () => {
    const secret = "tok-0123456789abcdef";
    for (let cut = 4; cut <= secret.length; cut++) {
      expect(hide([secret], `the backend says ${secret.slice(0, cut)}`))
        .toBe(`the backend says ${HIDDEN}`);
    }
    expect(hide([secret], "the backend says tok-nothing")).toBe("the backend says tok-nothing");
  });

  it("is never in what comes back, whatever is around it", () => {
    const random = Random.fromEnvironment();
    console.log(`seed: TAILRACE_SEED=${random.seed}`);
    const alphabet = "ab-./\" \\\n=%";
    const text = (length: number): string => Array.from({ length }, () => {
      return alphabet[random.below(alphabet.length)];
    }).join("");
    for (let round = 0; round < 5_000; round++) {
      const secrets = [text(8 + random.below(4)), text(8 + random.below(12))];
      const parts = Array.from({ length: 5 }, () => {
        return random.chance(0.5) ? text(random.below(6)) : secrets[random.below(2)]!;
      });
      const hidden = hide(secrets, parts.join(""));
      for (const secret of secrets) expect(hidden).not.toContain(secret);
    }
  });
});
