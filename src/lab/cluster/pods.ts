import type { LabApi } from '../api/client.ts';
import type { LabNode } from '../kubelet/node.ts';
import { type PodObject, podKey } from '../kubelet/pod-object.ts';
import { PodWorker } from '../kubelet/pod-worker.ts';
import type { Controllers } from './controllers.ts';

/** All kubelets' view of Pods: starts a worker for each one bound to a node of the lab, ends it when the Pod goes. */
export class Pods {
  readonly #api: LabApi;
  readonly #controllers: Controllers;
  readonly #nodes: ReadonlyMap<string, LabNode>;
  readonly #workers = new Map<string, PodWorker>();
  readonly #endings = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(api: LabApi, controllers: Controllers, nodes: ReadonlyMap<string, LabNode>) {
    this.#api = api;
    this.#controllers = controllers;
    this.#nodes = nodes;
  }

  start(): void {
    void this.#api.follow<PodObject>(
      '/api/v1/pods',
      {
        onSync: (pods) => {
          const alive = new Set(pods.map((pod) => pod.metadata.uid));
          for (const [uid, worker] of this.#workers)
            if (!alive.has(uid)) void this.#end(uid, worker, { tell: false });
          for (const pod of pods) this.#changed(pod);
        },
        onEvent: (type, pod) => (type === 'DELETED' ? this.#gone(pod) : this.#changed(pod)),
      },
      this.#closing.signal,
    );
  }

  /** By `namespace/name`. */
  get(key: string): PodWorker | undefined {
    return this.all().find((worker) => worker.key === key);
  }

  all(): readonly PodWorker[] {
    return [...this.#workers.values()];
  }

  /** A node that is gone takes its pods along. */
  async endOn(node: LabNode): Promise<void> {
    const gone = [...this.#workers].filter(([, worker]) => worker.node === node);
    await Promise.all(gone.map(([uid, worker]) => this.#end(uid, worker, { tell: true })));
  }

  close(): void {
    this.#closing.abort();
  }

  #changed(pod: PodObject): void {
    this.#controllers.podChanged(pod);
    const uid = pod.metadata.uid ?? '';
    const worker = this.#workers.get(uid);
    if (pod.metadata.deletionTimestamp) {
      // The lab's pods have nothing to finish: their grace is over at once, as for a process that ends on SIGTERM.
      if (worker) void this.#end(uid, worker, { tell: true });
      return;
    }
    const node = pod.spec.nodeName === undefined ? undefined : this.#nodes.get(pod.spec.nodeName);
    const finished = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    if (worker && finished) void this.#end(uid, worker, { tell: false });
    // A pod that names a runtime is left to whoever brought that runtime.
    if (worker || !node || finished || pod.spec.runtimeClassName !== undefined) return;
    this.#workers.set(uid, new PodWorker(this.#api, node, pod, this.#endings.get(podKey(pod))));
  }

  #gone(pod: PodObject): void {
    this.#controllers.podGone(pod);
    const uid = pod.metadata.uid ?? '';
    const worker = this.#workers.get(uid);
    if (worker) void this.#end(uid, worker, { tell: false });
  }

  #end(uid: string, worker: PodWorker, how: { tell: boolean }): Promise<void> {
    this.#workers.delete(uid);
    const ending = worker.end(how).finally(() => {
      if (this.#endings.get(worker.key) === ending) this.#endings.delete(worker.key);
    });
    this.#endings.set(worker.key, ending);
    return ending;
  }
}
