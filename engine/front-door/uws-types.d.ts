// What uWebSockets.js has and its declarations lack: listen with host and options.

import "uWebSockets.js";

declare module "uWebSockets.js" {
  /** Fail when another socket has the port, instead of sharing it. */
  export const LIBUS_LISTEN_EXCLUSIVE_PORT: ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT;

  interface TemplatedApp {
    listen(
      host: string, port: number, options: ListenOptions,
      callback: (socket: us_listen_socket | false) => void,
    ): TemplatedApp;
    /** Called with 1 for every connection and with -1 for its end. */
    filter(callback: (response: HttpResponse, count: number) => void): TemplatedApp;
  }
}
