import type { Direction } from './cluster/policy.ts';
import type { Family } from './net/ip.ts';
import type { Problem } from './problem.ts';
import type { TargetName } from './rows/row.ts';
import type { SourceName } from './world.ts';

/**
 * The agent's socket API: HTTP over a unix socket, JSON bodies, paths under `/v1`. The CLI, the lab and the map speak only this.
 * Adding a field is compatible; anything else is `/v2`. Times are milliseconds since the epoch.
 *
 * GET /v1/status → Status · GET /v1/rows?target=T → RowStatus[] · GET /v1/drift → DriftRecord[]
 * GET /v1/why?from=POD-or-IP&to=POD-or-IP&traffic=tcp/80 → Why · POST /v1/plan {config?} → PlannedChange[] · GET /v1/watch → NDJSON of Status, one at each change
 * GET /v1/denials?namespace=N → Denial[] · GET /v1/denials/watch?namespace=N → NDJSON of Denial
 * POST /v1/policy-test {manifests: [object of the Kubernetes API], delete?: [`networkpolicy/shop/db`]} → PolicyPreview
 */
export interface Status {
  readonly node: string;
  readonly version: string;
  readonly started: number;
  /** `converging` until the first full pass; `degraded` while some row fails or some source is away. */
  readonly state: 'waiting' | 'converging' | 'ready' | 'degraded';
  readonly sources: readonly SourceStatus[];
  readonly targets: readonly TargetStatus[];
  readonly problems: readonly Problem[];
  /** This node's transport towards each other node, with the reason. */
  readonly pairs: readonly PairStatus[];
  readonly podMtu: number | undefined;
  readonly policy?: PolicyStatus;
}

/** Network policy on this node. */
export interface PolicyStatus {
  readonly enabled: boolean;
  /** All that the API has. */
  readonly networkPolicies: number;
  readonly clusterNetworkPolicies: number;
  /** Of those, how many select a pod of this node. */
  readonly inForce: number;
  /** Pods of this node that policies can select, and that some policy or the default deny selects. */
  readonly pods: number;
  readonly selected: number;
  /** `NetworkPolicy x/a`: closed, because something in it cannot be used. */
  readonly invalid: readonly string[];
}

export interface SourceStatus {
  readonly name: SourceName;
  readonly ready: boolean;
  readonly since: number;
  readonly reason: string | undefined;
  readonly objects: number;
}

export interface TargetStatus {
  readonly name: TargetName;
  readonly stage: number;
  readonly wanted: number;
  /** Of those, how many are as wanted. */
  readonly done: number;
  readonly waiting: number;
  readonly failed: number;
  /** Present things of ours that nobody wants, waiting to be removed. */
  readonly extra: number;
  /** When the kernel was last read in full. */
  readonly observed: number | undefined;
  /** Why it could not be observed. */
  readonly error: string | undefined;
  /** Up to 20 rows that are not as wanted, failed ones first. */
  readonly rows: readonly RowStatus[];
}

export interface RowStatus {
  readonly target: TargetName;
  readonly key: string;
  readonly why: string;
  readonly state: 'done' | 'pending' | 'waiting' | 'failed' | 'removing' | 'held';
  /** The kernel's own words, what it waits for, or why its removal is `held`. */
  readonly message?: string;
  readonly attempts?: number;
  readonly nextTry?: number;
}

export interface DriftRecord {
  readonly at: number;
  readonly target: TargetName;
  readonly key: string;
  readonly kind: 'missing' | 'altered' | 'foreign';
  readonly repaired: number | undefined;
}

export interface PairStatus {
  readonly node: string;
  readonly transport: string;
  readonly reason: string;
}

export interface PlannedChange {
  readonly stage: number;
  readonly target: TargetName;
  readonly key: string;
  readonly action: 'add' | 'change' | 'remove';
  readonly why: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface Why {
  readonly from: string;
  readonly to: string;
  readonly steps: readonly WhyStep[];
  readonly reachable: 'yes' | 'no' | 'unknown';
}

export interface WhyStep {
  /** Whose packets it is about, where both families are followed one after the other; absent when it holds for both. */
  readonly family?: Family;
  /** Where on the path: `pod n1/a`, `node n1`, `underlay`, `node n2`. */
  readonly at: string;
  /** What happens there, for people. */
  readonly text: string;
  /** The row that makes it so. */
  readonly row?: { readonly target: TargetName; readonly key: string; readonly state: RowStatus['state'] };
  /** What policies say at this end. `by` and the rest as in plan/policy/flow.ts. */
  readonly policy?: {
    readonly direction: Direction;
    readonly allowed: boolean;
    readonly audit: boolean;
    readonly by: string;
    readonly policies: readonly string[];
    readonly rule?: number;
  };
  /** What the kernel itself answered to a route lookup, or what its nftables rules do with such a packet; differs from the plan = `mismatch` true. */
  readonly kernel?: { readonly text: string; readonly mismatch: boolean };
}

/** A packet that policies denied (or would have, in audit mode), and how many equal ones came within 10 s of it. */
export interface Denial {
  /** Grows by one with each. A stream tells a denial when it is new, and once more when its 10 s are over and there were several. */
  readonly id: number;
  readonly at: number;
  readonly last: number;
  readonly count: number;
  readonly kind: 'deny' | 'audit';
  readonly direction: Direction;
  readonly from: DenialEnd;
  readonly to: DenialEnd;
  /** `TCP`, `ICMP`, `protocol 99`. */
  readonly protocol: string;
  readonly port?: number;
  /** Who decided (plan/policy/flow.ts); absent when what is known by now says otherwise than the kernel's rules did. */
  readonly by?: string;
  /** `NetworkPolicy x/allow-web`: the one that denied, or all that select the pod when none of them allows. */
  readonly policies: readonly string[];
  readonly rule?: number;
  readonly text: string;
}

export interface DenialEnd {
  readonly ip: string;
  /** `namespace/name`. */
  readonly pod?: string;
  readonly node?: string;
}

/** What would change if policies were created, replaced or deleted. */
export interface PolicyPreview {
  readonly policies: readonly PreviewedPolicy[];
  /** What closes first, then what opens, then what audit mode would only tell. */
  readonly changes: readonly PreviewChange[];
  /** Changes that are not listed, because there are too many. */
  readonly omitted: number;
  /** How many kinds of traffic between two ends were judged. */
  readonly judged: number;
  /** False = there was too much to judge, and more may change than is told. */
  readonly complete: boolean;
}

export interface PreviewedPolicy {
  /** `NetworkPolicy x/allow-web`. */
  readonly name: string;
  readonly action: 'create' | 'replace' | 'unchanged' | 'delete';
  /** Pods that it selects; ones that no policy tells apart are one, `x/web-1 and 2 like it`. */
  readonly selects: readonly string[];
}

export interface PreviewChange {
  readonly kind: 'closes' | 'opens' | 'audits';
  /** Each of these … */
  readonly from: readonly string[];
  /** … to each of these. */
  readonly to: readonly string[];
  /** `TCP 80`, `TCP 8000-8080`, `other UDP`, `everything`. */
  readonly traffic: readonly string[];
  readonly because: string;
}
