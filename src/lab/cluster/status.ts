import { request } from 'node:http';
import { join } from 'node:path';
import type { PairStatus, Status } from '../../model/api.ts';
import type { LabNode } from '../kubelet/node.ts';
import { isReady } from '../kubelet/node-object.ts';
import { patience } from '../prober/patience.ts';
import type { Cluster } from './cluster.ts';

export interface LabStatus {
  readonly api: 'lab' | 'real';
  readonly nodes: readonly LabNodeStatus[];
  readonly pods: readonly LabPodStatus[];
}

export interface LabNodeStatus {
  readonly name: string;
  readonly segment: string;
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  readonly ready: boolean;
  /** Why it is not. */
  readonly reason: string;
  readonly agent: {
    readonly pid: number | undefined;
    readonly state: string;
    /** MB. */
    readonly rss: number | undefined;
    readonly podMtu: number | undefined;
    readonly pairs: readonly PairStatus[];
  };
}

export interface LabPodStatus {
  readonly name: string;
  readonly node: string;
  readonly ips: readonly string[];
  readonly running: boolean;
  readonly problem: string;
}

export async function statusOf(cluster: Cluster): Promise<LabStatus> {
  const nodes = await Promise.all([...cluster.nodes.values()].map((node) => nodeStatus(cluster, node)));
  const pods = cluster.pods.all().map((pod) => ({
    name: pod.key,
    node: pod.node.name,
    ips: pod.ips,
    running: pod.running,
    problem: pod.problem ?? '',
  }));
  return {
    api: cluster.options.api,
    nodes: nodes.sort((a, b) => (a.name < b.name ? -1 : 1)),
    pods: pods.sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

async function nodeStatus(cluster: Cluster, node: LabNode): Promise<LabNodeStatus> {
  const object = cluster.controllers.nodes().find((n) => n.metadata.name === node.name);
  const condition = object?.status?.conditions?.find((c) => c.type === 'Ready');
  const said = await agentStatus(node).catch(() => undefined);
  const { pid, rss, lastExit } = node.agent;
  return {
    name: node.name,
    segment: node.topology.segment,
    addresses: node.addresses,
    podCidrs: object?.spec?.podCIDRs ?? [],
    ready: object !== undefined && isReady(object),
    reason: condition?.status === 'True' ? '' : (condition?.message ?? 'not registered'),
    agent: {
      pid,
      rss,
      state: pid === undefined ? (lastExit ?? 'not started') : (said?.state ?? 'no answer'),
      podMtu: said?.podMtu,
      pairs: said?.pairs ?? [],
    },
  };
}

/** One that hangs shall not hold up the others' status for long. */
const PATIENCE_MS = 2_000;

/** What an agent says of itself on its socket. */
export function agentStatus(node: LabNode): Promise<Status> {
  return new Promise((resolve, reject) => {
    const socketPath = join(node.dir, 'run/agent.sock');
    const req = request({ socketPath, path: '/v1/status' }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.once('error', reject);
      res.once('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()) as Status);
        } catch (error) {
          reject(error);
        }
      });
    });
    const answered = patience(PATIENCE_MS, () => req.destroy(new Error(`no answer in ${PATIENCE_MS} ms`)));
    req.once('close', answered);
    req.once('error', reject);
    req.end();
  });
}
