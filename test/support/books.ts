/** Targets whose every call is written down, and a reconciler over them. */
import type { RowRef, TargetName } from '../../src/model/rows/row.ts';
import type { WantedRow } from '../../src/reconcile/delta.ts';
import { type ReconcileHooks, Reconciler } from '../../src/reconcile/reconciler.ts';
import type { Change, Outcome, Target } from '../../src/reconcile/target.ts';
import { FakeClock, seeded } from './fake-clock.ts';

export const OK: Outcome = { ok: true };

/** A target whose every call is written down, over a plain map. `answer` may refuse, throw or hang. */
export class Book implements Target<unknown> {
  readonly name: TargetName;
  readonly stage: number;
  readonly atomic: boolean;
  readonly things = new Map<string, unknown>();
  readonly calls: string[];
  observes = 0;
  answer: ((change: Change<unknown>, batch: readonly Change<unknown>[]) => Outcome) | undefined;
  before: (() => Promise<void> | void) | undefined;
  observeFails: Error | undefined;
  notify: (keys: Iterable<string> | 'unknown') => void = () => {};

  constructor(name: TargetName, stage: number, calls: string[], atomic = false) {
    this.name = name;
    this.stage = stage;
    this.calls = calls;
    this.atomic = atomic;
  }

  same(wanted: unknown, found: unknown): boolean {
    return wanted === found;
  }

  async observe(): Promise<ReadonlyMap<string, unknown>> {
    this.observes++;
    await undefined;
    if (this.observeFails) throw this.observeFails;
    return new Map(this.things);
  }

  async apply(batch: readonly Change<unknown>[]): Promise<Outcome[]> {
    const text = batch.map(({ key, wanted }) => (wanted === undefined ? `-${key}` : `+${key}`)).join(' ');
    this.calls.push(`${this.name}: ${text}`);
    await this.before?.();
    return batch.map((change) => {
      const outcome = this.answer?.(change, batch) ?? OK;
      if (!outcome.ok) return outcome;
      if (change.wanted === undefined) this.things.delete(change.key);
      else this.things.set(change.key, change.wanted);
      return OK;
    });
  }

  watch(onDrift: (keys: Iterable<string> | 'unknown') => void) {
    this.notify = onDrift;
    return { close: () => {} };
  }
}

/** A reconciler over five books of different stages; `want` takes `route a=1 needs link x`, or `-route a`. */
export function rig(hooks: ReconcileHooks = {}, clock = new FakeClock()) {
  const calls: string[] = [];
  const link = new Book('link', 0, calls);
  const nft = new Book('nft', 1, calls, true);
  const neighbor = new Book('neighbor', 2, calls);
  const route = new Book('route', 3, calls);
  const file = new Book('file', 6, calls);
  const targets = [link, nft, neighbor, route, file];
  const reconciler = new Reconciler({ targets, clock, random: seeded(1), hooks });
  reconciler.gate(() => undefined);
  reconciler.step();
  const want = (...texts: string[]) => {
    reconciler.want(texts.map(parse), clock.monotonic());
    reconciler.step();
  };
  const states = () => reconciler.rows().map((r) => `${r.target} ${r.key} ${r.state}`);
  const status = (name: string) => reconciler.status().find((s) => s.name === name)!;
  return { clock, calls, link, nft, neighbor, route, file, reconciler, want, states, status };
}

/** `route a=1 needs link x`, or `-route a`. */
export function parse(text: string): { target: TargetName; key: string; row: WantedRow | undefined } {
  const [head = '', ...needTexts] = text.split(' needs ');
  const [, minus, target = '', key = '', body] = /^(-?)(\S+) ([^=]+)(?:=(.*))?$/.exec(head) ?? [];
  const needs = needTexts.map((need): RowRef => {
    const [t = '', k = ''] = need.split(' ');
    return { target: t as TargetName, key: k };
  });
  const name = target as TargetName;
  const row = minus ? undefined : { target: name, key, body: body ?? '1', why: `why ${key}`, needs };
  return { target: name, key, row };
}
