import type { Clock } from '../model/clock.ts';
import type { World } from '../model/world.ts';
import type { ConfigInput } from '../sources/config/source.ts';
import type { KubeClient } from '../sources/kube/client.ts';
import { forgetFlows } from '../targets/linux/forget-flows.ts';
import type { NetlinkTransport } from '../targets/linux/netlink/transport.ts';
import { type AgentView, apiRoutes } from './api.ts';
import type { Births } from './births.ts';
import { cniRoutes } from './births-cni.ts';
import { nodeRecorder } from './cluster.ts';
import { startDenials } from './denials/start.ts';
import { ProblemEvents, policyReference } from './events.ts';
import type { Routes } from './http.ts';
import type { Log } from './log.ts';
import type { Loop } from './loop.ts';
import { stateLog } from './loop-hooks.ts';
import type { Registry } from './metrics/registry.ts';
import type { OwnProblems } from './own-problems.ts';
import type { Kernel } from './parts.ts';
import { policyTestRoutes } from './policy-test/test-policies.ts';
import type { Signal } from './signal.ts';
import { agentView } from './view.ts';
import { explainer } from './why.ts';

export interface ShowParts {
  readonly node: string;
  readonly started: number;
  readonly config: ConfigInput;
  readonly world: World;
  readonly client: KubeClient;
  readonly kernel: Kernel;
  readonly connections: NetlinkTransport;
  readonly loop: Loop;
  readonly births: Births;
  readonly registry: Registry;
  readonly changed: Signal;
  readonly own: OwnProblems;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the agent shows of itself, and what it answers on its socket. From now on its state is told in the log, and problems as Events. */
export function show(parts: ShowParts): { readonly view: AgentView; readonly routes: Routes } {
  const { world, client, kernel, connections, loop, births, registry, changed, own, clock, log } = parts;
  const explain = explainer({ world, client, loop, netlink: kernel.route, netfilter: kernel.netfilter });
  const view = agentView({ ...parts, explain, problems: () => own.list() });
  const denials = startDenials({
    world,
    clock,
    netlink: kernel.netfilter,
    log,
    registry,
    tell: (problems) => own.set('denials', problems),
  });
  changed.on(denials.update);
  tellProblems(parts);
  const routes = {
    ...apiRoutes(view, clock),
    ...denials.routes,
    ...policyTestRoutes(world, client),
    ...cniRoutes({ births, world, loop, forget: (ips) => forgetFlows(connections, new Set(ips)) }),
  };
  return { view, routes };
}

function tellProblems({ node, world, client, loop, changed, own, clock, log }: ShowParts): void {
  const tellState = stateLog(log, clock);
  const refer = (object: string) => policyReference(world, object);
  const events = new ProblemEvents(nodeRecorder(client, node, clock, log), clock, refer);
  changed.on(() => {
    const status = loop.status();
    tellState(status);
    if (world.nodes.objects.has(node)) events.update([...own.list(), ...status.problems]);
  });
}
