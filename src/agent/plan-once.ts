import { join } from 'node:path';
import type { PlannedChange } from '../model/api.ts';
import type { Clock } from '../model/clock.ts';
import { FairleadError } from '../model/errors.ts';
import type { World } from '../model/world.ts';
import { WorldStore } from '../model/world-store.ts';
import { ConfigSource, problemText, settingsAtStart } from '../sources/config/source.ts';
import { startHostSource } from '../sources/host/host.ts';
import { BIRTHS_FILE, Births } from './births.ts';
import { bootId } from './boot-file.ts';
import { systemClock } from './clock.ts';
import { clientFor, followCluster } from './cluster.ts';
import { FollowPeers } from './follow-peers.ts';
import { type AgentInput, configInput } from './input.ts';
import { createLog } from './log.ts';
import { Loop } from './loop.ts';
import { watchOwnNode } from './own-node.ts';
import { clusterTarget, cniPlace, machineTargets, openKernel, PLANNERS } from './parts.ts';

const DEADLINE_MS = 20_000;

/**
 * What an agent that starts now would change on this machine. Reads the API server and the kernel, changes nothing. Throws
 * `plan-incomplete` with the missing sources when they are not there in time.
 */
export async function planOnce(input: AgentInput): Promise<readonly PlannedChange[]> {
  const clock = systemClock;
  const settings = configInput(input);
  const { values: atStart } = settingsAtStart(settings);
  const log = createLog('silent', atStart.node ?? '');
  const store = new WorldStore(clock);
  const problems: string[] = [];
  const peers = new FollowPeers(store, store.world, clock);
  const config = new ConfigSource(settings, peers, clock, {
    onValues: () => {},
    onProblems: (found) => void problems.push(...found.map(problemText)),
  });
  const values = await config.start(atStart.config, atStart);
  if (problems.length > 0) throw new FairleadError('bad-settings', problems.join('\n'));

  const file = join(values.stateDir, BIRTHS_FILE);
  new Births({ sink: store, world: store.world, clock, file, boot: bootId(), tell: () => {} }).load();
  store.ready('lostRules');
  const kernel = openKernel();
  const client = clientFor(values, clock);
  const sink = watchOwnNode(peers, store.world, values.node ?? '', () => {});
  const sources = [
    config,
    startHostSource({ sink, netlink: kernel.route, ...cniPlace(values), clock, log }),
    followCluster(values.node ?? '', peers, { client, sink, clock, random: Math.random, log }),
  ];
  try {
    await complete(store.world, clock);
    const targets = [...machineTargets(kernel, values), clusterTarget(client, values.node ?? '', clock)];
    const loop = new Loop({
      store,
      planners: PLANNERS,
      targets,
      clock,
      random: Math.random,
    });
    const changes = await loop.planned();
    loop.close();
    return changes;
  } finally {
    for (const source of sources) source.close();
    client.close();
    kernel.route.close();
    kernel.netfilter.close();
  }
}

async function complete(world: World, clock: Clock): Promise<void> {
  const needed = new Set(PLANNERS.flatMap((planner) => planner.reads));
  const deadline = clock.monotonic() + DEADLINE_MS;
  const missing = () => [...needed].filter((name) => !world[name].ready);
  while (missing().length > 0) {
    if (clock.monotonic() > deadline) {
      const words = missing().map((name) => `${name}: ${world[name].reason ?? 'not ready'}`);
      throw new FairleadError('plan-incomplete', `cannot plan without ${words.join('; ')}`);
    }
    await new Promise<void>((resolve) => void clock.after(20, resolve));
  }
}
