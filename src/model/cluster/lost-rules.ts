import type { Cidr } from '../net/cidr.ts';
import type { Ip } from '../net/ip.ts';

/**
 * Policies were enforced here since the machine was started, their rules have gone from the kernel, and no agent that is still running knows
 * what they were.
 */
export interface LostRules {
  /** Of this node, as they were then. */
  readonly podCidrs: readonly Cidr[];
  readonly addresses: readonly Ip[];
}
