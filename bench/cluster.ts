/** Objects of a large cluster, with the weight that real ones have: 13 KB a Node (50 images), 6 KB a Pod with its managed fields. */

/** Prefixes and addresses of node `i` (0 to 65,535); `generation` moves its pod prefixes elsewhere. */
export interface NodeSpec {
  readonly index: number;
  readonly generation?: number;
}

export type Json = Record<string, unknown>;

export const nodeName = (index: number): string => `node-${String(index).padStart(5, '0')}`;

/** Pod prefixes: a /26 of 10.0.0.0/10 and a /64 each, so that 5,000 nodes and their moves fit. */
export function podCidrs({ index, generation = 0 }: NodeSpec): readonly [string, string] {
  const slot = index + generation * 20_000;
  return [
    `10.${slot >> 10}.${(slot >> 2) & 255}.${(slot & 3) * 64}/26`,
    `fd00:10:${(slot >> 16).toString(16)}:${(slot & 0xffff).toString(16)}::/64`,
  ];
}

/** Underlay addresses: 198.18.0.0/15 is set aside for benchmarks (RFC 2544), 2001:2::/48 for IPv6 (RFC 5180). */
export function nodeAddresses(index: number): readonly [string, string] {
  return [`198.18.${(index + 2) >> 8}.${(index + 2) & 255}`, `2001:2::${(index + 2).toString(16)}`];
}

/** A Node as a kubelet keeps it. Carries what flannel publishes too, so that any agent can be measured on the same objects. */
export function nodeObject(spec: NodeSpec): Json {
  const [v4, v6] = nodeAddresses(spec.index);
  const cidrs = podCidrs(spec);
  const hex = spec.index.toString(16).padStart(4, '0');
  const mac = `0e:00:00:00:${hex.slice(0, 2)}:${hex.slice(2)}`;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName(spec.index),
      labels: {
        'kubernetes.io/hostname': nodeName(spec.index),
        'kubernetes.io/os': 'linux',
        'topology.kubernetes.io/zone': `z${spec.index % 3}`,
      },
      annotations: {
        'flannel.alpha.coreos.com/backend-data': JSON.stringify({ VNI: 1, VtepMAC: mac }),
        'flannel.alpha.coreos.com/backend-type': 'vxlan',
        'flannel.alpha.coreos.com/kube-subnet-manager': 'true',
        'flannel.alpha.coreos.com/public-ip': v4,
      },
      managedFields: [managedFields('kubelet', 30)],
    },
    spec: { podCIDR: cidrs[0], podCIDRs: cidrs },
    status: {
      addresses: [
        { type: 'InternalIP', address: v4 },
        { type: 'InternalIP', address: v6 },
        { type: 'Hostname', address: nodeName(spec.index) },
      ],
      conditions: ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
        type,
        status: type === 'Ready' ? 'True' : 'False',
        reason: 'Kubelet',
        message: 'kubelet is posting its status',
        lastHeartbeatTime: '2026-01-01T00:00:00Z',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      })),
      nodeInfo: {
        kernelVersion: '6.18.0',
        osImage: 'Debian',
        kubeletVersion: 'v1.36.3',
        architecture: 'amd64',
        operatingSystem: 'linux',
      },
      images: Array.from({ length: 50 }, (_, i) => ({
        names: [
          `registry.example/team/app-${i}@sha256:${String(i).repeat(64).slice(0, 64)}`,
          `registry.example/team/app-${i}:v1.${i}`,
        ],
        sizeBytes: 100_000_000 + i,
      })),
    },
  };
}

/** A running Pod on one of `nodes` nodes. */
export function podObject(index: number, nodes: number): Json {
  const node = index % nodes;
  const container = {
    name: 'app',
    image: 'registry.example/team/app:v1',
    resources: { requests: { cpu: '100m', memory: '128Mi' } },
    ports: [{ containerPort: 8080, protocol: 'TCP' }],
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `app-${index}`,
      namespace: `team-${index % 100}`,
      labels: { app: `app-${index % 1000}`, 'pod-template-hash': 'abcdef1234', tier: 'web' },
      managedFields: [managedFields('kube-controller-manager', 60), managedFields('kubelet', 60)],
    },
    spec: { nodeName: nodeName(node), containers: [container], tolerations: [{ operator: 'Exists' }] },
    status: {
      phase: 'Running',
      podIP: `10.200.${(index >> 8) & 255}.${index & 255}`,
      podIPs: [{ ip: `10.200.${(index >> 8) & 255}.${index & 255}` }],
    },
  };
}

function managedFields(manager: string, fields: number): Json {
  const entries = Array.from({ length: fields }, (_, i) => [
    `f:field-number-${i}`,
    { 'f:name': {}, 'f:value': {} },
  ]);
  return {
    manager,
    operation: 'Update',
    apiVersion: 'v1',
    time: '2026-01-01T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:status': Object.fromEntries(entries) },
  };
}

/** `nodes` Nodes and `pods` Pods on them. */
export function* nodesAndPods(nodes: number, pods: number): Iterable<Json> {
  for (let i = 0; i < nodes; i++) yield nodeObject({ index: i });
  for (let i = 0; i < pods; i++) yield podObject(i, nodes);
}
