/** Kubernetes objects as the API server would give them, from what a case says of them. */
import type { CaseNode, CasePod, Labels, ServedPort } from './state.ts';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels: Labels };
  readonly [field: string]: unknown;
}

export const namespaceManifest = (name: string, labels: Labels): Manifest => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

export function nodeManifest({ name, labels, addresses }: CaseNode, podCidrs: readonly string[]): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels },
    spec: { podCIDRs: podCidrs, podCIDR: podCidrs[0] },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  };
}

/** A running pod. */
export function podManifest(pod: CasePod, ports: readonly ServedPort[], ips: readonly string[]): Manifest {
  return {
    ...podToCreate(
      pod,
      ports.filter(({ name }) => name !== undefined),
    ),
    status: { phase: 'Running', podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  };
}

/** What a user would create. All of `ports` become container ports. */
export function podToCreate(pod: CasePod, ports: readonly ServedPort[]): Manifest {
  const { namespace, name, labels, node, hostNetwork } = pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels },
    spec: {
      nodeName: node,
      ...(hostNetwork ? { hostNetwork } : {}),
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: containersFor(ports).map((mine, i) => ({
        name: `echo-${i}`,
        image: 'lab/echo',
        ports: mine.map(({ port, ...rest }) => ({ ...rest, containerPort: port })),
      })),
    },
  };
}

/** One container can have a port name once only: what has it again goes into the next one. */
function containersFor(ports: readonly ServedPort[]): readonly (readonly ServedPort[])[] {
  const containers: ServedPort[][] = [[]];
  for (const port of ports) {
    const free = (one: ServedPort[]) =>
      port.name === undefined || !one.some(({ name }) => name === port.name);
    let place = containers.find(free);
    if (!place) {
      place = [];
      containers.push(place);
    }
    place.push(port);
  }
  return containers;
}
