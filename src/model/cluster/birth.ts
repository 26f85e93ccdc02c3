import type { Ip } from '../net/ip.ts';

/** A pod of this node whose network was just made, as the CNI plugin told: known before the API server says which addresses it has. */
export interface Birth {
  /** `namespace/name`. */
  readonly pod: string;
  /** The pod's uid, or empty when the container runtime does not tell it. */
  readonly uid: string;
  readonly containerId: string;
  readonly ips: readonly Ip[];
}
