import { join } from 'node:path';
import type { Ip } from '../model/net/ip.ts';
import type { Problem } from '../model/problem.ts';
import { WorldStore } from '../model/world-store.ts';
import { policyPlanner } from '../plan/policy/planner.ts';
import { isPolicyRow } from '../plan/policy/render/render.ts';
import type { Values } from '../sources/config/settings.ts';
import { ConfigSource, problemText, settingsAtStart } from '../sources/config/source.ts';
import { CNI_RESULTS, readKeptResults } from '../sources/host/cni-results.ts';
import { startHostSource } from '../sources/host/host.ts';
import { conntrackTarget } from '../targets/linux/conntrack.ts';
import { forgetFlows } from '../targets/linux/forget-flows.ts';
import { apiRoutes, healthRoutes } from './api.ts';
import { BIRTHS_FILE, Births } from './births.ts';
import { BirthsBefore, learnedAt } from './births-before.ts';
import { cniRoutes } from './births-cni.ts';
import { bootId } from './boot-file.ts';
import { requireNetAdmin } from './capabilities.ts';
import { claimSocket } from './claim.ts';
import { systemClock } from './clock.ts';
import { clientFor, followCluster, nodeRecorder } from './cluster.ts';
import { crashOnUncaught, untilAskedToEnd } from './crash.ts';
import { startDenials } from './denials/start.ts';
import { ProblemEvents, policyReference } from './events.ts';
import { FollowPeers } from './follow-peers.ts';
import { openHealthPort } from './health.ts';
import { httpServer, type Routes } from './http.ts';
import { type AgentInput, configInput } from './input.ts';
import { createLog, type Log } from './log.ts';
import { Loop } from './loop.ts';
import { loopHooks, stateLog } from './loop-hooks.ts';
import { GUARDED_FILE, LostRulesWatch } from './lost-rules.ts';
import { giveBackMemory } from './memory.ts';
import { agentMetrics } from './metrics/agent.ts';
import { processMetrics } from './metrics/process.ts';
import { Registry } from './metrics/registry.ts';
import { OwnFacts } from './own-facts.ts';
import { watchOwnNode } from './own-node.ts';
import { OwnProblems } from './own-problems.ts';
import { clusterTarget, cniPlace, machineTargets, openConnections, openKernel, PLANNERS } from './parts.ts';
import { policyTestRoutes } from './policy-test/test-policies.ts';
import { Recheck } from './recheck.ts';
import { refusedPolicies } from './refused-policies.ts';
import { Signal } from './signal.ts';
import { VERSION } from './version.ts';
import { agentView } from './view.ts';
import { explainer } from './why.ts';

/**
 * The composition root: every part of the agent, in the order in which it starts. Resolves with the exit code when it is asked to end.
 * Throws `bad-settings`, `no-net-admin`, `agent-runs` before it has touched anything.
 */
export async function runAgent(input: AgentInput): Promise<number> {
  const [clock, random, started] = [systemClock, Math.random, systemClock.wall()];
  const settings = configInput(input);
  const { values: atStart, problems: warnings } = settingsAtStart(settings);
  const node = atStart.node ?? '';
  requireNetAdmin();

  const log = createLog(atStart['log.level'], node);
  let routes: Routes | undefined;
  const socket = await claimSocket(
    httpServer(() => routes),
    atStart.stateDir,
  );
  crashOnUncaught(log);
  log.info({ version: VERSION, socket }, `Fairlead ${VERSION} starts for Node ${node}`);
  for (const warning of warnings) log.warn(problemText(warning));

  const changed = new Signal();
  const own = new OwnProblems(log, changed.emit);
  const store = new WorldStore(clock);
  const { world } = store;
  const peers = new FollowPeers(store, world, clock);
  const config = new ConfigSource(settings, peers, clock, {
    onValues: (values) => inForce(values, log),
    onProblems: (problems) => own.set('config', problems),
  });
  const values = await config.start(atStart.config, atStart);

  const kernel = openKernel();
  const client = clientFor(values, clock);
  const facts = new OwnFacts(clock, () => {
    const object = world.nodes.objects.get(node);
    if (object) store.put('nodes', node, facts.mark(object));
  });
  const nodeStatus = clusterTarget(client, node, clock, facts);
  const sink = watchOwnNode(peers, world, node, (object) => nodeStatus.nodeChanged(object), facts);
  startHostSource({ sink, netlink: kernel.route, ...cniPlace(values), clock, log });
  followCluster(node, peers, { client, sink, clock, random, log });

  const boot = bootId();
  const births = new Births({
    sink: store,
    world,
    clock,
    file: join(values.stateDir, BIRTHS_FILE),
    boot,
    tell: (problems) => own.set('births', problems),
  });
  births.load();
  const kept = () => readKeptResults(CNI_RESULTS);
  const before = new BirthsBefore({ births, world, clock, kept, learned: learnedAt(kernel.route) });
  const lostRules = new LostRulesWatch({
    sink: store,
    world,
    file: join(values.stateDir, GUARDED_FILE),
    boot,
    tell: (problems) => own.set('guarded', problems),
  });
  lostRules.load();

  const registry = new Registry();
  processMetrics(registry, started);
  const metrics = agentMetrics({ registry, clock, version: VERSION, status: () => loop.status() });
  const recheck = new Recheck({ world, reads: policyPlanner.reads, isPolicyRow });
  const connections = openConnections();
  const conntrack = conntrackTarget({ nl: connections, clock, judge: recheck });
  recheck.tell(conntrack.touch);
  const targets = [...machineTargets(kernel, values), conntrack, nodeStatus];
  const hooks = loopHooks(log, metrics, recheck);
  const loop = new Loop({ store, planners: PLANNERS, targets, clock, random, hooks });

  const explain = explainer({ world, client, loop, netlink: kernel.route, netfilter: kernel.netfilter });
  const about = { node, started, world, config: settings };
  const view = agentView({ ...about, loop, clock, registry, explain, changed, problems: () => own.list() });
  const forget = (ips: readonly Ip[]) => forgetFlows(connections, new Set(ips));
  const tell = (problems: readonly Problem[]) => own.set('denials', problems);
  const denials = startDenials({ world, clock, netlink: kernel.netfilter, log, registry, tell });
  changed.on(denials.update);
  routes = {
    ...apiRoutes(view, clock),
    ...denials.routes,
    ...policyTestRoutes(world, client),
    ...cniRoutes({ births, world, loop, forget }),
  };
  own.set(
    'health',
    await openHealthPort(
      httpServer(() => healthRoutes(view)),
      values,
    ),
  );

  const tellState = stateLog(log, clock);
  const refer = (object: string) => policyReference(world, object);
  const events = new ProblemEvents(nodeRecorder(client, node, clock, log), clock, refer);
  changed.on(() => {
    const status = loop.status();
    tellState(status);
    if (world.nodes.objects.has(node)) events.update([...own.list(), ...status.problems]);
  });
  loop.onChange(changed.emit);
  loop.onChange(() => births.review());
  loop.onChange(() => before.review());
  loop.onChange(() => lostRules.review(loop.found('nft')));
  loop.onChange(() => own.set('refused', refusedPolicies(loop.failed('nft'))));
  loop.start();
  giveBackMemory(loop.converged, clock);
  return untilAskedToEnd(log);
}

function inForce(values: Values, log: Log): void {
  log.level = values['log.level'];
  log.info({ settings: values }, 'configuration in force');
}
