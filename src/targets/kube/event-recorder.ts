import type { Clock } from '../../model/clock.ts';
import { describe } from '../../model/errors.ts';
import type { KubeClient } from '../../sources/kube/client.ts';
import type { Log } from '../../sources/kube/log.ts';
import { record, text } from '../../sources/kube/raw.ts';

/** Something that an operator should see in `kubectl describe` of the object it is about. */
export interface Occurrence {
  readonly regarding: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
  };
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase, stable. */
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  /** Name of the Node that this agent runs on. */
  readonly host: string;
  readonly clock: Pick<Clock, 'wall' | 'monotonic'>;
  readonly log: Pick<Log, 'debug'>;
}

interface Known {
  /** How often it occurred since the event was made. */
  count: number;
  /** How many of them the API server knows of. */
  told: number;
  readonly firstSeen: number;
  readonly event: { readonly namespace: string; readonly name: string } | undefined;
}

const EVENTS = { group: '', version: 'v1', resource: 'events' };
/** Distinct events remembered for counting; the API server keeps them for an hour anyway. */
const REMEMBERED = 256;
/** Requests at once, then one each `REFILL` milliseconds. */
const BURST = 20;
const REFILL = 10_000;
/** core/v1 validation refuses longer messages. */
const LONGEST_MESSAGE = 1024;

/**
 * Tells Kubernetes Events (core/v1, which every server and kubectl know). The same occurrence again only counts up the event that
 * is there. Never in the way: too many are dropped, a failed one is logged at debug level and forgotten.
 */
export class EventRecorder {
  readonly #o: EventRecorderOptions;
  readonly #known = new Map<string, Known>();
  #tokens = BURST;
  #refilled: number;
  #queue: Promise<void> = Promise.resolve();
  #serial = 0;

  constructor(options: EventRecorderOptions) {
    this.#o = options;
    this.#refilled = options.clock.monotonic();
  }

  record(occurrence: Occurrence): void {
    const { regarding: r, type, reason, message } = occurrence;
    const identity = JSON.stringify([
      r.apiVersion,
      r.kind,
      r.namespace,
      r.name,
      r.uid,
      type,
      reason,
      message,
    ]);
    const known = this.#known.get(identity);
    if (known) known.count++;
    if (!this.#mayTell()) return;
    // One after the other, so that a count never overtakes the event that it belongs to.
    this.#queue = this.#queue
      .then(() => this.#tell(identity, occurrence))
      .catch((error: unknown) => {
        this.#o.log.debug(
          { reason, object: `${r.kind} ${r.name}`, error: describe(error) },
          'event not told',
        );
      });
  }

  /** Resolves when everything recorded so far was told or given up. */
  async settled(): Promise<void> {
    await this.#queue;
  }

  async #tell(identity: string, occurrence: Occurrence): Promise<void> {
    const known = this.#known.get(identity);
    if (known?.event) {
      if (known.told === known.count) return;
      const count = known.count;
      const body = { count, lastTimestamp: this.#now() };
      try {
        await this.#o.client.patch({ ...EVENTS, ...known.event }, 'merge', body);
        known.told = count;
        return;
      } catch (error) {
        // Events expire after an hour: begin a new one next time.
        this.#known.delete(identity);
        throw error;
      }
    }
    const created = await this.#create(occurrence);
    this.#remember(identity, created);
  }

  async #create({ regarding, type, reason, message }: Occurrence): Promise<Known> {
    // Events about objects without a namespace live in "default", as kubelet's do.
    const namespace = regarding.namespace ?? 'default';
    const firstSeen = this.#o.clock.wall();
    const name = `${regarding.name}.${firstSeen.toString(16)}.${(this.#serial++).toString(16)}`;
    const created = await this.#o.client.create(
      { ...EVENTS, namespace },
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { namespace, name },
        involvedObject: regarding,
        type,
        reason,
        message: message.slice(0, LONGEST_MESSAGE),
        count: 1,
        firstTimestamp: this.#now(),
        lastTimestamp: this.#now(),
        source: { component: 'fairlead', host: this.#o.host },
        reportingComponent: 'fairlead',
        reportingInstance: this.#o.host,
      },
    );
    const event = { namespace, name: text(record(created.metadata).name) || name };
    return { count: 1, told: 1, firstSeen, event };
  }

  #remember(identity: string, known: Known): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(identity, known);
  }

  #mayTell(): boolean {
    const now = this.#o.clock.monotonic();
    const earned = Math.floor((now - this.#refilled) / REFILL);
    if (earned > 0) {
      this.#tokens = Math.min(BURST, this.#tokens + earned);
      this.#refilled += earned * REFILL;
    }
    if (this.#tokens === 0) return false;
    this.#tokens--;
    return true;
  }

  /** `metav1.Time`: whole seconds. */
  #now(): string {
    return new Date(this.#o.clock.wall()).toISOString().replace(/\.\d+Z$/, 'Z');
  }
}
