import { once } from "node:events";
import { Worker, type ResourceLimits } from "node:worker_threads";

/** A thread with an event loop of its own (forwarder, coordinator), started by file URL. */
export class ServiceThread<Plan> {
  readonly name: string;
  readonly #worker: Worker;
  readonly #failed: Promise<never>;
  /** Made once: whoever waits, and however often, adds no listeners to the thread. */
  readonly #ended: Promise<unknown>;

  constructor(name: string, file: URL, plan: Plan, resourceLimits: ResourceLimits = {}) {
    this.name = name;
    this.#worker = new Worker(file, { workerData: plan, name, resourceLimits });
    this.#failed = new Promise((_, reject) => {
      this.#worker.once("error", (cause) => reject(cause));
    });
    this.#failed.catch(() => undefined); // read by whoever waits for ended()
    this.#ended = Promise.race([once(this.#worker, "exit"), this.#failed]);
    this.#ended.catch(() => undefined);
  }

  /** Resolves when the thread returned; rejects when it died. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  /** Next message of one kind from the thread; rejects when it dies first. */
  async next<Message extends { readonly kind: string }>(
    kind: Message["kind"],
  ): Promise<Message> {
    return await new Promise((resolve, reject) => {
      const take = (message: Message): void => {
        if (message.kind !== kind) return;
        this.#worker.off("message", take);
        resolve(message);
      };
      this.#worker.on("message", take);
      this.#failed.catch(reject);
    });
  }

  send(message: { readonly kind: string } & Record<string, unknown>): void {
    this.#worker.postMessage(message);
  }
}
