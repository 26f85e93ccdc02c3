import type { Ip } from '../net/ip.ts';
import type { PolicyProtocol } from './policy.ts';

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
  /** Container ports that have a name, of containers and of restartable init containers. */
  readonly ports: readonly NamedPort[];
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: PolicyProtocol;
  readonly port: number;
}
