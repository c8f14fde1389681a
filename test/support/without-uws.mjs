// Preloaded into a gateway (node --import): there uWebSockets.js cannot be loaded, as on a system
// that it has no binary for.

import { register } from "node:module";

register(`data:text/javascript,${encodeURIComponent(`
  export async function resolve(specifier, context, next) {
    if (specifier === "uWebSockets.js") throw new Error("no binary\\nfor this system");
    return await next(specifier, context);
  }
`)}`);
