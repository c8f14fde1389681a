// Questions to other nodes about single traces, and their answers. They travel as notes; one that
// is lost is answered by nobody, so each has its time.

const QUESTION_MS = 3_000;

/** Used by the coordinator's thread only. */
export class TraceQuestions {
  readonly #open = new Map<number, (trace: object | null) => void>();
  #last = 0;

  /**
   * Asks for a trace.
   * @param name of the node, for the error. @param send carries the note there.
   * @throws when there is no answer in time.
   */
  async ask(
    traceId: string, name: string, send: (note: object) => void,
  ): Promise<object | null> {
    const question = ++this.#last;
    send({ kind: "trace", question, traceId });
    return await new Promise((resolve, reject) => {
      const limit = setTimeout(() => {
        this.#open.delete(question);
        reject(new Error(`node ${name} owns the trace, and does not answer`));
      }, QUESTION_MS);
      this.#open.set(question, (trace) => {
        clearTimeout(limit);
        resolve(trace);
      });
    });
  }

  /** An answer came; nobody may wait for it any more. */
  answered(question: number, trace: object | null): void {
    this.#open.get(question)?.(trace);
    this.#open.delete(question);
  }
}
