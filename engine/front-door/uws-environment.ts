// Settings that uWebSockets.js reads from the environment while its native part is loaded. Import
// this file before it: modules are evaluated in the order of their imports. Only the main thread's
// process.env is the real environment, and the door lives there.

import { HEADER_BYTES_MAX } from "./door-limits.ts";

process.env["UWS_HTTP_MAX_HEADERS_SIZE"] = String(HEADER_BYTES_MAX);
