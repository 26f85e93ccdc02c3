import type { Problem } from '../model/problem.ts';
import { WorldStore } from '../model/world-store.ts';
import { ConfigSource, problemText, settingsAtStart } from '../sources/config/source.ts';
import { startHostSource } from '../sources/host/host.ts';
import { startKubeSources } from '../sources/kube/sources.ts';
import { apiRoutes, healthRoutes } from './api.ts';
import { requireNetAdmin } from './capabilities.ts';
import { claimSocket } from './claim.ts';
import { systemClock } from './clock.ts';
import { clientFor, nodeRecorder, ownNodeEar } from './cluster.ts';
import { crashOnUncaught, untilAskedToEnd } from './crash.ts';
import { ProblemEvents } from './events.ts';
import { openHealthPort } from './health.ts';
import { httpServer, type Routes } from './http.ts';
import { type AgentInput, configInput } from './input.ts';
import { createLog } from './log.ts';
import { Loop } from './loop.ts';
import { loopHooks, stateLog } from './loop-hooks.ts';
import { agentMetrics } from './metrics/agent.ts';
import { processMetrics } from './metrics/process.ts';
import { Registry } from './metrics/registry.ts';
import { clusterTarget, machineTargets, openKernel, PLANNERS } from './parts.ts';
import { Signal } from './signal.ts';
import { VERSION } from './version.ts';
import { agentView } from './view.ts';
import { explainer } from './why.ts';

/**
 * The composition root: every part of the agent, in the order in which it starts. Resolves with the exit code when it is asked to end.
 * Throws `bad-settings`, `no-net-admin`, `agent-runs` before it has touched anything.
 */
export async function runAgent(input: AgentInput): Promise<number> {
  const started = systemClock.wall();
  const clock = systemClock;
  const random = Math.random;
  const settings = configInput(input);
  const { values: atStart, problems: warnings } = settingsAtStart(settings);
  const node = atStart.node ?? '';
  requireNetAdmin();

  const log = createLog(atStart['log.level'], node);
  let routes: Routes | undefined;
  const api = httpServer(() => routes);
  const socket = await claimSocket(api, atStart.stateDir);
  crashOnUncaught(log);
  log.info({ version: VERSION, socket }, `Fairlead ${VERSION} starts for Node ${node}`);
  for (const warning of warnings) log.warn(problemText(warning));

  const store = new WorldStore(clock);
  let configProblems: readonly Problem[] = [];
  let healthProblem: Problem | undefined;
  const changed = new Signal();
  const problems = () => [...configProblems, ...(healthProblem ? [healthProblem] : [])];

  const config = new ConfigSource(settings, store, clock, {
    onValues(values) {
      log.level = values['log.level'];
      log.info({ settings: values }, 'configuration in force');
    },
    onProblems(found) {
      for (const problem of found) log.warn({ object: problem.object }, problemText(problem));
      configProblems = found;
      changed.emit();
    },
  });
  const values = await config.start(atStart.config, atStart);

  const kernel = openKernel();
  const client = clientFor(values, clock);
  startHostSource({ sink: store, netlink: kernel.route, cniDir: values['cni.dir'], clock, log });
  const nodeStatus = clusterTarget(client, node, clock);
  const sink = ownNodeEar(store, store.world, node, (own) => nodeStatus.nodeChanged(own));
  startKubeSources({ client, sink, clock, random, log });

  const registry = new Registry();
  const metrics = agentMetrics({ registry, clock, version: VERSION, status: () => loop.status() });
  processMetrics(registry, started);
  const targets = [...machineTargets(kernel, values), nodeStatus];
  const loop = new Loop({
    store,
    planners: PLANNERS,
    targets,
    clock,
    random,
    hooks: loopHooks(log, metrics),
  });

  const explain = explainer({ world: store.world, loop, netlink: kernel.route });
  const view = agentView({
    node,
    started,
    store,
    loop,
    clock,
    registry,
    config: settings,
    explain,
    changed,
    problems,
  });
  routes = apiRoutes(view, clock);
  if (values['health.port'] !== 0) {
    const health = httpServer(() => healthRoutes(view));
    healthProblem = await openHealthPort(health, values['health.port'], values['health.address']);
    if (healthProblem) log.warn(problemText(healthProblem));
  }

  const tellState = stateLog(log, clock);
  const events = new ProblemEvents(nodeRecorder(client, node, store.world, clock, log), () =>
    clock.monotonic(),
  );
  loop.onChange(changed.emit);
  changed.on(() => {
    const status = loop.status();
    tellState(status);
    events.update([...problems(), ...status.problems]);
  });
  loop.start();
  return untilAskedToEnd(log);
}
