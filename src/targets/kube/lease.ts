import type { Clock } from '../../model/clock.ts';
import type { KubeClient } from '../../sources/kube/client.ts';
import { ApiError } from '../../sources/kube/errors.ts';
import { type Raw, record, text } from '../../sources/kube/raw.ts';

export interface LeaseOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'update'>;
  readonly namespace: string;
  readonly name: string;
  /** Who we are; unique among those who may want the lease. */
  readonly holder: string;
  /** How long it is ours without renewal. */
  readonly seconds: number;
  readonly clock: Pick<Clock, 'wall' | 'monotonic'>;
}

/** Whose it is now. `holder` is empty when it is nobody's. */
export interface LeaseState {
  readonly held: boolean;
  readonly holder: string;
}

const LEASES = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };

/**
 * One lease (coordination.k8s.io/v1) that one of several may hold. `acquire` also renews: call it about every third of `seconds`.
 *
 * Whether another's lease has run out is judged by our own monotonic clock, from when we last saw it renewed: clocks of different
 * machines are never compared, and one that jumps does no harm. Writes carry the version that was read, so of two that take it at
 * once the server refuses one.
 */
export class Lease {
  readonly #o: LeaseOptions;
  #seen: { readonly mark: string; readonly at: number } | undefined;

  constructor(options: LeaseOptions) {
    this.#o = options;
  }

  /** Takes or renews it when that is possible. Throws when the server could not be asked. */
  async acquire(): Promise<LeaseState> {
    const current = await this.#read();
    if (!current) return this.#write((body) => this.#o.client.create(this.#collection, body), {}, 0);
    const spec = record(current.spec);
    const holder = text(spec.holderIdentity);
    if (holder !== this.#o.holder && holder !== '' && !this.#ranOut(current)) return { held: false, holder };
    const before = typeof spec.leaseTransitions === 'number' ? spec.leaseTransitions : 0;
    const transitions = holder === this.#o.holder ? before : before + 1;
    return this.#write((body) => this.#o.client.update(this.#ref, body), current, transitions);
  }

  /** Gives it up at once, when it is ours. */
  async release(): Promise<void> {
    const current = await this.#read();
    const spec = record(current?.spec);
    if (!current || spec.holderIdentity !== this.#o.holder) return;
    const body = { ...current, spec: { ...spec, holderIdentity: '', leaseDurationSeconds: 1 } };
    try {
      await this.#o.client.update(this.#ref, body);
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }

  async #write(send: (body: Raw) => Promise<Raw>, current: Raw, transitions: number): Promise<LeaseState> {
    const spec = record(current.spec);
    const now = new Date(this.#o.clock.wall()).toISOString().replace('Z', '000Z');
    const ours = spec.holderIdentity === this.#o.holder;
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...record(current.metadata), namespace: this.#o.namespace, name: this.#o.name },
      spec: {
        ...spec,
        holderIdentity: this.#o.holder,
        leaseDurationSeconds: this.#o.seconds,
        acquireTime: ours ? spec.acquireTime : now,
        renewTime: now,
        leaseTransitions: transitions,
      },
    };
    try {
      await send(body);
      return { held: true, holder: this.#o.holder };
    } catch (error) {
      if (!isConflict(error)) throw error;
      return { held: false, holder: text(record((await this.#read())?.spec).holderIdentity) };
    }
  }

  #ranOut(current: Raw): boolean {
    const spec = record(current.spec);
    const mark = JSON.stringify([spec.holderIdentity, spec.renewTime, spec.leaseTransitions]);
    const now = this.#o.clock.monotonic();
    if (this.#seen?.mark !== mark) this.#seen = { mark, at: now };
    const seconds =
      typeof spec.leaseDurationSeconds === 'number' ? spec.leaseDurationSeconds : this.#o.seconds;
    return now - this.#seen.at >= seconds * 1000;
  }

  async #read(): Promise<Raw | undefined> {
    try {
      return await this.#o.client.get(this.#ref);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  get #collection() {
    return { ...LEASES, namespace: this.#o.namespace };
  }

  get #ref() {
    return { ...this.#collection, name: this.#o.name };
  }
}

/** 409 is both "changed meanwhile" and "made meanwhile": somebody else was first. */
function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409;
}
