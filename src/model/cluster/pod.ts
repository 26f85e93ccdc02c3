import type { Ip } from '../net/ip.ts';

/** A Kubernetes Pod, trimmed. Later steps add what they use. */
export interface Pod {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly ips: readonly Ip[];
  readonly hostNetwork: boolean;
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
  readonly labels: Readonly<Record<string, string>>;
}
