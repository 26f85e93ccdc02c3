import { probe, type Target } from '../prober/probe.ts';
import type { Verdict } from '../prober/types.ts';
import type { NetNs } from '../sockets/netns.ts';
import type { Container, PodObject } from './pod-object.ts';

const IMAGE = 'lab/connect';
const PROTOCOLS: readonly string[] = ['tcp', 'udp', 'sctp', 'icmp'] satisfies readonly Target['protocol'][];

/** What an init container of the lab did, as JSON in its status: `state.terminated.message`. */
export interface FirstAction {
  readonly to: string;
  readonly verdict: Verdict;
  /** Why it is not allowed, in the kernel's words. */
  readonly reason?: string;
  /** From the container's start, which is the moment in which CNI ADD returned, to the answer. */
  readonly ms: number;
}

/**
 * Runs a pod's init containers of the image `lab/connect`: each asks once, `args: [PROTOCOL, ADDRESS, PORT, MILLISECONDS]`, from inside the
 * pod. Unlike a kubelet's they run all at the same time, so that each of them is the pod's first action, and none of them fails the pod.
 * Returns their statuses.
 */
export function runInitContainers(pod: PodObject, ns: NetNs): Promise<readonly unknown[]> {
  const begun = performance.now();
  return Promise.all((pod.spec.initContainers ?? []).map((container) => run(container, pod, ns, begun)));
}

async function run(container: Container, pod: PodObject, ns: NetNs, begun: number): Promise<unknown> {
  const { name, image = IMAGE } = container;
  const startedAt = timestamp();
  const target = image === IMAGE ? targetOf(container.args ?? []) : undefined;
  const answer = target && (await probe(ns, target));
  const action = answer &&
    target && {
      to: target.address,
      verdict: answer.verdict,
      ms: Math.round((performance.now() - begun) * 10) / 10,
    };
  const terminated = {
    exitCode: answer === undefined || answer.verdict === 'allowed' ? 0 : 1,
    reason: answer?.verdict ?? 'Completed',
    message: JSON.stringify(action satisfies FirstAction | undefined) ?? `image ${image} does nothing here`,
    startedAt,
    finishedAt: timestamp(),
    containerID: `lab://${pod.metadata.uid}/${name}`,
  };
  return {
    name,
    image,
    imageID: `lab://${image}`,
    ready: true,
    started: false,
    restartCount: 0,
    state: { terminated },
  };
}

function targetOf([protocol = '', address = '', port = '', timeout = '1000']: readonly string[]): Target {
  if (!isProtocol(protocol)) throw new Error(`${IMAGE}: no protocol "${protocol}"`);
  return { protocol, address, port: Number(port), timeout: Number(timeout) };
}

const isProtocol = (text: string): text is Target['protocol'] => PROTOCOLS.includes(text);

const timestamp = (): string => `${new Date().toISOString().slice(0, 19)}Z`;
