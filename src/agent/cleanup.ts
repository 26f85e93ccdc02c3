import { rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { PlannedChange } from '../model/api.ts';
import { AGENT_SOCKET } from '../model/cluster/config.ts';
import { describe, FairleadError } from '../model/errors.ts';
import { WorldStore } from '../model/world-store.ts';
import type { Target } from '../reconcile/target.ts';
import type { Values } from '../sources/config/settings.ts';
import { type ConfigInput, load, settingsAtStart } from '../sources/config/source.ts';
import { configFile, readConfigFile } from '../sources/config/watch.ts';
import type { KubeClient } from '../sources/kube/client.ts';
import { findLink } from '../targets/linux/netlink/rtnetlink/link.ts';
import { BIRTHS_FILE } from './births.ts';
import { ourBridge, removeBridge } from './bridge.ts';
import { requireNetAdmin } from './capabilities.ts';
import { answers } from './claim.ts';
import { systemClock } from './clock.ts';
import { clientFor } from './cluster.ts';
import { type AgentInput, configInput } from './input.ts';
import { Loop } from './loop.ts';
import { GUARDED_FILE } from './lost-rules.ts';
import { clusterTarget, type Kernel, machineTargets, openKernel } from './parts.ts';

export interface CleanupReport {
  readonly removed: readonly string[];
  /** What stays, with the reason. */
  readonly kept: readonly string[];
  readonly failed: readonly string[];
}

interface Found {
  readonly stateDir: string;
  readonly kernel: Kernel;
  readonly client: KubeClient | undefined;
  readonly loop: Loop;
  readonly changes: readonly PlannedChange[];
  readonly bridge: string | undefined;
  /** What could not be read, so cannot be cleaned. */
  readonly unread: readonly string[];
}

/**
 * Removes all that is ours from this machine: what the targets recognise as ours, the bridge of our conflist when no pod is attached,
 * the state folder. With a kubeconfig also our words on the Node.
 */
export class Cleanup {
  readonly #found: Found;

  private constructor(found: Found) {
    this.#found = found;
  }

  /** Reads what there is. Throws `agent-runs` while an agent would put everything back. */
  static async prepare(input: AgentInput & { readonly socket: string }): Promise<Cleanup> {
    const values = await settingsOf(configInput(input));
    requireNetAdmin();
    if (await answers(input.socket)) {
      const words = `an agent is running (${input.socket}) and would put everything back`;
      throw new FairleadError('agent-runs', words, { hint: 'stop it first' });
    }
    const clock = systemClock;
    const kernel = openKernel();
    // The conflist names the bridge, so it is read before it is removed.
    const named = ourBridge(values['cni.dir'], values['cni.file']);
    const bridge = named && (await findLink(kernel.route, named)) ? named : undefined;
    const client = values.kubeconfig === undefined ? undefined : clientFor(values, clock);
    const all = machineTargets(kernel, values);
    const cluster = client ? [clusterTarget(client, values.node ?? '', clock)] : [];
    const { targets, unread } = await readable([...all, ...cluster]);
    const store = new WorldStore(clock);
    const loop = new Loop({ store, planners: [], targets, clock, random: Math.random });
    const changes = await loop.planned();
    return new Cleanup({ stateDir: values.stateDir, kernel, client, loop, changes, bridge, unread });
  }

  get empty(): boolean {
    const { changes, bridge, unread } = this.#found;
    return changes.length === 0 && bridge === undefined && unread.length === 0;
  }

  preview(): string {
    if (this.empty) return 'There is nothing of ours on this machine.';
    const lines = this.#found.changes.map((change) => `- ${titleOf(change)}`);
    if (this.#found.bridge !== undefined)
      lines.push(`- link ${this.#found.bridge}, if no pod is attached to it`);
    lines.push(...this.#found.unread.map((words) => `! ${words}`));
    return ['This will be removed or put back:', ...lines].join('\n');
  }

  async run(): Promise<CleanupReport> {
    const removed: string[] = [];
    const kept: string[] = [];
    const failed = [...this.#found.unread];
    try {
      const { left } = await this.#found.loop.cleanup();
      const still = new Set(left.map((row) => `${row.target} ${row.key}`));
      removed.push(...this.#found.changes.filter((c) => !still.has(`${c.target} ${c.key}`)).map(titleOf));
      failed.push(...left.map((row) => `${row.target} ${row.key}: ${row.message ?? 'not removed in time'}`));
      await this.#removeBridge(removed, kept);
      if (failed.length === 0) this.#removeState();
    } finally {
      this.#found.loop.close();
      this.#found.kernel.route.close();
      this.#found.kernel.netfilter.close();
      this.#found.client?.close();
    }
    return { removed, kept, failed };
  }

  async #removeBridge(removed: string[], kept: string[]): Promise<void> {
    const name = this.#found.bridge;
    if (name === undefined) return;
    try {
      const reason = await removeBridge(this.#found.kernel.route, name);
      if (reason === undefined) removed.push(`link ${name}`);
      else kept.push(`link ${name}: ${reason}`);
    } catch (error) {
      kept.push(`link ${name}: ${describe(error)}`);
    }
  }

  /** The journal has nothing left to say, and a killed agent's socket is only litter. A folder with other files in it stays. */
  #removeState(): void {
    const dir = this.#found.stateDir;
    for (const name of [AGENT_SOCKET, 'sysctls.json', BIRTHS_FILE, GUARDED_FILE])
      rmSync(join(dir, name), { force: true });
    try {
      rmdirSync(dir);
    } catch {
      // Not empty, a mount point, or never there.
    }
  }
}

/** The file counts too, because it may have moved the conflist; with mistakes in it, flags and environment have to do. */
async function settingsOf(input: ConfigInput): Promise<Values> {
  const { values } = settingsAtStart(input);
  if (values.config === undefined) return values;
  const path = await configFile(values.config);
  const loaded = await load(input, { path, text: await readConfigFile(path) });
  return loaded.problems.length > 0 ? values : loaded.values;
}

/** One kind that cannot be read, or an API server that is away, must not keep the rest from being cleaned. */
async function readable(
  all: readonly Target<unknown>[],
): Promise<{ targets: Target<unknown>[]; unread: string[] }> {
  const targets: Target<unknown>[] = [];
  const unread: string[] = [];
  for (const target of all) {
    try {
      await target.observe();
      targets.push(target);
    } catch (error) {
      unread.push(`${target.name} cannot be read: ${describe(error)}`);
    }
  }
  return { targets, unread };
}

function titleOf({ target, key, before }: PlannedChange): string {
  if (target !== 'sysctl') return `${target} ${key}`;
  return `sysctl ${key} (${sysctlValue(before)} now, back to what it was)`;
}

function sysctlValue(body: unknown): string {
  return typeof body === 'object' && body !== null && 'value' in body ? String(body.value) : '?';
}
