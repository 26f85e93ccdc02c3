import { type KubeObject, type LabApi, MERGE } from '../api/client.ts';
import { isReady, lifecycleTaints, type NodeObject } from '../kubelet/node-object.ts';
import { type PodObject, podKey, podPath } from '../kubelet/pod-object.ts';

/**
 * What a control plane does besides the API server, as far as pods need it: the node lifecycle controller's taints and the scheduler's
 * binding. With a real controller-manager the taints are its own business.
 */
export class Controllers {
  readonly #api: LabApi;
  readonly #keepsTaints: boolean;
  readonly #nodes = new Map<string, NodeObject>();
  readonly #unbound = new Map<string, PodObject>();
  readonly #bound = new Map<string, number>();
  readonly #closing = new AbortController();
  #scheduling = false;

  constructor(api: LabApi, options: { keepsTaints: boolean }) {
    this.#api = api;
    this.#keepsTaints = options.keepsTaints;
  }

  start(): void {
    void this.#api.follow<NodeObject>(
      '/api/v1/nodes',
      {
        onSync: (nodes) => {
          this.#nodes.clear();
          for (const node of nodes) this.#nodeChanged(node);
        },
        onEvent: (type, node) => {
          if (type === 'DELETED') this.#nodes.delete(node.metadata.name);
          else this.#nodeChanged(node);
        },
      },
      this.#closing.signal,
    );
  }

  nodes(): readonly NodeObject[] {
    return [...this.#nodes.values()];
  }

  /** Told by the pod manager about every pod. */
  podChanged(pod: PodObject): void {
    const key = podKey(pod);
    if (pod.spec.nodeName || pod.metadata.deletionTimestamp) this.#unbound.delete(key);
    else this.#unbound.set(key, pod);
    this.#schedule();
  }

  podGone(pod: KubeObject): void {
    this.#unbound.delete(podKey(pod));
  }

  close(): void {
    this.#closing.abort();
  }

  #nodeChanged(node: NodeObject): void {
    this.#nodes.set(node.metadata.name, node);
    if (this.#keepsTaints) void this.#taint(node);
    this.#schedule();
  }

  async #taint(node: NodeObject): Promise<void> {
    const taints = lifecycleTaints(node);
    if (!taints) return;
    const { name, resourceVersion } = node.metadata;
    // A conflict means that a newer Node is on its way here, which will be judged again.
    await this.#api
      .patch(`/api/v1/nodes/${name}`, { metadata: { resourceVersion }, spec: { taints } }, MERGE)
      .catch(() => undefined);
  }

  #schedule(): void {
    if (this.#scheduling || this.#unbound.size === 0) return;
    this.#scheduling = true;
    queueMicrotask(async () => {
      for (const [key, pod] of this.#unbound) {
        const node = this.#choose(pod);
        if (node === undefined) continue;
        this.#unbound.delete(key);
        this.#bound.set(node, (this.#bound.get(node) ?? 0) + 1);
        await this.#bind(pod, node);
      }
      this.#scheduling = false;
    });
  }

  /** The node with the fewest pods bound here, of those that the pod may run on. */
  #choose(pod: PodObject): string | undefined {
    const fits = this.nodes().filter((node) => mayRun(pod, node));
    const load = (node: NodeObject) => this.#bound.get(node.metadata.name) ?? 0;
    return fits.sort((a, b) => load(a) - load(b) || (a.metadata.name < b.metadata.name ? -1 : 1))[0]?.metadata
      .name;
  }

  async #bind(pod: PodObject, node: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    await this.#api
      .create(`${podPath(pod)}/binding`, {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { name, namespace, uid },
        target: { apiVersion: 'v1', kind: 'Node', name: node },
      })
      .catch(() => undefined);
  }
}

function mayRun(pod: PodObject, node: NodeObject): boolean {
  if (!isReady(node) || node.spec?.unschedulable) return false;
  const labels = node.metadata.labels ?? {};
  if (Object.entries(pod.spec.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) return false;
  const tolerates = (taint: { key: string; effect: string }) =>
    pod.spec.tolerations?.some(
      (t) =>
        (t.key === undefined || t.key === '' || t.key === taint.key) &&
        (t.effect === undefined || t.effect === '' || t.effect === taint.effect),
    ) ?? false;
  return (node.spec?.taints ?? []).every((taint) => taint.effect === 'PreferNoSchedule' || tolerates(taint));
}
