/** One pod that hears a friend and nobody else, and others that try it all the same. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, Lab } from '../../../src/lab/client.ts';
import { agentsReady } from './expect.ts';
import type { Forged } from './forge.ts';

const POLICIES = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies';
export const SUPPORT = import.meta.dirname;
export const PORT = 9000;
export const VICTIM = 'default/n1-a';
export const FRIEND = 'default/n2-a';

/** A pod that hears a friend on another node and nobody else, over a tunnel. */
export async function guarded(config: Readonly<Record<string, unknown>> = {}): Promise<Lab> {
  const lab = await Lab.start({ nodes: 2, pods: 2, transport: 'vxlan', config });
  await agentsReady(lab);
  await befriend(lab);
  return lab;
}

/** The same for a lab that is there. */
export async function befriend(lab: Lab): Promise<void> {
  await lab.api.patch('/api/v1/namespaces/default/pods/n1-a', { metadata: { labels: { is: 'victim' } } });
  await lab.api.patch('/api/v1/namespaces/default/pods/n2-a', { metadata: { labels: { is: 'friend' } } });
  await lab.api.create(POLICIES, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'friends' },
    spec: {
      podSelector: { matchLabels: { is: 'victim' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { is: 'friend' } } }] }],
    },
  });
  await eventually(async () => {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const { verdict } = await lab.probe('default/n1-b', VICTIM, { family, timeout: 200 });
      assert.equal(verdict, 'dropped');
    }
  });
}

export const addressesOf = (lab: Lab, pod: string): Promise<string[]> =>
  eventually(async () => {
    const path = `/api/v1/namespaces/default/pods/${pod.slice('default/'.length)}`;
    const { status } = await lab.api.get<{ status?: { podIPs?: { ip: string }[] } }>(path);
    return status?.podIPs?.map(({ ip }) => ip) ?? assert.fail(`${pod} has no addresses`);
  });

/** What the victim hears of the forged packets: sends them all, then what the friend says, until that is heard. */
export async function heard(lab: Lab, forged: ReadonlyMap<string, readonly Forged[]>): Promise<string[]> {
  const file = join(lab.dir, 'heard');
  const listens = `ss -lnu | grep -q :${PORT}`;
  if ((await lab.exec(VICTIM, 'sh', '-c', listens)).code !== 0) {
    void lab.exec(
      VICTIM,
      'sh',
      '-c',
      `exec ${process.execPath} ${join(SUPPORT, 'hear.ts')} ${PORT} >> ${file}`,
    );
    await eventually(() => lab.run(VICTIM, 'sh', '-c', listens));
  }
  writeFileSync(file, '');
  for (const [from, packets] of forged)
    await lab.run(from, process.execPath, join(SUPPORT, 'forge.ts'), JSON.stringify(packets));
  const victims = await addressesOf(lab, VICTIM);
  const program = victims.map(
    (to) => `s=require("dgram").createSocket("${to.includes(':') ? 'udp6' : 'udp4'}");
    s.send("friend ${to}",${PORT},"${to}",()=>s.close())`,
  );
  await eventually(async () => {
    for (const text of program) await lab.run(FRIEND, process.execPath, '-e', text.replace('s=', 'const s='));
    for (const to of victims) assert.match(readFileSync(file, 'utf8'), new RegExp(`friend ${to}`));
  });
  const words = new Set(readFileSync(file, 'utf8').trim().split('\n'));
  return [...words].filter((word) => !word.startsWith('friend ')).sort();
}

export async function macOf(lab: Lab, at: string, link = 'eth0'): Promise<string> {
  return /ether (\S+)/.exec(await lab.run(at, 'ip', 'link', 'show', link))?.[1] ?? '';
}

/** The node's end of a pod's pair: its name and its MAC address. */
export async function pairOf(lab: Lab, pod: string, node: string): Promise<{ name: string; mac: string }> {
  const index = /eth0@if(\d+)/.exec(await lab.run(pod, 'ip', 'link', 'show', 'eth0'))?.[1];
  const lines = (await lab.run(node, 'ip', '-o', 'link')).split('\n');
  const line = lines.find((text) => text.startsWith(`${index}: `)) ?? assert.fail(`${pod} has no pair`);
  const [, name = '', mac = ''] = /^\d+: ([^@:]+).*ether (\S+)/.exec(line) ?? [];
  return { name, mac };
}

/** What a kernel takes for a plain packet and br_netfilter for none: tags of id 0 of both kinds. */
export const TAGS = ['81000000', '88a80000', '8100000081000000', '88a8000081000000', '8100a000'];
