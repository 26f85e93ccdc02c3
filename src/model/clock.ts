/** Time and randomness as arguments: the pure rooms get them from here, tests give fakes. */
export interface Clock {
  /** Milliseconds since the epoch, for people. Jumps when the machine's clock is set. */
  wall(): number;
  /** Milliseconds that never jump, for deadlines. */
  monotonic(): number;
  /** Calls back once after `ms`. */
  after(ms: number, callback: () => void): { cancel(): void };
}

/** A number in [0, 1). */
export type Random = () => number;
