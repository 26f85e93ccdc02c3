import { equal } from '../../model/equal.ts';
import type { TargetName } from '../../model/rows/row.ts';
import type { Target } from '../../reconcile/target.ts';
import type { FakeMachine } from './machine.ts';

/** Stages as the real targets have them. */
export const STAGES: Readonly<Record<TargetName, number>> = {
  sysctl: 0,
  link: 0,
  address: 0,
  nft: 1,
  'nft-bridge': 1,
  neighbor: 2,
  fdb: 2,
  nexthop: 2,
  route: 3,
  rule: 3,
  conntrack: 5,
  file: 6,
  'node-status': 6,
};

/** All targets of the agent, over a machine in memory. */
export function fakeTargets(machine: FakeMachine): Target<unknown>[] {
  return Object.entries(STAGES).map(([name, stage]) => fakeTarget(machine, name as TargetName, stage));
}

function fakeTarget(machine: FakeMachine, name: TargetName, stage: number): Target<unknown> {
  const atomic = name === 'nft' || name === 'nft-bridge';
  return {
    name,
    stage,
    atomic,
    same: equal,
    async observe() {
      await undefined;
      return machine.observe(name);
    },
    async apply(batch) {
      await undefined;
      const outcomes = atomic ? machine.commit(name, batch) : machine.apply(name, batch);
      // The process is dead: nobody will ever get this answer.
      return outcomes ?? new Promise<never>(() => {});
    },
    watch(onDrift) {
      const close = machine.watch(name, onDrift);
      return { close };
    },
  };
}
