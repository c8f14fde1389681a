import { describe, expect, it } from "vitest";
import type { Settings } from "../../../config/settings-types.ts";
import { shownAddress } from "../../../engine/base/shown-address.ts";
import { countShortTokens, logOptions, secretsOf } from "../../../engine/gateway/log-options.ts";
import { loadFile } from "../config/load-input.ts";

function settingsOf(forwarder: object, more: object = {}): Settings {
  const result = loadFile({
    ...more, ForwardTo: [{ Type: "otlp", URL: "http://127.0.0.1:1/v1/traces", ...forwarder }],
  });
  if (result.kind !== "run") throw new Error(JSON.stringify(result));
  return result.settings;
}

describe("secrets of the settings", () => {
  it("are the values of every key that is marked secret, and tokens by any way", () => {
    const settings = settingsOf({
      DefaultAuthToken: "the-token",
      Headers: { "X-A": "the-header", "Authorization": "Bearer the-bearer" },
    }, { ListenFrom: [{ Type: "otlp", AcceptTokens: ["accepted-1", "accepted-2"] }] });
    expect(secretsOf(settings).toSorted()).toEqual([
      "Bearer the-bearer", "accepted-1", "accepted-2", "the-bearer", "the-header", "the-token",
    ]);
  });

  it("are both halves of a Basic header as well", () => {
    const basic = Buffer.from("user:pass word").toString("base64");
    expect(secretsOf(settingsOf({ Headers: { Authorization: `Basic ${basic}` } })).toSorted())
      .toEqual([`Basic ${basic}`, "pass word", "user:pass word", basic].toSorted());
  });

  it("are the values of an address's query, as written and as meant", () => {
    const url = "http://127.0.0.1:1/v1/traces?key=a%2Fb-secret&mode=x";
    expect(secretsOf(settingsOf({ URL: url })).toSorted())
      .toEqual(["a%2Fb-secret", "a/b-secret", "x"]);
  });
});

describe("options of the log", () => {
  it("count megabytes as 1,048,576 bytes and name gateway.log", () => {
    const options = logOptions(settingsOf({}, { LogDir: "/srv/log", LogMaxSize: 2 }));
    expect(options).toMatchObject({ file: "/srv/log/gateway.log", bytesMax: 2_097_152 });
    expect(structuredClone(options)).toEqual(options); // as a thread gets it
    expect(logOptions(settingsOf({}, { LogDir: "-" })).file).toBe("-");
  });

  it("tell of tokens that are too short to be hidden", () => {
    expect(countShortTokens(settingsOf({ DefaultAuthToken: "abc" }))).toBe(1);
    expect(countShortTokens(settingsOf({ DefaultAuthToken: "abcd" }))).toBe(0);
    expect(countShortTokens(settingsOf({}))).toBe(0);
  });
});

it("an address is shown without user, password and values of its query", () => {
  expect(shownAddress("https://u:p@host:4318/v1/traces?key=a&key=b&mode=x#f"))
    .toBe("https://host:4318/v1/traces?key=...&mode=...");
  expect(shownAddress("http://127.0.0.1:1/v1/traces")).toBe("http://127.0.0.1:1/v1/traces");
  expect(shownAddress("secret")).not.toContain("secret");
});
