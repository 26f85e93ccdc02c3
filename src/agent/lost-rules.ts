import type { LostRules } from '../model/cluster/lost-rules.ts';
import { tryCidr } from '../model/net/cidr.ts';
import { tryIp } from '../model/net/ip.ts';
import type { World, WorldSink } from '../model/world.ts';
import { hasPolicyRules } from '../plan/policy/lost-rules.ts';
import { policyPlanner } from '../plan/policy/planner.ts';
import { BootFile, type BootFileOptions, listOf } from './boot-file.ts';

/** In the state folder. */
export const GUARDED_FILE = 'guarded.json';

/** After a reboot every pod is born anew, and waits for its rules. */
export interface LostRulesOptions extends BootFileOptions {
  readonly sink: WorldSink;
  readonly world: World;
}

/**
 * The table `lostRules`. While an agent has never known the policies (the API server is away since its start), nobody knows which rules were
 * in the kernel before. Where they are still there nothing is touched. Where they are gone, and were there since the machine was started, the
 * table has an object.
 *
 * That they were there, and what the base chains say of the node, is written down once policies are known. Without policies nothing is, so that a first start
 * closes nothing.
 */
export class LostRulesWatch {
  readonly #options: LostRulesOptions;
  readonly #file: BootFile;
  #guarded: LostRules | undefined;
  #known = false;
  #written: string | undefined;

  constructor(options: LostRulesOptions) {
    this.#options = options;
    this.#file = new BootFile(
      options,
      'rules that go while no agent runs stay away until the API server answers the next one',
    );
  }

  /** Reads what an agent before this one wrote down. The table is ready from then on. */
  load(): void {
    this.#guarded = guardedBy(this.#file.read());
    this.#options.sink.ready('lostRules');
  }

  /** `found`: what target nft has, where that is known. Called whenever anything moved; cheap. */
  review(found: ReadonlyMap<string, unknown> | undefined): void {
    const { sink, world } = this.#options;
    if (policyPlanner.reads.every((source) => world[source].ready)) {
      this.#known = true;
      sink.remove('lostRules', 'policy');
      this.#remember();
    } else if (!this.#known && this.#guarded && found && !hasPolicyRules(found)) {
      sink.put('lostRules', 'policy', this.#guarded);
    }
  }

  #remember(): void {
    const { world } = this.#options;
    const config = world.config.objects.get('config');
    const { podCidrs = [], addresses = [] } = world.nodes.objects.get(config?.nodeName ?? '') ?? {};
    const guarded = config?.policy.enabled ? { podCidrs, addresses } : undefined;
    const text = JSON.stringify(guarded) ?? '';
    if (text === this.#written) return;
    this.#written = text;
    if (guarded) this.#file.write(guarded);
    else this.#file.remove();
  }
}

function guardedBy(content: Readonly<Record<string, unknown>>): LostRules | undefined {
  const podCidrs = listOf(content.podCidrs, tryCidr);
  const addresses = listOf(content.addresses, tryIp);
  return podCidrs && addresses ? { podCidrs, addresses } : undefined;
}
