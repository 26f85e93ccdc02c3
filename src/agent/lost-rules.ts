import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { LostRules } from '../model/cluster/lost-rules.ts';
import { describe } from '../model/errors.ts';
import { tryCidr } from '../model/net/cidr.ts';
import { tryIp } from '../model/net/ip.ts';
import type { Problem } from '../model/problem.ts';
import type { World, WorldSink } from '../model/world.ts';
import { hasPolicyRules } from '../plan/policy/lost-rules.ts';
import { policyPlanner } from '../plan/policy/planner.ts';

/** In the state folder. */
export const GUARDED_FILE = 'guarded.json';

export interface LostRulesOptions {
  readonly sink: WorldSink;
  readonly world: World;
  readonly file: string;
  /** The kernel's boot_id: after a reboot every pod is born anew, and waits for its rules. */
  readonly boot: string;
  tell(problems: readonly Problem[]): void;
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
  #guarded: LostRules | undefined;
  #known = false;
  #written: string | undefined;

  constructor(options: LostRulesOptions) {
    this.#options = options;
  }

  /** Reads what an agent before this one wrote down. The table is ready from then on. */
  load(): void {
    const { sink, file, boot } = this.#options;
    this.#guarded = readGuarded(file, boot);
    sink.ready('lostRules');
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
    const { world, file, boot, tell } = this.#options;
    const config = world.config.objects.get('config');
    const { podCidrs = [], addresses = [] } = world.nodes.objects.get(config?.nodeName ?? '') ?? {};
    const guarded = { podCidrs, addresses };
    const text = config?.policy.enabled ? JSON.stringify({ version: 1, boot, ...guarded }) : '';
    if (text === this.#written) return;
    this.#written = text;
    try {
      if (text === '') {
        rmSync(file, { force: true });
        return;
      }
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      renameSync(`${file}.new`, file);
      tell([]);
    } catch (error) {
      tell([
        {
          object: `file ${file}`,
          message: `cannot be written: ${describe(error)}; rules that go while no agent runs stay away until the API server answers the next one`,
          hint: 'the state folder must be writable and have space',
        },
      ]);
    }
  }
}

/** What cannot be read was never written by us whole, or lies: then nothing is known. */
function readGuarded(file: string, boot: string): LostRules | undefined {
  try {
    const parsed = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const podCidrs = listOf(parsed.podCidrs, tryCidr);
    const addresses = listOf(parsed.addresses, tryIp);
    return parsed.boot === boot && podCidrs && addresses ? { podCidrs, addresses } : undefined;
  } catch {
    return undefined;
  }
}

/** `undefined` unless it is a list of nothing else. */
function listOf<T>(value: unknown, read: (text: string) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value.map((text) => read(String(text))).filter((item) => item !== undefined);
  return items.length === value.length ? items : undefined;
}
