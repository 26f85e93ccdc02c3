import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FairleadError } from '../../model/errors.ts';
import { must, run } from '../run.ts';

/** What a container runtime reads from a CNI configuration folder. */
export interface Conflist {
  readonly path: string;
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly PluginConf[];
}

interface PluginConf {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly [key: string]: unknown;
}

/** The part of a plugin's result that a pod's status is made of. */
export interface CniResult {
  readonly ips?: readonly { readonly address: string; readonly gateway?: string }[];
  readonly [key: string]: unknown;
}

export interface Attachment {
  readonly containerId: string;
  readonly netns: string;
  /** `IgnoreUnknown=1;K8S_POD_NAMESPACE=…`, as container runtimes pass it. */
  readonly args: string;
  readonly portMappings: readonly {
    readonly hostPort: number;
    readonly containerPort: number;
    readonly protocol: string;
  }[];
}

/**
 * The configuration that a runtime would use: the first file in lexical order among `.conf`, `.conflist` and `.json` that can be read.
 * Returns the reason when there is none.
 */
export function loadConflist(dir: string, has: (plugin: string) => boolean): Conflist | string {
  let names: string[];
  try {
    names = readdirSync(dir).filter((name) => /\.(conf|conflist|json)$/.test(name));
  } catch {
    return 'cni plugin not initialized: no configuration folder';
  }
  let reason = 'cni plugin not initialized';
  for (const name of names.sort()) {
    const loaded = readConflist(join(dir, name));
    if (typeof loaded === 'string') {
      reason = loaded;
      continue;
    }
    const missing = loaded.plugins.find((plugin) => !has(plugin.type));
    if (!missing) return loaded;
    reason = `${name}: plugin ${missing.type} is not installed`;
  }
  return reason;
}

function readConflist(path: string): Conflist | string {
  try {
    const raw = JSON.parse(readFileSync(path, 'utf8')) as Omit<Conflist, 'path'> & PluginConf;
    const plugins = raw.plugins ?? (raw.type ? [raw] : []);
    if (plugins.length === 0 || !raw.name) return `${path}: no name or no plugins`;
    return { path, cniVersion: raw.cniVersion ?? '0.2.0', name: raw.name, plugins };
  } catch (error) {
    return `${path}: ${error instanceof Error ? error.message : error}`;
  }
}

/** Runs the plugins of one node, inside its namespaces, as libcni would. */
export class CniRunner {
  readonly #enter: readonly string[];
  readonly #binDir: string;

  /** `enter`: the command line that puts a program into the node's namespaces. */
  constructor(enter: readonly string[], binDir: string) {
    this.#enter = enter;
    this.#binDir = binDir;
  }

  /**
   * ADD through the chain, each plugin given the result of the one before. On failure everything is taken back, then it throws `cni`. `ending`
   * kills the plugin that runs, as runtimes do when the pod was deleted meanwhile: one that waits for the pod would wait in vain.
   */
  async add(list: Conflist, attachment: Attachment, ending?: AbortSignal): Promise<CniResult> {
    let result: CniResult | undefined;
    try {
      for (const plugin of list.plugins)
        result = await this.#call('ADD', list, plugin, attachment, result, ending);
      await this.#keep(list, attachment, result);
    } catch (error) {
      await this.del(list, attachment, undefined).catch(() => undefined);
      throw error;
    }
    return result ?? {};
  }

  async check(list: Conflist, attachment: Attachment, result: CniResult): Promise<void> {
    for (const plugin of list.plugins) await this.#call('CHECK', list, plugin, attachment, result);
  }

  /** DEL in reverse order. */
  async del(list: Conflist, attachment: Attachment, result: CniResult | undefined): Promise<void> {
    for (const plugin of [...list.plugins].reverse())
      await this.#call('DEL', list, plugin, attachment, result);
    await run([...this.#enter, 'rm', '-f', keptFile(list, attachment)]);
  }

  /** What libcni keeps of each ADD (`cachedInfo` of libcni/api.go). */
  async #keep(
    list: Conflist,
    { containerId, args }: Attachment,
    result: CniResult | undefined,
  ): Promise<void> {
    const kept = {
      kind: 'cniCacheV1',
      containerId,
      ifName: 'eth0',
      networkName: list.name,
      cniArgs: args.split(';').map((pair) => pair.split('=')),
      result,
    };
    const write = `mkdir -p ${KEPT} && cat > "$1"`;
    const argv = [...this.#enter, 'sh', '-c', write, 'sh', keptFile(list, { containerId })];
    await must(argv, { input: JSON.stringify(kept) });
  }

  async #call(
    command: string,
    list: Conflist,
    plugin: PluginConf,
    attachment: Attachment,
    prevResult: CniResult | undefined,
    signal?: AbortSignal,
  ): Promise<CniResult | undefined> {
    const { capabilities, ...conf } = plugin;
    const runtimeConfig = capabilities?.portMappings ? { portMappings: attachment.portMappings } : undefined;
    const input = JSON.stringify({
      ...conf,
      name: list.name,
      cniVersion: list.cniVersion,
      ...(prevResult ? { prevResult } : {}),
      ...(runtimeConfig ? { runtimeConfig } : {}),
    });
    const { code, stdout, stderr } = await run([...this.#enter, join(this.#binDir, plugin.type)], {
      input,
      ...(signal ? { signal } : {}),
      env: {
        PATH: process.env.PATH,
        CNI_COMMAND: command,
        CNI_CONTAINERID: attachment.containerId,
        CNI_NETNS: attachment.netns,
        CNI_IFNAME: 'eth0',
        CNI_PATH: this.#binDir,
        CNI_ARGS: attachment.args,
      },
    });
    if (code !== 0) throw new FairleadError('cni', `${plugin.type} ${command}: ${wordsOf(stdout, stderr)}`);
    return stdout.trim() === '' ? undefined : (JSON.parse(stdout) as CniResult);
  }
}

const KEPT = '/var/lib/cni/results';
const keptFile = ({ name }: Conflist, { containerId }: Pick<Attachment, 'containerId'>): string =>
  `${KEPT}/${name}-${containerId}-eth0`;

function wordsOf(stdout: string, stderr: string): string {
  try {
    const { msg, details } = JSON.parse(stdout) as { msg?: string; details?: string };
    return [msg, details].filter(Boolean).join(': ');
  } catch {
    return (stderr || stdout).trim();
  }
}
