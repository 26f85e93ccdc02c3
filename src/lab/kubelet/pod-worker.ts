import { isStatus, type LabApi } from '../api/client.ts';
import { PROBE_PORT, Responder } from '../prober/responder.ts';
import { must } from '../run.ts';
import { NetNs } from '../sockets/netns.ts';
import type { CniResult, Conflist } from './cni.ts';
import { runInitContainers } from './init-containers.ts';
import type { LabNode } from './node.ts';
import {
  type PodObject,
  podKey,
  podPath,
  portMappingsOf,
  portsOf,
  runningStatus,
  sandboxStatus,
  waitingStatus,
} from './pod-object.ts';

/**
 * One pod's life on its node: sandbox, CNI, status, end. Its steps run one after the other; a newer pod of the same name waits
 * for the older one's end.
 */
export class PodWorker {
  readonly pod: PodObject;
  readonly node: LabNode;
  readonly #api: LabApi;
  #state: 'starting' | 'running' | 'ended' = 'starting';
  #ns: NetNs | undefined;
  #responder: Responder | undefined;
  #attached: { list: Conflist; result: CniResult } | undefined;
  #initStatuses: readonly unknown[] | undefined;
  #work: Promise<void>;
  readonly #ending = new AbortController();
  ips: readonly string[] = [];
  /** Why it does not run yet. */
  problem: string | undefined;

  constructor(api: LabApi, node: LabNode, pod: PodObject, after: Promise<void> | undefined) {
    this.#api = api;
    this.node = node;
    this.pod = pod;
    this.#work = (after ?? Promise.resolve()).then(() => this.#start());
  }

  get key(): string {
    return podKey(this.pod);
  }

  get running(): boolean {
    return this.#state === 'running';
  }

  /** The namespace in which its probes are born. */
  get ns(): NetNs | undefined {
    return this.pod.spec.hostNetwork ? this.node.ns : this.#ns;
  }

  /** Resolves when the pod has ended. */
  end(options: { tell: boolean }): Promise<void> {
    if (!this.#ending.signal.aborted) {
      this.#ending.abort();
      this.#work = this.#work.then(() => this.#stop(options.tell));
    }
    return this.#work;
  }

  async check(): Promise<void> {
    if (this.#attached)
      await this.node.cni.check(this.#attached.list, this.#attachment(), this.#attached.result);
  }

  async #start(): Promise<void> {
    let wait = 50;
    while (!this.#ending.signal.aborted) {
      try {
        await this.#sandbox();
        return;
      } catch (error) {
        this.problem = error instanceof Error ? error.message : String(error);
        await this.#say(waitingStatus(this.pod, 'ContainerCreating', this.problem)).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, wait));
        wait = Math.min(wait * 2, 1000);
      }
    }
  }

  async #sandbox(): Promise<void> {
    if (this.pod.spec.hostNetwork) this.ips = this.node.addresses;
    else if (!this.#attached) await this.#attach();
    if (this.#ending.signal.aborted) return;
    const ns = this.ns;
    if (!ns) return;
    this.#initStatuses ??= await this.#init(ns);
    const machine = this.pod.spec.hostNetwork ? this.node.addresses : [];
    this.#responder = await Responder.start(ns, this.node.families, portsOf(this.pod, PROBE_PORT), machine);
    this.problem = undefined;
    this.#state = 'running';
    const status = runningStatus(this.pod, this.ips, this.node.addresses);
    const init = this.#initStatuses.length > 0 ? { initContainerStatuses: this.#initStatuses } : {};
    await this.#say({ ...status, ...init });
  }

  /** Once in a pod's life. The addresses are told meanwhile, as a kubelet does. */
  async #init(ns: NetNs): Promise<readonly unknown[]> {
    if (!this.pod.spec.initContainers?.length) return [];
    const done = runInitContainers(this.pod, ns);
    await Promise.all([done, this.#say(sandboxStatus(this.ips))]);
    return done;
  }

  async #attach(): Promise<void> {
    const list = await this.node.network(this.#ending.signal);
    if (!list) return;
    if (!this.#ns) {
      const name = this.#nsName;
      await must(['sh', '-c', 'ip netns add "$1" && ip -n "$1" link set dev lo up', 'sh', name]);
      this.#ns = new NetNs(name);
    }
    const result = await this.node.cni.add(list, this.#attachment(), this.#ending.signal);
    this.#attached = { list, result };
    this.ips = (result.ips ?? []).map(({ address }) => address.split('/')[0] ?? '');
  }

  async #stop(tell: boolean): Promise<void> {
    this.#responder?.close();
    if (this.#attached)
      await this.node.cni
        .del(this.#attached.list, this.#attachment(), this.#attached.result)
        .catch((error: unknown) => this.node.log(`pod ${this.key}: ${error}`));
    if (this.#ns) {
      this.#ns.close();
      await must(['ip', 'netns', 'delete', this.#nsName]).catch(() => undefined);
      this.#ns = undefined;
    }
    this.#state = 'ended';
    if (!tell) return;
    const { uid } = this.pod.metadata;
    await this.#api
      .delete(podPath(this.pod), { gracePeriodSeconds: 0, preconditions: { uid } })
      .catch((error: unknown) => {
        if (!isStatus(error, 404) && !isStatus(error, 409)) this.node.log(`pod ${this.key}: ${error}`);
      });
  }

  get #nsName(): string {
    return `${this.pod.metadata.namespace}_${this.pod.metadata.name}`;
  }

  #attachment() {
    const { namespace, name, uid = '' } = this.pod.metadata;
    const containerId = `lab-${uid}`;
    return {
      containerId,
      netns: `/run/netns/${this.#nsName}`,
      args: [
        'IgnoreUnknown=1',
        `K8S_POD_NAMESPACE=${namespace}`,
        `K8S_POD_NAME=${name}`,
        `K8S_POD_INFRA_CONTAINER_ID=${containerId}`,
        `K8S_POD_UID=${uid}`,
      ].join(';'),
      portMappings: portMappingsOf(this.pod),
    };
  }

  /** Writes the pod's status; a pod that is gone needs none. An API server that is away is asked again, as a kubelet does. */
  async #say(status: Record<string, unknown>): Promise<void> {
    for (let wait = 20; !this.#ending.signal.aborted; wait = Math.min(wait * 2, 1000)) {
      try {
        await this.#api.patch(`${podPath(this.pod)}/status`, { status });
        return;
      } catch (error) {
        if (isStatus(error, 404)) return;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }
}
