import { describe, expect, it } from "vitest";
import { loadFile, otlpForwarder, problemOf, problemsOf, settingsOf } from "./load-input.ts";

function listening(listener: Readonly<Record<string, unknown>>) {
  return { ListenFrom: [{ Type: "otlp", ...listener }], ForwardTo: [otlpForwarder()] };
}

describe("the TLS files of a listener", () => {
  it("are resolved against the working directory", () => {
    const [listener] = settingsOf(loadFile(listening({
      TLSCertFile: "tls/cert.pem", TLSKeyFile: "/etc/key.pem", TLSClientCAFile: "./ca.pem",
    }))).listenFrom;
    expect(listener).toMatchObject({
      tlsCertFile: "/srv/tls/cert.pem", tlsKeyFile: "/etc/key.pem", tlsClientCaFile: "/srv/ca.pem",
    });
  });

  it.each([
    [{ TLSKeyFile: "k" }, "ListenFrom[0].TLSKeyFile", "needs TLSCertFile"],
    [{ TLSCertFile: "c" }, "ListenFrom[0].TLSCertFile", "needs TLSKeyFile"],
    [{ TLSClientCAFile: "a" }, "ListenFrom[0].TLSClientCAFile", "needs TLSCertFile"],
    [{ tlscertfile: "c" }, "ListenFrom[0].tlscertfile", "needs TLSKeyFile"],
  ])("of which one alone is no use are refused: %j", (keys, path, sentence) => {
    const problem = problemOf(loadFile(listening(keys)));
    expect(problem.path).toBe(path);
    expect(problem.message).toContain(sentence);
    expect(problem.place).not.toBeNull();
  });
});

describe("the origins of a listener", () => {
  it.each([
    ["*"], ["null"], ["https://shop.example"], ["HTTPS://Shop.Example:8443"],
    ["https://*.shop.example"], ["http://localhost:*"], ["http://[::1]:3000"],
    ["capacitor://localhost"],
  ])("may be %s", (origin) => {
    const { listenFrom } = settingsOf(loadFile(listening({ AllowedOrigins: [origin] })));
    expect(listenFrom[0]!.allowedOrigins).toEqual([origin]);
  });

  it.each([
    ["https://shop.example/"], ["https://shop.example/page"], ["shop.example"], ["https://"],
    ["https://*.*.example"], ["https://a b"], ["https://user@shop.example"],
  ])("that no page could have are refused: %s", (origin) => {
    const origins = ["https://ok.example", origin];
    const problem = problemOf(loadFile(listening({ AllowedOrigins: origins })));
    expect(problem.path).toBe("ListenFrom[0].AllowedOrigins");
    expect(problem.message).toContain(`entry 2, "${origin}"`);
  });
});

describe("the access tokens of a listener", () => {
  it("may hold any visible ASCII", () => {
    const tokens = ["abc", "~!@#$%^&*()_+{}|:\"<>?", "x".repeat(500)];
    const { listenFrom } = settingsOf(loadFile(listening({ AcceptTokens: tokens })));
    expect(listenFrom[0]!.acceptTokens).toEqual(tokens);
  });

  it.each([["sécret-value"], ["secret value"], [" secret-value"]])(
    "that no header can carry unchanged are refused without showing them: %s", (token) => {
      const result = loadFile(listening({ AcceptTokens: ["good", token] }));
      const problem = problemOf(result);
      expect(problem.path).toBe("ListenFrom[0].AcceptTokens");
      expect(problem.message).toContain("entry 2 (hidden)");
      expect(result.kind === "refused" && result.text).not.toContain(token.trim());
    });

  it("are not shown when their list is none", () => {
    const result = loadFile(listening({ AcceptTokens: "secret-value" }));
    expect(problemsOf(result)[0]!.message).toContain("hidden");
    expect(result.kind === "refused" && result.text).not.toContain("secret-value");
  });
});
