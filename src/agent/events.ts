import type { Clock } from '../model/clock.ts';
import type { Problem } from '../model/problem.ts';
import type { World } from '../model/world.ts';
import type { Occurrence } from '../targets/kube/event-recorder.ts';

/** Who writes Kubernetes Events; `targets/kube` has one. */
export interface Recorder {
  record(event: {
    readonly type: 'Normal' | 'Warning';
    readonly reason: string;
    readonly message: string;
    /** Default: our Node. */
    readonly regarding?: Reference;
    /** Others tell the same in the same words. */
    readonly once?: boolean;
  }): void;
}

/** An object of the API, as an Event names it. */
export type Reference = Occurrence['regarding'];

/** The policy that `NetworkPolicy x/web` or `ClusterNetworkPolicy first` means. */
export function policyReference(world: World, object: string): Reference | undefined {
  const [kind = '', name = ''] = object.split(' ');
  if (kind === 'NetworkPolicy') {
    const policy = world.networkPolicies.objects.get(name);
    const apiVersion = 'networking.k8s.io/v1';
    return policy && { apiVersion, kind, namespace: policy.namespace, name: policy.name, uid: policy.uid };
  }
  if (kind !== 'ClusterNetworkPolicy') return undefined;
  const policy = world.clusterNetworkPolicies.objects.get(name);
  return policy && { apiVersion: 'policy.networking.k8s.io/v1alpha2', kind, name, uid: policy.uid };
}

/**
 * Tells each problem once as an Event, when it appears: on our Node, or on the object itself where every node finds the same wrong with it. One that goes and comes back within `quietMs` is not told
 * again, so that something that flickers does not fill the API server.
 */
export class ProblemEvents {
  readonly #recorder: Recorder;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #quietMs: number;
  readonly #refer: (object: string) => Reference | undefined;
  /** When each was last seen, monotonic milliseconds. */
  readonly #told = new Map<string, number>();

  constructor(
    recorder: Recorder,
    clock: Pick<Clock, 'monotonic'>,
    refer: (object: string) => Reference | undefined = () => undefined,
    quietMs = 600_000,
  ) {
    this.#recorder = recorder;
    this.#clock = clock;
    this.#refer = refer;
    this.#quietMs = quietMs;
  }

  update(problems: readonly Problem[]): void {
    const now = this.#clock.monotonic();
    for (const { object, message, hint, everywhere } of problems) {
      const text = `${object}: ${everywhere ?? message}${hint ? ` (${hint})` : ''}`;
      if (!this.#told.has(text)) {
        const regarding = everywhere === undefined ? undefined : this.#refer(object);
        const event = { type: 'Warning', reason: reasonOf(object), message: text } as const;
        this.#recorder.record(regarding ? { ...event, regarding, once: true } : event);
      }
      this.#told.set(text, now);
    }
    for (const [text, seen] of this.#told) if (now - seen > this.#quietMs) this.#told.delete(text);
  }
}

/** `Setting…`, `Node…`: the kind of the object at fault in one word, as Events have it. */
function reasonOf(object: string): string {
  const [kind = ''] = object.split(' ');
  const word = kind.replace(/[^A-Za-z]/g, '');
  return `${word.charAt(0).toUpperCase()}${word.slice(1) || 'Network'}Problem`;
}
