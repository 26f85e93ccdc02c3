import type { Clock } from '../model/clock.ts';
import type { Attachment, Birth } from '../model/cluster/birth.ts';
import { tryIp } from '../model/net/ip.ts';
import { tryMac } from '../model/net/mac.ts';
import type { World, WorldSink } from '../model/world.ts';
import { BootFile, type BootFileOptions, listOf } from './boot-file.ts';

/** In the state folder. */
export const BIRTHS_FILE = 'births.json';
/** A pod that the API server has not had, or a port that the kernel has not had, for this long is gone. Longer than an ADD may wait for its pod to be told of. */
const GONE_MS = 60_000;

/** What was born before a reboot lives no more. */
export interface BirthsOptions extends BootFileOptions {
  readonly sink: WorldSink;
  readonly world: World;
  readonly clock: Clock;
}

/**
 * The table `births`: pods of this node whose network was made, until the container runtime takes it away. Written down at each
 * change, so that an agent that starts again knows them before the API server tells it anything.
 *
 * An address has one owner: a birth takes it from whoever had it before, whose DEL never came.
 */
export class Births {
  readonly #options: BirthsOptions;
  readonly #births = new Map<string, Birth>();
  /** Since when the API server has no such pod, monotonic milliseconds. */
  readonly #missing = new Map<string, number>();
  #reviewed: unknown;
  #timer: { cancel(): void } | undefined;
  readonly #file: BootFile;

  constructor(options: BirthsOptions) {
    this.#options = options;
    this.#file = new BootFile(
      options,
      'pods that start now are closed for a moment when the agent starts again',
    );
  }

  /** Reads what an agent before this one wrote down. The table is ready from then on. */
  load(): void {
    const { sink } = this.#options;
    for (const [id, value] of Object.entries(this.#file.read().births ?? {})) {
      const birth = checked(value);
      if (birth === undefined) continue;
      this.#births.set(id, birth);
      sink.put('births', id, birth);
    }
    sink.ready('births');
  }

  get(id: string): Birth | undefined {
    return this.#births.get(id);
  }

  put(id: string, birth: Birth): void {
    const taken = new Set<string>(birth.ips);
    for (const [other, { ips }] of [...this.#births]) {
      if (other === id || !ips.some((ip) => taken.has(ip))) continue;
      this.#set(
        other,
        ips.filter((ip) => !taken.has(ip)),
      );
    }
    this.#births.set(id, Object.freeze(birth));
    this.#missing.delete(id);
    this.#options.sink.put('births', id, birth);
    this.#write();
    this.#reviewed = undefined;
  }

  remove(...ids: readonly string[]): void {
    const present = ids.filter((id) => this.#births.has(id));
    if (present.length === 0) return;
    for (const id of present) this.#set(id, []);
    this.#write();
  }

  /** Removes what belongs to no container of these. */
  keepOnly(containers: ReadonlySet<string>): void {
    this.remove(
      ...[...this.#births].filter(([, birth]) => !containers.has(birth.containerId)).map(([id]) => id),
    );
  }

  /** Looks for births whose pods the API server no longer has, or whose port the kernel: their DEL was lost, or never told us. Cheap when both tables stand still. */
  review(): void {
    const { world, clock } = this.#options;
    const { pods } = world;
    if (!pods.ready || this.#births.size === 0) return;
    const mark = `${pods.revision} ${pods.since} ${world.ports.revision}`;
    if (mark === this.#reviewed && this.#missing.size === 0) return;
    this.#reviewed = mark;
    const now = clock.monotonic();
    const gone: string[] = [];
    for (const [id, birth] of this.#births) {
      if (isOf(birth, world) && hangs(birth, world)) {
        this.#missing.delete(id);
        continue;
      }
      const since = this.#missing.get(id) ?? now;
      this.#missing.set(id, since);
      if (now - since >= GONE_MS) gone.push(id);
    }
    this.remove(...gone);
    if (this.#missing.size > 0) this.#lookAgain();
  }

  close(): void {
    this.#timer?.cancel();
  }

  #lookAgain(): void {
    this.#timer ??= this.#options.clock.after(GONE_MS, () => {
      this.#timer = undefined;
      this.review();
    });
  }

  #set(id: string, ips: Birth['ips']): void {
    const { sink } = this.#options;
    const birth = this.#births.get(id);
    if (!birth) return;
    if (ips.length === 0) {
      this.#births.delete(id);
      this.#missing.delete(id);
      sink.remove('births', id);
      return;
    }
    const left = Object.freeze({ ...birth, ips });
    this.#births.set(id, left);
    sink.put('births', id, left);
  }

  /** Without the file an agent that starts again has its pods closed until the API server tells it their addresses. */
  #write(): void {
    this.#file.write({ births: Object.fromEntries(this.#births) });
  }
}

/** Whether the API server has the pod that was born. A runtime that tells no uid is believed by the name. */
export function isOf(birth: Birth, world: World): boolean {
  const pod = world.pods.objects.get(birth.pod);
  return pod !== undefined && (birth.uid === '' || birth.uid === pod.uid);
}

/** A pod whose port is gone has no network any more, or another one. */
const hangs = ({ attached }: Birth, { ports }: World): boolean =>
  attached === undefined || !ports.ready || ports.objects.has(attached.port);

function checked(value: unknown): Birth | undefined {
  const { pod, uid, containerId, ips, attached } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof pod !== 'string' || typeof uid !== 'string' || typeof containerId !== 'string') return undefined;
  const addresses = listOf(ips, tryIp) ?? [];
  if (addresses.length === 0) return undefined;
  return Object.freeze({ pod, uid, containerId, ips: Object.freeze(addresses), ...attachment(attached) });
}

function attachment(value: unknown): { readonly attached?: Attachment } {
  const { bridge, port, mac: text } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const mac = tryMac(String(text));
  if (typeof bridge !== 'string' || typeof port !== 'string' || mac === undefined) return {};
  return { attached: Object.freeze({ bridge, port, mac }) };
}
