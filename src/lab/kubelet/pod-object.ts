import type { KubeObject } from '../api/client.ts';
import type { ListenPort } from '../prober/responder.ts';

/** A Pod as far as the lab reads it. */
export interface PodObject extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly runtimeClassName?: string;
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly tolerations?: readonly {
      readonly key?: string;
      readonly operator?: string;
      readonly effect?: string;
    }[];
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly terminationGracePeriodSeconds?: number;
  };
  readonly status?: { readonly phase?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly args?: readonly string[];
  readonly ports?: readonly ContainerPort[];
}

interface ContainerPort {
  readonly containerPort: number;
  readonly hostPort?: number;
  readonly protocol?: string;
}

export const podKey = (pod: KubeObject): string => `${pod.metadata.namespace}/${pod.metadata.name}`;

export const podPath = (pod: KubeObject): string =>
  `/api/v1/namespaces/${pod.metadata.namespace}/pods/${pod.metadata.name}`;

/** A pod of the lab's own: it runs nothing, the lab answers for it. */
export function labPod(namespace: string, name: string, nodeName: string | undefined, labels = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: 'lab', ...labels } },
    spec: {
      ...(nodeName ? { nodeName } : {}),
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'echo', image: 'lab/echo', ports: [{ containerPort: 8080 }] }],
    },
  };
}

const ports = (pod: PodObject): readonly ContainerPort[] => pod.spec.containers.flatMap((c) => c.ports ?? []);

/** Ports on which the lab answers for the pod: those that it declares, and the probe port. */
export function portsOf(pod: PodObject, probePort: number): readonly ListenPort[] {
  const wanted = new Map<string, ListenPort>();
  const add = (protocol: ListenPort['protocol'], port: number) =>
    wanted.set(`${protocol} ${port}`, { protocol, port });
  // A hostNetwork pod shares its ports with the node and with its neighbours there.
  if (!pod.spec.hostNetwork) for (const protocol of ['tcp', 'udp'] as const) add(protocol, probePort);
  for (const { protocol, containerPort } of ports(pod))
    add((protocol ?? 'TCP').toLowerCase() as ListenPort['protocol'], containerPort);
  return [...wanted.values()];
}

export function portMappingsOf(pod: PodObject) {
  return ports(pod).flatMap(({ hostPort, containerPort, protocol }) =>
    hostPort ? [{ hostPort, containerPort, protocol: (protocol ?? 'TCP').toLowerCase() }] : [],
  );
}

/** Status of a pod whose sandbox is up and whose init containers run. */
export function sandboxStatus(ips: readonly string[]): Record<string, unknown> {
  return { phase: 'Pending', podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) };
}

/** Status of a pod whose containers run, as a kubelet writes it. */
export function runningStatus(
  pod: PodObject,
  ips: readonly string[],
  hostIps: readonly string[],
): Record<string, unknown> {
  const now = `${new Date().toISOString().slice(0, 19)}Z`;
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now });
  return {
    phase: 'Running',
    startTime: now,
    hostIP: hostIps[0],
    hostIPs: hostIps.map((ip) => ({ ip })),
    podIP: ips[0],
    podIPs: ips.map((ip) => ({ ip })),
    conditions: ['PodScheduled', 'PodReadyToStartContainers', 'Initialized', 'ContainersReady', 'Ready'].map(
      condition,
    ),
    containerStatuses: pod.spec.containers.map(({ name, image }) => ({
      name,
      image: image ?? 'lab/echo',
      imageID: `lab://${image ?? 'lab/echo'}`,
      containerID: `lab://${pod.metadata.uid}/${name}`,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now } },
    })),
  };
}

/** Status of a pod that waits for its network. */
export function waitingStatus(pod: PodObject, reason: string, message: string): Record<string, unknown> {
  return {
    phase: 'Pending',
    containerStatuses: pod.spec.containers.map(({ name, image }) => ({
      name,
      image: image ?? 'lab/echo',
      imageID: '',
      ready: false,
      started: false,
      restartCount: 0,
      state: { waiting: { reason, message } },
    })),
  };
}
