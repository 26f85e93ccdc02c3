import { randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Clock } from '../model/clock.ts';
import type { Attachment, Birth } from '../model/cluster/birth.ts';
import { describe } from '../model/errors.ts';
import { tryIp } from '../model/net/ip.ts';
import { tryMac } from '../model/net/mac.ts';
import type { Problem } from '../model/problem.ts';
import type { World, WorldSink } from '../model/world.ts';

/** In the state folder. */
export const BIRTHS_FILE = 'births.json';
/** A pod that the API server has not had for this long is gone. Longer than an ADD may wait for its pod to be told of. */
const GONE_MS = 60_000;

export interface BirthsOptions {
  readonly sink: WorldSink;
  readonly world: World;
  readonly clock: Clock;
  readonly file: string;
  /** The kernel's boot_id: what was born before a reboot lives no more. */
  readonly boot: string;
  tell(problems: readonly Problem[]): void;
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
  #troubled = false;

  constructor(options: BirthsOptions) {
    this.#options = options;
  }

  /** Reads what an agent before this one wrote down. The table is ready from then on. */
  load(): void {
    const { sink, file, boot } = this.#options;
    for (const [id, birth] of readBirths(file, boot)) {
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

  /** Looks for births whose pods the API server no longer has: their DEL was lost. Cheap when the table of pods stands still. */
  review(): void {
    const { world, clock } = this.#options;
    const { pods } = world;
    if (!pods.ready || this.#births.size === 0) return;
    const mark = `${pods.revision} ${pods.since}`;
    if (mark === this.#reviewed && this.#missing.size === 0) return;
    this.#reviewed = mark;
    const now = clock.monotonic();
    const gone: string[] = [];
    for (const [id, birth] of this.#births) {
      if (isOf(birth, world)) {
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
    const { file, boot, tell } = this.#options;
    const text = JSON.stringify({ version: 1, boot, births: Object.fromEntries(this.#births) });
    try {
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      renameSync(`${file}.new`, file);
      if (this.#troubled) tell([]);
      this.#troubled = false;
    } catch (error) {
      this.#troubled = true;
      tell([
        {
          object: `file ${file}`,
          message: `cannot be written: ${describe(error)}; pods that start now are closed for a moment when the agent starts again`,
          hint: 'the state folder must be writable and have space',
        },
      ]);
    }
  }
}

/** Whether the API server has the pod that was born. A runtime that tells no uid is believed by the name. */
export function isOf(birth: Birth, world: World): boolean {
  const pod = world.pods.objects.get(birth.pod);
  return pod !== undefined && (birth.uid === '' || birth.uid === pod.uid);
}

/** What cannot be read was never written by us whole, or lies: then nothing is known. */
function readBirths(file: string, boot: string): ReadonlyMap<string, Birth> {
  const found = new Map<string, Birth>();
  try {
    const parsed = JSON.parse(readFileSync(file, 'utf8')) as { boot?: unknown; births?: object };
    if (parsed.boot !== boot) return found;
    for (const [id, value] of Object.entries(parsed.births ?? {})) {
      const birth = checked(value);
      if (birth) found.set(id, birth);
    }
  } catch {
    return new Map();
  }
  return found;
}

function checked(value: unknown): Birth | undefined {
  const { pod, uid, containerId, ips, attached } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof pod !== 'string' || typeof uid !== 'string' || typeof containerId !== 'string') return undefined;
  const addresses = Array.isArray(ips) ? ips.map((ip) => tryIp(String(ip))) : [];
  const good = addresses.filter((ip) => ip !== undefined);
  return good.length === 0 || good.length < addresses.length
    ? undefined
    : Object.freeze({ pod, uid, containerId, ips: Object.freeze(good), ...attachment(attached) });
}

function attachment(value: unknown): { readonly attached?: Attachment } {
  const { bridge, port, mac: text } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const mac = tryMac(String(text));
  if (typeof bridge !== 'string' || typeof port !== 'string' || mac === undefined) return {};
  return { attached: Object.freeze({ bridge, port, mac }) };
}

/** Names this run of the kernel. Without one every start counts as a reboot. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return randomUUID();
  }
}
