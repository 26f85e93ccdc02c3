/**
 * Policies beside real IPVS (NAT), on the node of policy-net.ts: a Service address on a dummy link, its real servers pods of this node, of
 * another one, an outside host and the node itself. IPVS takes packets away in LOCAL_IN and sends them on through LOCAL_OUT.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, afterEach, beforeEach, test } from 'node:test';
import { probe } from '../../src/lab/prober/probe.ts';
import { FAMILIES, type Family } from '../../src/model/net/ip.ts';
import type { NftBody, NftChain } from '../../src/model/rows/nft.ts';
import type { Row } from '../../src/model/rows/row.ts';
import { listFlows } from '../../src/targets/linux/netlink/conntrack/flows.ts';
import { NETLINK_NETFILTER } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { nftTarget } from '../../src/targets/linux/nft.ts';
import { ADDRESS, type Party, PolicyNet } from '../kernel/policy-net.ts';
import { policyTable } from '../kernel/policy-rows.ts';
import { ipBatch } from '../kernel/rt-laws.ts';

const VIP = { ipv4: '10.96.0.1', ipv6: 'fd00:96::1' } as const;
const CLIENTS = ['a', 'b', 'node', 'outside', 'remote'] as const;
type Client = (typeof CLIENTS)[number];

interface Service {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly server: Party;
  readonly serverPort: number;
}
const service = (protocol: 'tcp' | 'udp', port: number, server: Party, serverPort: number): Service => ({
  protocol,
  port,
  server,
  serverPort,
});
const SERVICES = [
  service('tcp', 80, 'b', 8080),
  service('tcp', 81, 'b', 8081),
  service('udp', 82, 'b', 8080),
  service('tcp', 83, 'a', 8080),
  service('tcp', 84, 'remote', 8080),
  service('udp', 85, 'remote', 8080),
  service('tcp', 86, 'outside', 8080),
  service('udp', 87, 'outside', 8080),
  service('tcp', 88, 'node', 8081),
];

const SILENCE = 1500;
const PATIENCE = 10_000;

const nl = openNetlink(NETLINK_NETFILTER);
const net = await PolicyNet.make();
ipBatch([
  'link add services0 type dummy',
  `addr add ${VIP.ipv4}/32 dev services0`,
  `addr add ${VIP.ipv6}/128 dev services0 nodad`,
  'link set services0 up',
]);
const bracketed = (family: Family, address: string) => (family === 'ipv6' ? `[${address}]` : address);
const ipvsadm = (input: string) =>
  execFileSync('ipvsadm', ['-R'], { input, encoding: 'utf8', stdio: 'pipe' });
const nft = (...args: string[]) => execFileSync('nft', args, { encoding: 'utf8', stdio: 'pipe' });
const tracking = (on: 0 | 1) => writeFileSync('/proc/sys/net/ipv4/vs/conntrack', String(on));

beforeEach(() => {
  execFileSync('ipvsadm', ['-C']);
  const lines = SERVICES.flatMap(({ protocol, port, server, serverPort }) =>
    FAMILIES.flatMap((family) => {
      const vip = `-${protocol[0]} ${bracketed(family, VIP[family])}:${port}`;
      const real = `${bracketed(family, ADDRESS[server][family])}:${serverPort}`;
      return [`-A ${vip} -s rr`, `-a ${vip} -r ${real} -m`];
    }),
  );
  ipvsadm(`${lines.join('\n')}\n`);
});
afterEach(() => nft('flush', 'ruleset'));
after(() => {
  net.close();
  nl.close();
});

async function program(rows: readonly Row[]): Promise<void> {
  const changes = rows.map(({ key, body }) => ({ key, wanted: body as NftBody, found: undefined }));
  for (const [i, outcome] of (await nftTarget(nl, 'inet').apply(changes)).entries())
    assert.ok(outcome.ok, `${rows[i]?.key}: ${'error' in outcome && outcome.error.message}`);
}

/** `.` an answer came from the Service's address and the server saw the client's own; `s` it saw another one; `X` silence, `R` refused. */
async function ask(from: Client, to: Service, family: Family, timeout: number): Promise<string> {
  const { protocol, port } = to;
  const answer = await probe(net.namespace(from), { address: VIP[family], protocol, port, timeout });
  if (answer.verdict !== 'allowed') return answer.verdict === 'dropped' ? 'X' : 'R';
  return answer.source === (from === 'node' ? VIP : ADDRESS[from])[family] ? '.' : `s(${answer.source})`;
}

/** One line a Service, one sign a client in the order of CLIENTS; the real server itself does not ask. */
async function everybody(family: Family, expected: readonly string[]): Promise<string[]> {
  return await Promise.all(
    SERVICES.map(async (to, row) => {
      const signs = CLIENTS.map((from, column) => {
        if (from === to.server && from !== 'node') return ' ';
        return ask(from, to, family, expected[row]?.at(column - CLIENTS.length) === 'X' ? SILENCE : PATIENCE);
      });
      return `${to.protocol} to ${to.server} ${to.serverPort}: ${(await Promise.all(signs)).join('')}`;
    }),
  );
}

