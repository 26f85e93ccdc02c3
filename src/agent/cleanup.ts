import { rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { PlannedChange } from '../model/api.ts';
import { describe, FairleadError } from '../model/errors.ts';
import { WorldStore } from '../model/world-store.ts';
import type { Values } from '../sources/config/settings.ts';
import { settingsAtStart } from '../sources/config/source.ts';
import { findLink } from '../targets/linux/netlink/rtnetlink/link.ts';
import { ourBridge, removeBridge } from './bridge.ts';
import { requireNetAdmin } from './capabilities.ts';
import { answers } from './claim.ts';
import { systemClock } from './clock.ts';
import { clientFor } from './cluster.ts';
import { type AgentInput, configInput } from './input.ts';
import { Loop } from './loop.ts';
import { clusterTarget, type Kernel, machineTargets, openKernel } from './parts.ts';

export interface CleanupReport {
  readonly removed: readonly string[];
  /** What stays, with the reason. */
  readonly kept: readonly string[];
  readonly failed: readonly string[];
}

/**
 * Removes all that is ours from this machine: what the targets recognise as ours, the bridge of our conflist when no pod is attached,
 * the state folder. With a kubeconfig also our words on the Node.
 */
export class Cleanup {
  readonly #values: Values;
  readonly #kernel: Kernel;
  readonly #loop: Loop;
  readonly #changes: readonly PlannedChange[];
  readonly #bridge: string | undefined;

  private constructor(
    values: Values,
    kernel: Kernel,
    loop: Loop,
    changes: readonly PlannedChange[],
    bridge: string | undefined,
  ) {
    this.#values = values;
    this.#kernel = kernel;
    this.#loop = loop;
    this.#changes = changes;
    this.#bridge = bridge;
  }

  /** Reads what there is. Throws `agent-runs` while an agent would put everything back. */
  static async prepare(input: AgentInput & { readonly socket: string }): Promise<Cleanup> {
    const { values } = settingsAtStart(configInput(input));
    requireNetAdmin();
    if (await answers(input.socket)) {
      throw new FairleadError(
        'agent-runs',
        `an agent is running (${input.socket}) and would put everything back`,
        {
          hint: 'stop it first',
        },
      );
    }
    const kernel = openKernel();
    // The conflist names the bridge, so it is read before it is removed.
    const named = ourBridge(values['cni.dir'], values['cni.file']);
    const bridge = named && (await findLink(kernel.route, named)) ? named : undefined;
    const clock = systemClock;
    const targets = [...machineTargets(kernel, values)];
    if (values.kubeconfig !== undefined) {
      targets.push(clusterTarget(clientFor(values, clock), values.node ?? '', clock));
    }
    const store = new WorldStore(clock);
    const loop = new Loop({ store, planners: [], targets, clock, random: Math.random });
    return new Cleanup(values, kernel, loop, await loop.planned(), bridge);
  }

  get empty(): boolean {
    return this.#changes.length === 0 && this.#bridge === undefined;
  }

  preview(): string {
    if (this.empty) return 'There is nothing of ours on this machine.';
    const lines = this.#changes.map((change) => `- ${titleOf(change)}`);
    if (this.#bridge !== undefined) lines.push(`- link ${this.#bridge}, if no pod is attached to it`);
    return ['This will be removed or put back:', ...lines].join('\n');
  }

  async run(): Promise<CleanupReport> {
    const removed: string[] = [];
    const kept: string[] = [];
    const failed: string[] = [];
    try {
      const { left } = await this.#loop.cleanup();
      const still = new Set(left.map((row) => `${row.target} ${row.key}`));
      removed.push(...this.#changes.filter((c) => !still.has(`${c.target} ${c.key}`)).map(titleOf));
      failed.push(...left.map((row) => `${row.target} ${row.key}: ${row.message ?? 'not removed in time'}`));
      await this.#removeBridge(removed, kept);
      if (failed.length === 0) this.#removeState();
    } finally {
      this.#loop.close();
      this.#kernel.route.close();
      this.#kernel.netfilter.close();
    }
    return { removed, kept, failed };
  }

  async #removeBridge(removed: string[], kept: string[]): Promise<void> {
    const name = this.#bridge;
    if (name === undefined) return;
    try {
      const reason = await removeBridge(this.#kernel.route, name);
      if (reason === undefined) removed.push(`link ${name}`);
      else kept.push(`link ${name}: ${reason}`);
    } catch (error) {
      kept.push(`link ${name}: ${describe(error)}`);
    }
  }

  /** The journal has nothing left to say, and a killed agent's socket is only litter. A folder with other files in it stays. */
  #removeState(): void {
    const dir = this.#values.stateDir;
    for (const name of ['agent.sock', 'sysctls.json']) rmSync(join(dir, name), { force: true });
    try {
      rmdirSync(dir);
    } catch {
      // Not empty, a mount point, or never there.
    }
  }
}

function titleOf({ target, key, before }: PlannedChange): string {
  if (target !== 'sysctl') return `${target} ${key}`;
  return `sysctl ${key} (${sysctlValue(before)} now, back to what it was)`;
}

function sysctlValue(body: unknown): string {
  return typeof body === 'object' && body !== null && 'value' in body ? String(body.value) : '?';
}
