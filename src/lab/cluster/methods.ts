import { configInput } from '../../agent/input.ts';
import { FairleadError } from '../../model/errors.ts';
import type { Family } from '../../model/net/ip.ts';
import { load, problemText } from '../../sources/config/source.ts';
import type { Methods } from '../control.ts';
import { Faults } from '../faults/faults.ts';
import type { LabNode } from '../kubelet/node.ts';
import type { ProbeRequest, StreamRequest } from '../prober/types.ts';
import { OUTSIDE } from '../topology/network.ts';
import type { Topology, TopologyNode } from '../topology/topology.ts';
import type { Cluster } from './cluster.ts';
import { Probes } from './probes.ts';
import { statusOf } from './status.ts';

/** The lab's own interface, as `./fairlead lab …` and the tests use it. */
export function methodsOf(cluster: Cluster): Methods {
  const probes = new Probes(cluster);
  const faults = new Faults(cluster);
  return {
    status: () => statusOf(cluster),
    waiting: () => cluster.waitingFor() ?? '',
    probe: ({ requests }: { requests: readonly ProbeRequest[] }) => probes.ask(requests),
    matrix: ({ protocol }: { protocol?: ProbeRequest['protocol'] }) => probes.matrix(protocol),
    paths: ({ from, to }: { from?: string; to?: string }) => probes.paths(from, to),
    streamStart: (request: StreamRequest & { families?: readonly Family[] }) => probes.start(request),
    streamProgress: ({ id }: { id: number }) => probes.progress(id),
    streamFinish: ({ id, stop }: { id: number; stop?: boolean }) => probes.finish(id, stop ?? false),
    addNode: (node: Partial<TopologyNode>) => cluster.addNode(node),
    removeNode: ({ name }: { name: string }) => cluster.removeNode(name),
    addPod: (pod: { name: string; node?: string; labels?: Record<string, string> }) =>
      cluster.addPod(pod.name, pod.node, pod.labels),
    removePod: ({ name }: { name: string }) => cluster.removePod(name),
    checkPods: () => Promise.all(cluster.pods.all().map((pod) => pod.check())),
    enter: ({ name }: { name: string }) => enterCommand(cluster, name),
    configure: ({ node, config }: { node?: string; config: Readonly<Record<string, unknown>> }) => {
      const nodes = node === undefined ? cluster.nodes.values() : [cluster.node(node)];
      for (const each of nodes) each.configure(config);
    },
    set: ({ node, settings }: { node?: string; settings: Readonly<Record<string, unknown>> }) => {
      const nodes = node === undefined ? [...cluster.nodes.values()] : [cluster.node(node)];
      for (const each of nodes) each.set(settings);
      return Promise.all(nodes.map(refusals)).then((lists) => lists.flat());
    },
    writeConfig: ({ node, text }: { node: string; text: string }) => cluster.node(node).writeConfig(text),
    startAgent: ({ node, env }: { node: string; env?: Record<string, string> }) =>
      cluster.node(node).agent.start(env),
    killAgent: ({ node, signal }: { node: string; signal?: NodeJS.Signals }) =>
      cluster.node(node).agent.kill(signal),
    agentExited: ({ node }: { node: string }) => cluster.node(node).agent.exited,
    agentCommand: ({ node }: { node: string }) => cluster.node(node).agentCommand().argv,
    fault: ({ name, args }: { name: string; args: readonly string[] }) => faults.run(name, args),
    faultsHit: () => cluster.service.faultsHit,
  };
}

/** What the node's agent will not accept of its configuration file as it is now. */
async function refusals(node: LabNode): Promise<readonly string[]> {
  const file = { path: '/run/fairlead/config.yaml', text: node.config };
  const { problems } = await load(configInput({ flags: new Map(), env: {} }), file);
  return problems.map((problem) => `${node.name}: ${problemText(problem)}`);
}

/** Command line that puts a program where a node, a pod or `outside` is. Valid inside the lab's first namespaces. */
function enterCommand(cluster: Cluster, name: string): readonly string[] {
  const node = cluster.nodes.get(name);
  if (node) return node.enter;
  const pod = cluster.pods.get(name.includes('/') ? name : `default/${name}`);
  if (pod?.ns) return ['nsenter', `--mount=${pod.node.mountPath}`, `--net=${pod.ns.path}`, '--'];
  if (!machinesOf(cluster.topology).includes(name)) {
    throw new FairleadError('lab-name', `no node, pod or other machine is called "${name}"`, {
      hint: `pods are NAMESPACE/NAME, machines ${[...[...cluster.nodes.keys()].sort(), ...machinesOf(cluster.topology)].join(', ')}`,
    });
  }
  return ['nsenter', `--net=${cluster.network.ns(name).path}`, '--'];
}

/** Namespaces that are no node's and no pod's: wires, routers, `outside`. */
function machinesOf({ segments, routers, outside }: Topology): string[] {
  return [...segments, ...routers].map(({ name }) => name).concat(outside ? [OUTSIDE] : []);
}
