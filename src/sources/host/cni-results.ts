/** What the container runtime keeps of each pod's network: libcni's cache, which every runtime in Go writes at the end of ADD (`cachedInfo` of libcni/api.go). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** libcni's own default; containerd and CRI-O keep it. */
export const CNI_RESULTS = '/var/lib/cni/results';

/** One interface of one container. */
export interface KeptResult {
  readonly containerId: string;
  readonly ifname: string;
  /** CNI_ARGS: `K8S_POD_NAME` … */
  readonly args: ReadonlyMap<string, string>;
  /** The result of the last plugin, as CNI's specification has it. */
  readonly result: unknown;
}

/** Files that are no such thing, or are being written, are left out; a folder that is not there is empty. Files of pods long gone may be among them. */
export function readKeptResults(dir: string): KeptResult[] {
  let names: string[];
  try {
    names = readdirSync(dir).sort();
  } catch {
    return [];
  }
  return names.map((name) => readKept(join(dir, name))).filter((kept) => kept !== undefined);
}

function readKept(path: string): KeptResult | undefined {
  try {
    const { kind, containerId, ifName, cniArgs, result } = JSON.parse(readFileSync(path, 'utf8')) as Readonly<
      Record<string, unknown>
    >;
    if (kind !== 'cniCacheV1' || typeof containerId !== 'string' || typeof ifName !== 'string')
      return undefined;
    const pairs = (Array.isArray(cniArgs) ? cniArgs : []).map((pair): [string, string] => {
      const [key, value] = Array.isArray(pair) ? pair : [];
      return [String(key), String(value)];
    });
    return { containerId, ifname: ifName, args: new Map(pairs), result };
  } catch {
    return undefined;
  }
}
