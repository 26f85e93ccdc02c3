import type { Clock } from '../model/clock.ts';
import type { Problem } from '../model/problem.ts';

/** Who writes Kubernetes Events; `targets/kube` has one. */
export interface Recorder {
  record(event: {
    readonly type: 'Normal' | 'Warning';
    readonly reason: string;
    readonly message: string;
  }): void;
}

/**
 * Tells each problem once as an Event on our Node, when it appears. One that goes and comes back within `quietMs` is not told
 * again, so that something that flickers does not fill the API server.
 */
export class ProblemEvents {
  readonly #recorder: Recorder;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #quietMs: number;
  /** When each was last seen, monotonic milliseconds. */
  readonly #told = new Map<string, number>();

  constructor(recorder: Recorder, clock: Pick<Clock, 'monotonic'>, quietMs = 600_000) {
    this.#recorder = recorder;
    this.#clock = clock;
    this.#quietMs = quietMs;
  }

  update(problems: readonly Problem[]): void {
    const now = this.#clock.monotonic();
    for (const { object, message, hint } of problems) {
      const text = `${object}: ${message}${hint ? ` (${hint})` : ''}`;
      if (!this.#told.has(text))
        this.#recorder.record({ type: 'Warning', reason: reasonOf(object), message: text });
      this.#told.set(text, now);
    }
    for (const [text, seen] of this.#told) if (now - seen > this.#quietMs) this.#told.delete(text);
  }
}

/** `Setting…`, `Node…`: the kind of the object at fault in one word, as Events have it. */
function reasonOf(object: string): string {
  const [kind = ''] = object.split(' ');
  const word = kind.replace(/[^A-Za-z]/g, '');
  return `${word.charAt(0).toUpperCase()}${word.slice(1) || 'Network'}Problem`;
}
