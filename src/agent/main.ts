import { WorldStore } from '../model/world-store.ts';
import { policyPlanner } from '../plan/policy/planner.ts';
import { isPolicyRow } from '../plan/policy/render/render.ts';
import type { Values } from '../sources/config/settings.ts';
import { ConfigSource, problemText, settingsAtStart } from '../sources/config/source.ts';
import { CNI_RESULTS, readKeptResults } from '../sources/host/cni-results.ts';
import { startHostSource } from '../sources/host/host.ts';
import { conntrackTarget } from '../targets/linux/conntrack.ts';
import { healthRoutes } from './api.ts';
import { BirthsBefore, learnedAt } from './births-before.ts';
import { requireNetAdmin } from './capabilities.ts';
import { claimSocket } from './claim.ts';
import { systemClock } from './clock.ts';
import { clientFor, followCluster } from './cluster.ts';
import { crashOnUncaught, untilAskedToEnd } from './crash.ts';
import { FollowPeers } from './follow-peers.ts';
import { openHealthPort } from './health.ts';
import { httpServer, type Routes } from './http.ts';
import { type AgentInput, configInput } from './input.ts';
import { readWhatWasLeft } from './left.ts';
import { createLog, type Log } from './log.ts';
import { Loop } from './loop.ts';
import { loopHooks } from './loop-hooks.ts';
import { giveBackMemory } from './memory.ts';
import { agentMetrics } from './metrics/agent.ts';
import { processMetrics } from './metrics/process.ts';
import { Registry } from './metrics/registry.ts';
import { OwnFacts } from './own-facts.ts';
import { watchOwnNode } from './own-node.ts';
import { OwnProblems } from './own-problems.ts';
import { clusterTarget, cniPlace, machineTargets, openConnections, openKernel, PLANNERS } from './parts.ts';
import { Recheck } from './recheck.ts';
import { refusedPolicies } from './refused-policies.ts';
import { show } from './show.ts';
import { Signal } from './signal.ts';
import { VERSION } from './version.ts';

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

  const { births, lostRules } = readWhatWasLeft({ store, clock, stateDir: values.stateDir, own });
  const kept = () => readKeptResults(CNI_RESULTS);
  const before = new BirthsBefore({ births, world, clock, kept, learned: learnedAt(kernel.route) });
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

  const about = { node, started, config: settings, world, client, kernel, connections };
  const shown = show({ ...about, loop, births, registry, changed, own, clock, log });
  routes = shown.routes;
  own.set(
    'health',
    await openHealthPort(
      httpServer(() => healthRoutes(shown.view)),
      values,
    ),
  );

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
