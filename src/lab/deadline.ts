import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** How much slower everything may be while more processes want to run than there are processors. */
const SLACK = 4;
/** How often it is looked whether they do, in milliseconds. */
const LOOK_EVERY = 10;

export interface Machine {
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
  /** Processes that run or want to. */
  running(): number;
  readonly processors: number;
}

const THIS_MACHINE: Machine = {
  now: () => performance.now(),
  // The fourth field: "3/170", runnable of all (proc_loadavg(5)).
  running: () => Number(readFileSync('/proc/loadavg', 'latin1').split(' ')[3]?.split('/')[0]),
  processors: availableParallelism(),
};

/**
 * An end of waiting for other processes, in milliseconds of a calm machine: while others want to run as well, time counts a quarter. So a
 * limit can be short enough to see that something is slow, and yet holds beside any load.
 */
export class Deadline {
  readonly #machine: Machine;
  #left: number;
  #looked: number;

  constructor(ms: number, machine = THIS_MACHINE) {
    this.#machine = machine;
    this.#left = ms;
    this.#looked = machine.now();
  }

  /** To be asked again and again while waiting: what went by since the last time is judged by how it is now. */
  get passed(): boolean {
    const machine = this.#machine;
    const gone = machine.now() - this.#looked;
    if (gone >= LOOK_EVERY) {
      this.#looked += gone;
      this.#left -= machine.running() > machine.processors ? gone / SLACK : gone;
    }
    return this.#left <= 0;
  }
}
