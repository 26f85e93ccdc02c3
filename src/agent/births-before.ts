import type { Clock } from '../model/clock.ts';
import type { Attachment, Birth } from '../model/cluster/birth.ts';
import { type Ip, tryIp } from '../model/net/ip.ts';
import type { World } from '../model/world.ts';
import { placeOf, podLinks } from '../plan/nodes/pod-links.ts';
import type { KeptResult } from '../sources/host/cni-results.ts';
import { findLink } from '../targets/linux/netlink/rtnetlink/link.ts';
import { dumpFdb, readLearned } from '../targets/linux/netlink/rtnetlink/neighbor.ts';
import type { NetlinkTransport } from '../targets/linux/netlink/transport.ts';
import type { Births } from './births.ts';
import { addressesIn, attachedTo } from './cni-result.ts';

/** The kernel forgets a MAC address that was not heard of for 300 s, and a pod that says nothing has none. */
const LOOK_AGAIN_MS = 10_000;

export interface BirthsBeforeOptions {
  readonly births: Births;
  readonly world: World;
  readonly clock: Clock;
  /** What the container runtime keeps. */
  readonly kept: () => readonly KeptResult[];
  /** MAC addresses that the bridge has learned at this port. */
  readonly learned: (port: string) => Promise<readonly string[]>;
}

/**
 * Pods whose birth nobody told us of: from before a take-over, from an agent that did not keep where they hang, from while policies were off. Without one a pod is not bound to its
 * addresses. Where the container runtime's word, the API server's and the kernel's are the same, they are born now.
 *
 * None of them would do alone. A pod can say anything with its frames, so that its MAC address was heard at its port is only held against the rest: old plugins did not always tell the
 * one that the pod got. Files of pods long gone stay (libcni never removes those of lists before 0.4.0). A wrong birth would cut a pod off; without one it goes on as it was.
 */
export class BirthsBefore {
  readonly #options: BirthsBeforeOptions;
  #files: { readonly ports: string; readonly kept: readonly KeptResult[] } | undefined;
  #timer: { cancel(): void } | undefined;
  #looking = false;

  constructor(options: BirthsBeforeOptions) {
    this.#options = options;
  }

  /** Called whenever anything moved; cheap while all ports are known. */
  review(): void {
    if (this.#timer !== undefined || this.#looking || this.#candidates().length === 0) return;
    void this.#look();
  }

  close(): void {
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { births, learned, clock } = this.#options;
    this.#looking = true;
    for (const [id, birth] of this.#candidates()) {
      const macs = await learned(birth.attached.port).catch((): readonly string[] => []);
      // What was true before the question must be still.
      const [, now] = this.#candidates().find(([other]) => other === id) ?? [];
      if (now && macs.includes(now.attached.mac)) births.put(id, now);
    }
    this.#looking = false;
    this.#timer = clock.after(LOOK_AGAIN_MS, () => {
      this.#timer = undefined;
      this.review();
    });
  }

  #candidates(): readonly [string, Bound][] {
    const { world, kept } = this.#options;
    const config = world.config.objects.get('config');
    if (!config?.policy.enabled) return [];
    if (!world.pods.ready || !world.ports.ready || !world.births.ready || !world.nodes.ready) return [];
    const ports = unbound(world, podLinks(world, placeOf(world.nodes.objects.get(config.nodeName))).bridges);
    if (ports.length === 0) return [];
    // Files of pods that start now are of no interest: those are told.
    if (this.#files?.ports !== ports.join()) this.#files = { ports: ports.join(), kept: kept() };
    const all = this.#files.kept.flatMap((one) => {
      const birth = bornBefore(one, world);
      return birth && ports.includes(birth.attached.port)
        ? [[one.containerId, birth] as [string, Bound]]
        : [];
    });
    return all.filter(
      ([, { attached }]) => all.filter(([, other]) => other.attached.port === attached.port).length === 1,
    );
  }
}

type Bound = Birth & { readonly attached: Attachment };

function unbound(world: World, bridges: readonly string[]): string[] {
  const bound = new Set([...world.births.objects.values()].map(({ attached }) => attached?.port));
  return [...world.ports.objects.values()]
    .filter(({ name, bridge }) => bridges.includes(bridge) && !bound.has(name))
    .map(({ name }) => name);
}

/** What the bridge has learned at a port, from the kernel. */
export function learnedAt(netlink: NetlinkTransport): BirthsBeforeOptions['learned'] {
  return async (port) => {
    const link = await findLink(netlink, port);
    return link ? netlink.dump(dumpFdb(link.index), readLearned) : [];
  };
}

/** The birth that such a file tells of, if the API server and the kernel say the same. */
export function bornBefore(
  { containerId, ifname, args, result }: KeptResult,
  world: World,
): Bound | undefined {
  const { attached } = attachedTo(result, ifname);
  const pod = world.pods.objects.get(`${args.get('K8S_POD_NAMESPACE')}/${args.get('K8S_POD_NAME')}`);
  if (ifname !== 'eth0' || attached === undefined || pod === undefined || pod.hostNetwork) return undefined;
  if (world.ports.objects.get(attached.port)?.bridge !== attached.bridge) return undefined;
  if (pod.phase === 'Succeeded' || pod.phase === 'Failed') return undefined;
  if ((args.get('K8S_POD_UID') ?? pod.uid) !== pod.uid) return undefined;
  const ips = (addressesIn(result) ?? []).map(tryIp).filter((ip) => ip !== undefined);
  if (ips.length === 0 || !sameSet(ips, pod.ips)) return undefined;
  for (const [id, birth] of world.births.objects)
    if (id !== containerId && birth.ips.some((ip) => ips.includes(ip))) return undefined;
  return Object.freeze({ pod: pod.key, uid: pod.uid, containerId, ips: Object.freeze(ips), attached });
}

const sameSet = (a: readonly Ip[], b: readonly Ip[]): boolean =>
  a.length === b.length && a.every((ip) => b.includes(ip));
