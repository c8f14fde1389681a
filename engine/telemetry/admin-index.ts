import type { Health } from "./health.ts";

/** Pages with a fixed path; /traces/{id} is the only other. */
export const ENDPOINTS = [
  { path: "/", about: "this list" },
  { path: "/metrics", about: "everything counted, for Prometheus" },
  { path: "/healthz", about: "200 while it works, 404 once it drains" },
  { path: "/readyz", about: "200 when traffic should come here, else 503" },
  { path: "/status", about: "balance sheet and lanes, JSON" },
  { path: "/cluster", about: "members, shards and connections, JSON" },
] as const;

/** The front page of the admin listener, HTML. */
export function indexPage(health: Health): string {
  const rows = ENDPOINTS.map(({ path, about }) =>
    `<li><a href="${path}"><code>${path}</code></a> ${about}</li>`);
  const state = health.draining ? "draining" : health.ready ? "ready" : "not ready";
  const reasons = health.reasons.map((reason) => `<li>${escaped(reason)}</li>`);
  return [
    "<!doctype html>",
    '<html lang="en"><head><meta charset="utf-8"><title>tailrace</title></head><body>',
    `<h1>tailrace</h1><p>State: ${state}.</p>`,
    ...(reasons.length === 0 ? [] : ["<ul>", ...reasons, "</ul>"]),
    "<ul>",
    ...rows,
    "<li><code>/traces/{trace id}</code> what became of one trace, JSON; 32 or 16 hex digits</li>",
    "</ul></body></html>",
    "",
  ].join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
