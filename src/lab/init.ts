/** The lab's first process (pid 1 in its namespaces): when it ends, everything in the lab ends. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../model/errors.ts';
import { startLabApi } from './api/own.ts';
import { startRealApi } from './api/real.ts';
import type { ApiService } from './api/service.ts';
import { Cluster } from './cluster/cluster.ts';
import { methodsOf } from './cluster/methods.ts';
import { serveControl } from './control.ts';
import { Deadline } from './deadline.ts';
import { pluginFolder } from './kubelet/plugins.ts';
import { API_SOCKET, CONTROL_SOCKET, INSIDE, type LabOptions } from './options.ts';
import { cniDir } from './outside/preflight.ts';
import { folderFault } from './outside/state.ts';
import { Network } from './topology/network.ts';
import { checkTopology } from './topology/topology.ts';

/** Descriptor on which the launcher waits for the first words. */
const SAY = 3;

/** `hostDir`: the state folder as the host sees it. */
export async function init(hostDir: string): Promise<void> {
  holdLifeline(hostDir);
  try {
    const options = JSON.parse(readFileSync(join(INSIDE, 'options.json'), 'utf8')) as LabOptions;
    const cluster = await assemble(options);
    await serveControl(join(INSIDE, CONTROL_SOCKET), methodsOf(cluster));
    await cluster.start();
    if (options.wait) await settled(cluster);
    say({ ready: true });
  } catch (thrown) {
    const error = folderFault(thrown, hostDir);
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    if (error instanceof FairleadError) say({ error: message, ...(error.hint ? { hint: error.hint } : {}) });
    else say({ error: stack ?? message });
    process.exit(1);
  }
}

async function assemble(options: LabOptions): Promise<Cluster> {
  const topology = checkTopology(options.topology);
  mkdirSync(join(INSIDE, 'nodes'), { recursive: true });
  const network = new Network(topology);
  const [service] = await Promise.all([startApi(options), network.build()]);
  const plugins = pluginFolder(cniDir() ?? '/opt/cni/bin', options.root);
  const cluster = new Cluster(options, service, network, plugins);
  writeFileSync(join(INSIDE, 'kubeconfig.inside'), cluster.kubeconfig, { mode: 0o600 });
  mkdirSync('/run/bin');
  const wrapper = `#!/bin/sh\nexec '${process.execPath}' '${options.root}/dist/fairlead.cjs' "$@"\n`;
  writeFileSync('/run/bin/fairlead', wrapper, { mode: 0o755 });
  return cluster;
}

function startApi(options: LabOptions): Promise<ApiService> {
  const socketPath = join(INSIDE, API_SOCKET);
  const { clusterCidrs } = options.topology;
  if (options.api === 'lab') return startLabApi({ socketPath, clusterCidrs });
  const kube = process.env.FAIRLEAD_KUBE;
  if (!kube) {
    throw new FairleadError('lab-api', 'no real API server is known', {
      hint: 'set FAIRLEAD_KUBE to a binary that holds kube-apiserver and kube-controller-manager',
    });
  }
  return startRealApi({ kube, socketPath, clusterCidrs, logDir: INSIDE });
}

/** Every node Ready, every pod running. */
async function settled(cluster: Cluster): Promise<void> {
  const deadline = new Deadline(60_000);
  for (;;) {
    const waiting = cluster.waitingFor();
    if (waiting === undefined) return;
    if (deadline.passed) {
      throw new FairleadError('lab-start', `still waiting after 60 s for ${waiting}`, {
        hint: 'read the agents’ words: ./fairlead lab logs NODE (start with --no-wait to keep the lab)',
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function say(words: unknown): void {
  try {
    writeSync(SAY, `${JSON.stringify(words)}\n`);
  } catch {
    // Nobody listens any more; the lifeline says the same.
  }
}

/** Standard input is a pipe from the launcher that never carries anything: its end is the launcher's end, however that came. */
function holdLifeline(hostDir: string): void {
  process.stdin.resume();
  process.stdin.once('close', () => {
    // Everybody else in this process namespace first, so that nobody writes what is being removed.
    try {
      process.kill(-1, 'SIGKILL');
    } catch {}
    for (const name of readdirSync(INSIDE)) {
      // What the lab itself mounted there does not matter any more.
      try {
        rmSync(join(INSIDE, name), { recursive: true, force: true });
      } catch {}
    }
    try {
      rmSync(hostDir, { recursive: true, force: true });
    } catch {}
    process.exit(0);
  });
}
