import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deleteLink, findLink, listLinks } from '../targets/linux/netlink/rtnetlink/link.ts';
import type { NetlinkTransport } from '../targets/linux/netlink/transport.ts';

/**
 * The bridge that our conflist made the CNI plugin create. `undefined` when there is no such file, or when another network in the
 * folder uses the same bridge: then it is not ours alone.
 */
export function ourBridge(dir: string, file: string): string | undefined {
  const bridge = bridgesIn(join(dir, file))[0];
  if (bridge === undefined) return undefined;
  const others = readdirSync(dir).filter((name) => name !== file && /\.(conf|conflist|json)$/.test(name));
  return others.some((name) => bridgesIn(join(dir, name)).includes(bridge)) ? undefined : bridge;
}

/** Deletes it; the reason why not, when pods hang on it. A link of that name that is no bridge is somebody else's. */
export async function removeBridge(nl: NetlinkTransport, name: string): Promise<string | undefined> {
  const link = await findLink(nl, name);
  // The CNI plugin makes it with the first pod, so it may never have been.
  if (!link) return undefined;
  if (link.kind !== 'bridge') return 'it is not a bridge, so it is not ours';
  const attached = (await listLinks(nl)).filter((other) => other.master === link.index);
  if (attached.length > 0) {
    const pods = attached.length === 1 ? '1 pod is' : `${attached.length} pods are`;
    return `${pods} still attached; when they are gone: ip link del ${name}`;
  }
  const [outcome] = await nl.transact([deleteLink(link.index)]);
  if (outcome && !outcome.ok) throw outcome.error;
  return undefined;
}

function bridgesIn(path: string): string[] {
  try {
    const config = JSON.parse(readFileSync(path, 'utf8')) as { plugins?: unknown[] };
    return (config.plugins ?? [config])
      .map((plugin) => plugin as { type?: unknown; bridge?: unknown } | null)
      .filter((plugin) => plugin?.type === 'bridge')
      .map((plugin) => (typeof plugin?.bridge === 'string' ? plugin.bridge : 'cni0'));
  } catch {
    // Unreadable or no JSON: it names no bridge.
    return [];
  }
}
