/** The table `cni`: other software's CNI configuration files, kept up to date by the folder's notifications. */
import { type FSWatcher, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import type { ForeignCni } from '../../model/cluster/host.ts';
import { describe } from '../../model/errors.ts';
import type { HostSourceOptions } from './options.ts';

const SUFFIXES = /\.(conf|conflist|json)$/;
const QUIET = 20;
/** A folder that is not there yet, or went away, is looked for again. */
const RETRY = 2000;

export function watchCni({ sink, cniDir, ownCniFile, clock, log }: HostSourceOptions): { close(): void } {
  let watcher: FSWatcher | undefined;
  let timer: { cancel(): void } | undefined;
  let told = '';
  let files: ReadonlyMap<string, ForeignCni> = new Map();

  const soon = (delay: number) => {
    timer ??= clock.after(delay, look);
  };
  const look = () => {
    timer = undefined;
    // Watched before it is read: nothing that comes in between is missed.
    watcher ??= open();
    try {
      files = readCniFolder(cniDir, ownCniFile, files);
      const text = JSON.stringify([...files]);
      if (text !== told) sink.replace('cni', files);
      told = text;
      sink.ready('cni');
    } catch (error) {
      log?.warn({ source: 'cni' }, `cannot read ${cniDir}: ${describe(error)}`);
      sink.notReady('cni', describe(error));
    }
    if (watcher === undefined) soon(RETRY);
  };
  const open = (): FSWatcher | undefined => {
    try {
      const opened = watch(cniDir, { persistent: false }, (event, name) => {
        // The folder itself was removed or replaced: its own name comes as a rename.
        if (event === 'rename' && !folderExists(cniDir)) drop();
        if (name === null || SUFFIXES.test(name) || watcher === undefined) soon(QUIET);
      });
      opened.on('error', () => {
        drop();
        soon(RETRY);
      });
      return opened;
    } catch {
      return undefined;
    }
  };
  const drop = () => {
    watcher?.close();
    watcher = undefined;
  };

  look();
  return {
    close() {
      timer?.cancel();
      timer = undefined;
      drop();
    },
  };
}

function folderExists(dir: string): boolean {
  try {
    readdirSync(dir);
    return true;
  } catch {
    return false;
  }
}

/**
 * By path, without our own file `own`. A folder that does not exist is empty; a file that is not CNI configuration is left out. One that was
 * read `before` and cannot be read now keeps what it said: its owner may be writing it, and the network that our pods are on must not change for that.
 */
export function readCniFolder(
  dir: string,
  own: string,
  before: ReadonlyMap<string, ForeignCni> = new Map(),
): Map<string, ForeignCni> {
  const files = new Map<string, ForeignCni>();
  for (const name of namesIn(dir)) {
    if (name === own || name.startsWith('.') || !SUFFIXES.test(name)) continue;
    const path = join(dir, name);
    const found = readCniFile(path) ?? before.get(path);
    if (found) files.set(path, found);
  }
  return files;
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function readCniFile(path: string): ForeignCni | undefined {
  try {
    return parseCni(path, readFileSync(path, 'utf8'));
  } catch {
    return undefined; // not ours to read
  }
}

/** Reads a network configuration (`.conf`) or a list of them (`.conflist`), CNI spec 1.0 section 1. `undefined` when it is neither. */
export function parseCni(path: string, text: string): ForeignCni | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const list = fields(parsed);
  const plugins = Array.isArray(list.plugins) ? list.plugins.map(fields) : [list];
  const name = typeof list.name === 'string' ? list.name : '';
  const types = plugins.map((plugin) => plugin.type).filter((type) => typeof type === 'string');
  if (name === '' || types.length === 0) return undefined;
  const plugin = plugins.find((p) => p.type === 'bridge');
  // `cni0` is the bridge plugin's own default.
  const bridge = plugin && (typeof plugin.bridge === 'string' ? plugin.bridge : 'cni0');
  return Object.freeze({ path, name, bridge, software: softwareOf(path, name, bridge, types) });
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

/** Plugins that only one software installs. */
const BY_PLUGIN: Readonly<Record<string, string>> = {
  calico: 'calico',
  'cilium-cni': 'cilium',
  flannel: 'flannel',
  'weave-net': 'weave',
  antrea: 'antrea',
  'aws-cni': 'amazon-vpc-cni',
};

function softwareOf(
  path: string,
  name: string,
  bridge: string | undefined,
  types: readonly string[],
): string | undefined {
  if (bridge === 'kube-bridge' || path.endsWith('/10-kuberouter.conflist')) return 'kube-router';
  if (bridge === 'kopeio' || (name === 'k8s-pod-network' && bridge !== undefined)) return 'kopeio';
  return types.map((type) => BY_PLUGIN[type]).find((software) => software !== undefined);
}
