/** The lab's verbs as a person types them, rightly and wrongly: exit code and words. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { Lab } from '../../src/lab/client.ts';
import { agentsReady } from './support/expect.ts';

const MAIN = join(import.meta.dirname, '../../src/lab/main.ts');

type Run = (line: string) => Promise<{ code: number; out: string; err: string }>;

/** A verb as typed; the flags that name the lab are added. */
function typedAt(lab: Lab): Run {
  return (line) =>
    new Promise((resolve) => {
      const [verb = '', ...words] = line.split(' ');
      const flags = ['--name', basename(lab.dir), '--state-dir', dirname(lab.dir)];
      const argv = [MAIN, verb, ...flags, ...words];
      const env = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined };
      execFile(process.execPath, argv, { env, timeout: 60_000 }, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
    });
}

const MISTAKES: readonly (readonly [line: string, code: number, words: RegExp])[] = [
  ['statsu', 2, /^fairlead lab: there is no verb "statsu" \(did you mean status\?\)$/],
  ['status --jsno', 2, /there is no flag --jsno \(did you mean --json\?\)/],
  ['fault lnik', 2, /there is no fault "lnik" \(did you mean link\?\)/],
  ['fault link n1 sideways', 2, /"sideways" is none of down, up \(fault link NODE down\|up\)/],
  ['fault link n9 up', 1, /no node "n9" \(nodes are n1\)/],
  ['fault mtu n1 many', 2, /BYTES "many" \(a whole number from 68 to 65535\)/],
  ['fault drift n1 fdb-delete', 1, /drift fdb-delete on node n1: .+/],
  ['fault drift n1 rout-flush', 2, /there is no drift "rout-flush" \(did you mean route-flush\?\)/],
  ['fault drift n1 route-flush', 1, /drift route-flush on node n1: there is nothing of ours to do it to/],
  ['probe --from default/nobody', 1, /no pod, node or "outside" is called "default\/nobody"/],
  ['probe --rate many', 2, /--rate "many" \(1 to 20000\)/],
  ['probe --protocol quic', 2, /--protocol "quic" \(one of tcp, udp, sctp, icmp\)/],
  ['probe --rate 5 --port 99', 2, /--port does not go with --rate/],
  ['add-node --pods some', 2, /--pods "some" \(0 to 100\)/],
  ['add-pod x --node n9', 1, /no node "n9"/],
  ['exec n9 -- true', 1, /no node, pod or other machine is called "n9"/],
  ['configure transport', 2, /"transport" is not KEY=VALUE/],
  ['configure transport=vxlna', 3, /n1: setting transport: "vxlna" is not allowed .*did you mean vxlan\?/],
  ['configure transport= transprt=vxlan', 3, /n1: setting transprt: there is no such setting/],
];

test('mistakes are named, with what to type instead, and told by the exit code', async (t) => {
  await using lab = await Lab.start({ nodes: 1, pods: 1, segments: 1 });
  const type = typedAt(lab);
  for (const [line, expected, words] of MISTAKES)
    await t.test(line, async () => {
      const { code, out, err } = await type(line);
      assert.match(err.trim(), words);
      assert.equal(code, expected, out + err);
      assert.doesNotMatch(err, /\n {4}at /);
    });
  assert.deepEqual((await type('configure transprt=')).code, 0);
});

test('a lab of one family is asked in that family; what is piped has no colours', async () => {
  await using lab = await Lab.start({ nodes: 2, pods: 1, segments: 1, families: ['ipv4'] });
  await agentsReady(lab);
  const type = typedAt(lab);
  const one = await type('probe --from n1-a --to default/n2-a --port 8080');
  assert.equal(one.code, 0, one.err);
  assert.match(one.out, /^FROM +TO +FAMILY.*\ndefault\/n1-a +default\/n2-a +ipv4 +tcp\/8080 +allowed .*\n$/);
  const all = await type('probe --json --to outside');
  const { pairs } = JSON.parse(all.out) as { pairs: { from: string; to: string; family: string }[] };
  assert.deepEqual(
    pairs.map(({ from, to, family }) => `${from} ${to} ${family}`),
    ['default/n1-a outside ipv4', 'default/n2-a outside ipv4'],
  );
  assert.equal(
    (await type('probe --rate 100 --count 20 --from n1-a --to n2-a')).out,
    '20 sent, 20 answered, 0 lost\n',
  );
  for (const line of ['exec n1 cat /proc/sys/kernel/ostype', 'exec n1 -- cat /proc/sys/kernel/ostype'])
    assert.deepEqual(await type(line), { code: 0, out: 'Linux\n', err: '' });
  assert.equal((await type('exec n1-a -- sh -c exit\t7')).code, 7);
  const status = await type('status');
  assert.match(status.out, /2 of 2 TCP probes between pods answered \(each cell: IPv4\)\n$/);
  assert.ok(!status.out.includes('\x1b'));
});
