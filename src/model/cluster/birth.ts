import type { Ip } from '../net/ip.ts';
import type { Mac } from '../net/mac.ts';

/** A pod of this node whose network was just made, as the CNI plugin told: known before the API server says which addresses it has. */
export interface Birth {
  /** `namespace/name`. */
  readonly pod: string;
  /** The pod's uid, or empty when the container runtime does not tell it. */
  readonly uid: string;
  readonly containerId: string;
  readonly ips: readonly Ip[];
  /** Where it hangs on a bridge; absent where it hangs on none, and for a pod from before agents remembered it. */
  readonly attached?: Attachment;
}

export interface Attachment {
  readonly bridge: string;
  /** The link on the bridge. */
  readonly port: string;
  /** Of the pod's own end. */
  readonly mac: Mac;
}
