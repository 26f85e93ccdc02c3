import type { Problem } from '../model/problem.ts';
import { problemText } from '../sources/config/source.ts';
import type { Log } from './log.ts';

/** Problems that no planner knows of, by the part of the agent that has them. */
export class OwnProblems {
  readonly #log: Log;
  readonly #changed: () => void;
  readonly #parts = new Map<string, readonly Problem[]>();

  constructor(log: Log, changed: () => void) {
    this.#log = log;
    this.#changed = changed;
  }

  /** All that a part has now; each is logged when it is new. */
  set(part: string, problems: readonly Problem[]): void {
    const before = new Set(this.#parts.get(part)?.map(problemText));
    for (const problem of problems) {
      const text = problemText(problem);
      if (!before.has(text)) this.#log.warn({ object: problem.object }, text);
    }
    const same =
      problems.length === before.size && problems.every((problem) => before.has(problemText(problem)));
    if (same) return;
    this.#parts.set(part, problems);
    this.#changed();
  }

  list(): readonly Problem[] {
    return [...this.#parts.values()].flat();
  }
}
