import { release } from 'node:os';
import { isStatus, type KubeObject, type LabApi, MERGE, STRATEGIC } from '../api/client.ts';

/** A Node as far as the lab reads it. */
export interface NodeObject extends KubeObject {
  readonly spec?: {
    readonly podCIDR?: string;
    readonly podCIDRs?: readonly string[];
    readonly taints?: readonly Taint[];
    readonly unschedulable?: boolean;
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly Condition[];
  };
}

export interface Taint {
  readonly key: string;
  readonly effect: string;
  readonly value?: string;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface NodeDescription {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[] | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

const NODES = '/api/v1/nodes';
const NOT_READY = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
const NO_NETWORK = { key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' };
const CAPACITY = { cpu: '4', memory: '8Gi', pods: '110', 'ephemeral-storage': '10Gi' };

/** A kubelet's word about its own Node object. */
export class NodeRegistration {
  readonly #api: LabApi;
  readonly #node: NodeDescription;
  #ready: string | undefined;

  constructor(api: LabApi, node: NodeDescription) {
    this.#api = api;
    this.#node = node;
  }

  /** Creates the Node as a kubelet and a cloud provider do: not ready, and no network until somebody says so. */
  async register(): Promise<void> {
    const { name, addresses, podCidrs, labels } = this.#node;
    const node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        labels: {
          'kubernetes.io/hostname': name,
          'kubernetes.io/os': 'linux',
          'kubernetes.io/arch': process.arch === 'arm64' ? 'arm64' : 'amd64',
          ...labels,
        },
      },
      spec: {
        taints: [NOT_READY, NO_NETWORK],
        providerID: `lab://${name}`,
        ...(podCidrs ? { podCIDR: podCidrs[0], podCIDRs: podCidrs } : {}),
      },
      status: this.#status(addresses),
    };
    try {
      await this.#api.create(NODES, node);
    } catch (error) {
      // A Node that is there from before keeps what others have said on it.
      if (!isStatus(error, 409)) throw error;
      return;
    }
    // The status of a creation may be dropped by the server; the subresource is where it counts. Not a strategic patch: two addresses
    // of one type are one entry to it.
    await this.#api.patch(`${NODES}/${name}/status`, { status: node.status }, MERGE);
  }

  /** Sets the Ready condition; `reason` absent = ready. Writes only changes. */
  async setReady(reason: string | undefined): Promise<void> {
    const words = reason ?? '';
    if (this.#ready === words) return;
    const status = { conditions: [readyCondition(reason)] };
    await this.#api.patch(`${NODES}/${this.#node.name}/status`, { status }, STRATEGIC);
    this.#ready = words;
  }

  /** Tells the node controller that the kubelet lives: a lease, as kubelets keep since 1.17. */
  async heartbeat(): Promise<void> {
    const { name } = this.#node;
    const path = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const renewTime = new Date().toISOString().replace('Z', '000Z');
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime };
    try {
      await this.#api.patch(`${path}/${name}`, { spec });
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
      await this.#api.create(path, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace: 'kube-node-lease' },
        spec,
      });
    }
  }

  #status(addresses: readonly string[]) {
    return {
      addresses: [
        ...addresses.map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: this.#node.name },
      ],
      capacity: CAPACITY,
      allocatable: CAPACITY,
      conditions: [
        readyCondition('cni plugin not initialized'),
        ...['MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
          type,
          status: 'False',
          reason: `KubeletHas${type === 'DiskPressure' ? 'NoDiskPressure' : `Sufficient${type.replace('Pressure', '')}`}`,
          message: 'the lab has enough',
          ...times(),
        })),
        {
          type: 'NetworkUnavailable',
          status: 'True',
          reason: 'NoRouteCreated',
          message: 'Node created without a route',
          ...times(),
        },
      ],
      nodeInfo: {
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
        bootID: '',
        containerRuntimeVersion: 'lab://1',
        kernelVersion: release(),
        kubeProxyVersion: '',
        kubeletVersion: 'v1.36.3',
        machineID: this.#node.name,
        operatingSystem: 'linux',
        osImage: 'Fairlead lab',
        systemUUID: this.#node.name,
      },
    };
  }
}

const times = () => {
  const now = `${new Date().toISOString().slice(0, 19)}Z`;
  return { lastHeartbeatTime: now, lastTransitionTime: now };
};

function readyCondition(reason: string | undefined) {
  return reason === undefined
    ? {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'kubelet is posting ready status',
        ...times(),
      }
    : {
        type: 'Ready',
        status: 'False',
        reason: 'KubeletNotReady',
        message: `container runtime network not ready: ${reason}`,
        ...times(),
      };
}

/** Taints that the node lifecycle controller keeps true from conditions. Returns undefined when they already are. */
export function lifecycleTaints(node: NodeObject): readonly Taint[] | undefined {
  const status = (type: string) => node.status?.conditions?.find((c) => c.type === type)?.status;
  const wanted = [
    ...(status('Ready') === 'True' ? [] : [NOT_READY]),
    ...(status('NetworkUnavailable') === 'True' ? [NO_NETWORK] : []),
  ];
  const managed = [NOT_READY.key, NO_NETWORK.key];
  const present = node.spec?.taints ?? [];
  const ours = present.filter((taint) => managed.includes(taint.key));
  const same = ours.length === wanted.length && wanted.every((w) => ours.some((o) => o.key === w.key));
  return same ? undefined : [...present.filter((taint) => !managed.includes(taint.key)), ...wanted];
}

export const isReady = (node: NodeObject): boolean =>
  node.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