/** Clients: a, b, node, outside, remote. What each policy says: policy-rows.ts. */
const OPEN = [
  'tcp to b 8080: . ...',
  'tcp to b 8081: . ...',
  'udp to b 8080: . ...',
  'tcp to a 8080:  ....',
  'tcp to remote 8080: .... ',
  'udp to remote 8080: .... ',
  'tcp to outside 8080: ... .',
  'udp to outside 8080: ... .',
  'tcp to node 8081: .....',
];
const JUDGED = [
  // What b lets in: a and remote. What a may send: to web ports of pods.
  'tcp to b 8080: . .X.',
  'tcp to b 8081: X .X.',
  // a may send by UDP, and b does not let it in. b may send none to remote, but answers.
  'udp to b 8080: X .X.',
  'tcp to a 8080:  X.XX',
  'tcp to remote 8080: X... ',
  'udp to remote 8080: XX.. ',
  'tcp to outside 8080: X.. .',
  'udp to outside 8080: ... .',
  'tcp to node 8081: X....',
];

const cases = (on: 0 | 1, judged: readonly string[]) => {
  for (const family of FAMILIES) {
    test(`net.ipv4.vs.conntrack=${on} ${family}: without policies everybody reaches every Service`, async () => {
      tracking(on);
      assert.deepEqual(await everybody(family, OPEN), OPEN);
    });
    test(`net.ipv4.vs.conntrack=${on} ${family}: policies judge client and real server`, async () => {
      tracking(on);
      await program(policyTable({}));
      assert.deepEqual(await everybody(family, judged), judged);
    });
  }
};

cases(1, JUDGED);

type Hook = NonNullable<NftChain['hook']>;

const WEB = service('tcp', 80, 'b', 8080);

/** `policyTable` with another hook of the base chains at `hook`; `undefined`: none, so that they judge nothing. */
function withHook(hook: string, other: (there: Hook) => Hook | undefined): Row[] {
  return policyTable({}).map((row): Row => {
    if (row.target !== 'nft' || row.body.kind !== 'chain' || row.body.hook?.hook !== hook) return row;
    return { ...row, body: { ...row.body, hook: other(row.body.hook) } };
  });
}

/** One before ip_vs_out_hook in LOCAL_IN (NF_IP_PRI_NAT_SRC - 2). */
const BEFORE_IPVS = 97;

test('INPUT is judged behind IPVS: before it, a pod would be refused the Service address', async () => {
  tracking(1);
  const early = withHook('input', (hook) => ({ ...hook, priority: BEFORE_IPVS }));
  for (const family of FAMILIES) {
    await program(policyTable({}));
    assert.equal(await ask('a', WEB, family, PATIENCE), '.');
    nft('flush', 'ruleset');
    await program(early);
    assert.equal(await ask('a', WEB, family, SILENCE), 'X');
    assert.ok(packets('policy-denied-egress') > 0);
    nft('flush', 'ruleset');
  }
});

test('OUTPUT is where it is judged: nobody else sees it', async () => {
  tracking(1);
  await program(withHook('output', () => undefined));
  for (const family of FAMILIES) assert.equal(await ask('outside', WEB, family, PATIENCE), '.');
});

test("what is denied is denied as the pods' own traffic, and counted there once", async () => {
  tracking(1);
  for (const family of FAMILIES) {
    await program(policyTable({}));
    assert.equal(await ask('outside', service('udp', 82, 'b', 8080), family, SILENCE), 'X');
    assert.equal(packets('policy-denied-ingress'), 1);
    assert.equal(await ask('b', service('udp', 85, 'remote', 8080), family, SILENCE), 'X');
    assert.equal(packets('policy-denied-egress/admin/no-remote/1'), 1);
    assert.equal(packets('policy-unknown-ingress') + packets('policy-unknown-egress'), 0);
    nft('flush', 'ruleset');
  }
});

test('a client learns that it was refused', async () => {
  tracking(1);
  for (const family of FAMILIES) {
    await program(policyTable({ denied: 'reject' }));
    // Not so TCP of a pod on the bridge: the kernel sends that reset straight back there, past IPVS, in the real server's name.
    assert.equal(await ask('a', service('udp', 82, 'b', 8080), family, PATIENCE), 'R');
    assert.equal(await ask('outside', service('tcp', 80, 'b', 8080), family, PATIENCE), 'R');
    assert.equal(await ask('outside', service('udp', 82, 'b', 8080), family, PATIENCE), 'R');
    nft('flush', 'ruleset');
  }
});

test('connection tracking names client and real server', async () => {
  tracking(1);
  for (const family of FAMILIES) {
    assert.equal(await ask('a', service('udp', 82, 'b', 8080), family, PATIENCE), '.');
    const flows = (await listFlows(nl)).filter(({ original }) => original.destination === VIP[family]);
    assert.ok(
      flows.some(
        ({ original, reply }) => original.source === ADDRESS.a[family] && reply.source === ADDRESS.b[family],
      ),
    );
  }
});

/**
 * The same with net.ipv4.vs.conntrack=0: IPVS hides its packets from connection tracking, so answers are judged like first packets, by what the
 * server may send and the client receive. Nothing passes that should not; do not use it with policies.
 */
const UNTRACKED = [
  'tcp to b 8080: X XX.',
  'tcp to b 8081: X XX.',
  'udp to b 8080: X XXX',
  'tcp to a 8080:  XXXX',
  'tcp to remote 8080: XX.. ',
  'udp to remote 8080: XX.. ',
  'tcp to outside 8080: XX. .',
  'udp to outside 8080: XX. .',
  'tcp to node 8081: X....',
];

cases(0, UNTRACKED);

/** What the counters of a chain have counted. */
function packets(chain: string): number {
  const found = nft('list', 'chain', 'inet', 'fairlead', chain).matchAll(/counter packets (\d+)/g);
  return [...found].reduce((sum, [, count]) => sum + Number(count), 0);
}
