// The part of autocannon that the benches use; the package has no types of its own.

declare module "autocannon" {
  export interface Options {
    readonly url: string;
    readonly method: "POST";
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Buffer;
    readonly connections: number;
    /** Seconds; ignored when there is an amount. */
    readonly duration: number;
    /** Requests in all. */
    readonly amount?: number;
  }

  export interface Result {
    /** Seconds. */
    readonly duration: number;
    readonly "2xx": number;
    readonly non2xx: number;
    readonly errors: number;
    /** Milliseconds. */
    readonly latency: {
      readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number;
    };
  }

  export default function autocannon(options: Options): Promise<Result>;
}
