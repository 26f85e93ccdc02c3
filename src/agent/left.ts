import { join } from 'node:path';
import type { Clock } from '../model/clock.ts';
import type { WorldStore } from '../model/world-store.ts';
import { BIRTHS_FILE, Births } from './births.ts';
import { bootId } from './boot-file.ts';
import { GUARDED_FILE, LostRulesWatch } from './lost-rules.ts';
import type { OwnProblems } from './own-problems.ts';

export interface LeftOptions {
  readonly store: WorldStore;
  readonly clock: Clock;
  readonly stateDir: string;
  readonly own: OwnProblems;
}

/** What the agent before this one left until a reboot, read: which pods were born, and that rules were there. */
export function readWhatWasLeft({ store, clock, stateDir, own }: LeftOptions): {
  readonly births: Births;
  readonly lostRules: LostRulesWatch;
} {
  const common = { sink: store, world: store.world, boot: bootId() };
  const births = new Births({
    ...common,
    clock,
    file: join(stateDir, BIRTHS_FILE),
    tell: (problems) => own.set('births', problems),
  });
  births.load();
  const lostRules = new LostRulesWatch({
    ...common,
    file: join(stateDir, GUARDED_FILE),
    tell: (problems) => own.set('guarded', problems),
  });
  lostRules.load();
  return { births, lostRules };
}
