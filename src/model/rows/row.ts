import type { AddressBody } from './address.ts';
import type { ConntrackBody } from './conntrack.ts';
import type { FdbBody } from './fdb.ts';
import type { FileBody } from './file.ts';
import type { LinkBody } from './link.ts';
import type { NeighborBody } from './neighbor.ts';
import type { NexthopBody } from './nexthop.ts';
import type { NftBody } from './nft.ts';
import type { NodeStatusBody } from './node-status.ts';
import type { RouteBody } from './route.ts';
import type { RuleBody } from './rule.ts';
import type { SysctlBody } from './sysctl.ts';

/** Every kind of row, by the name of the target that keeps it true. */
export interface RowBodies {
  sysctl: SysctlBody;
  link: LinkBody;
  address: AddressBody;
  nft: NftBody;
  'nft-bridge': NftBody;
  neighbor: NeighborBody;
  fdb: FdbBody;
  nexthop: NexthopBody;
  route: RouteBody;
  rule: RuleBody;
  conntrack: ConntrackBody;
  file: FileBody;
  'node-status': NodeStatusBody;
}

export type TargetName = keyof RowBodies;

/** Names one row: its target, then its key within that target. */
export interface RowRef {
  readonly target: TargetName;
  readonly key: string;
}

/** One thing outside the process that must be true, and the reason. Plain data. */
export type Row = { [T in TargetName]: RowOf<T> }[TargetName];

export interface RowOf<T extends TargetName> {
  readonly target: T;
  /** Unique within the target; made by the target kind's own `…Key` function. */
  readonly key: string;
  readonly body: RowBodies[T];
  /** Short reason for people: "Node n3 10.1.3.0/24 through vxlan". */
  readonly why: string;
  /** Rows that must be true before this one is attempted. */
  readonly needs?: readonly RowRef[];
}
