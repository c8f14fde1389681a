// A gateway's part in a cluster as a process of its own, to be killed: opens what the first
// argument says, prints the server's pid, and stays. Needs the built engine.

const engine = new URL("../../dist/engine/", import.meta.url);
const { Cluster } = await import(new URL("cluster/bootstrap.js", engine).href);
const { systemClock } = await import(new URL("base/clock.js", engine).href);

const cluster = await Cluster.open(JSON.parse(process.argv[2]), {
  clock: systemClock, signal: new AbortController().signal, log: () => {},
  failed: (error) => { throw error; },
});
process.stdout.write(`server ${cluster.server?.pid ?? 0}\n`);
// One that a test forgets ends by itself.
setTimeout(() => process.exit(9), 60_000);
