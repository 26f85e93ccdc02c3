/** The path of a packet, in steps: what is answered to `fairlead why`. */
import type { Direction } from '../../model/cluster/policy.ts';
import type { Family, Ip } from '../../model/net/ip.ts';
import type { NextHop } from '../../model/rows/route.ts';
import type { RowRef } from '../../model/rows/row.ts';
import type { Flow, Verdict } from '../policy/flow.ts';

/** One place on the path of a packet, as the World says; the agent adds the rows' states and the kernel's own answers. */
export interface PathStep {
  /** Where both families are followed, one after the other; absent when it holds for both. */
  readonly family?: Family;
  /** `pod default/a`, `node n1`, `underlay`, `outside`. */
  readonly at: string;
  readonly text: string;
  /** The row that makes it so. */
  readonly row?: RowRef;
  /** What to ask this machine's kernel, to see whether it agrees. */
  readonly lookup?: {
    readonly from: Ip | undefined;
    readonly to: Ip;
    /** Next hops of the row: the kernel should answer one of them. */
    readonly through?: readonly NextHop[];
  };
  /** What policies say here, and what to ask this machine's rules. */
  readonly policy?: Omit<Verdict, 'pod' | 'text'>;
  readonly rules?: RulesQuestion;
}

export interface Path {
  readonly from: string;
  readonly to: string;
  readonly steps: readonly PathStep[];
  /** `unknown` where another node decides, or nobody knows who has the address. */
  readonly reachable: 'yes' | 'no' | 'unknown';
}

/** What to ask this machine's own rules, to see whether they agree. */
export interface RulesQuestion {
  readonly flow: Flow;
  readonly direction: Direction;
  /** The hook that such a packet crosses here. */
  readonly hook: 'forward' | 'output' | 'input';
  /** What the policies say. */
  readonly allowed: boolean;
}

/** Where a step is that says which policies there are. */
export const POLICIES = 'policies';
