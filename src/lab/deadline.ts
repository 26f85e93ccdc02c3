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
 * Time of waiting for other processes, in milliseconds of a calm machine: while others want to run as well, it counts a quarter. So a limit can
 * be short enough to see that something is slow, and yet holds beside any load.
 */
export class CalmTime {
  readonly #machine: Machine;
  #spent = 0;
  #looked: number;

  constructor(machine = THIS_MACHINE) {
    this.#machine = machine;
    this.#looked = machine.now();
  }

  /** Since it began. To be asked again and again: what went by since the last time is judged by how it is now. */
  get ms(): number {
    const machine = this.#machine;
    const gone = machine.now() - this.#looked;
    if (gone >= LOOK_EVERY) {
      this.#looked += gone;
      this.#spent += machine.running() > machine.processors ? gone / SLACK : gone;
    }
    return this.#spent;
  }
}

/** An end of waiting, in milliseconds of a calm machine. */
export class Deadline {
  readonly #time: CalmTime;
  readonly #ms: number;

  constructor(ms: number, machine = THIS_MACHINE) {
    this.#ms = ms;
    this.#time = new CalmTime(machine);
  }

  get passed(): boolean {
    return this.#time.ms >= this.#ms;
  }
}
