import assert from 'node:assert/strict';
import type { Lab } from '../../../src/lab/client.ts';
import type { ProbeRequest, ProbeResult } from '../../../src/lab/prober/types.ts';

const EVERY_MS = 50;
/** Long, because a lab under load answers late; a datagram that was dropped is never answered. */
const PATIENCE_MS = 3_000;
/** TCP to those who answer costs the lab most: every so many rounds. */
const TCP_ROUNDS = 5;

export type Pair = readonly [from: string, to: string, port?: number];

export interface Watched {
  /** What must never get through. */
  readonly denied: readonly Pair[];
  /** What must always get through. */
  readonly allowed: readonly Pair[];
}

/**
 * Asks every 50 ms, each time by a new connection, both families, TCP and UDP: a policy that is open or wrongly closed for longer than that is
 * seen. Old connections would not do: what is established passes by other rules.
 */
export class Vigil {
  readonly #lab: Lab;
  readonly #denied: readonly ProbeRequest[];
  readonly #allowed: readonly ProbeRequest[];
  readonly #asked: Promise<void>[] = [];
  readonly #wrong: string[] = [];
  readonly #begun = performance.now();
  readonly #timer: NodeJS.Timeout;
  #rounds = 0;
  #failure: unknown;

  constructor(lab: Lab, { denied, allowed }: Watched) {
    this.#lab = lab;
    this.#denied = requests(denied);
    this.#allowed = requests(allowed);
    this.#timer = setInterval(() => this.#asked.push(this.#round()), EVERY_MS);
  }

  /** Rounds that were asked so far. */
  get rounds(): number {
    return this.#rounds;
  }

  /** Ends it and asserts that never one verdict was wrong. */
  async end(atLeast: number): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#asked);
    if (this.#failure !== undefined) throw this.#failure;
    assert.ok(this.#rounds >= atLeast, `only ${this.#rounds} rounds were asked, ${atLeast} were meant`);
    assert.deepEqual(
      this.#wrong.slice(0, 20),
      [],
      `${this.#wrong.length} wrong verdicts in ${this.#rounds} rounds`,
    );
  }

  /** However the test ends, the asking does. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #round(): Promise<void> {
    const everything = this.#rounds % TCP_ROUNDS === 0;
    this.#rounds++;
    const at = Math.round(performance.now() - this.#begun);
    const allowed = this.#allowed.filter(({ protocol }) => everything || protocol === 'udp');
    try {
      const results = await this.#lab.ask([...this.#denied, ...allowed]);
      for (const [i, result] of results.entries()) {
        const denied = i < this.#denied.length;
        if ((result.verdict === 'allowed') === denied) this.#wrong.push(`${at} ms: ${text(result)}`);
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }
}

function requests(pairs: readonly Pair[]): ProbeRequest[] {
  return pairs.flatMap(([from, to, port = 8080]) =>
    (['ipv4', 'ipv6'] as const).flatMap((family) =>
      (['tcp', 'udp'] as const).map((protocol) => ({
        from,
        to,
        port,
        family,
        protocol,
        timeout: PATIENCE_MS,
      })),
    ),
  );
}

const text = (r: ProbeResult): string =>
  `${r.from} → ${r.to} ${r.family} ${r.protocol}/${r.port}: ${r.verdict} ${r.reason ?? ''}`;
