/** The socket addon and the netlink transport on the real kernel. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { socketAddon } from '../../src/targets/linux/netlink/addon.ts';
import { NETLINK_ROUTE } from '../../src/targets/linux/netlink/constants.ts';
import { inNetworkNamespace } from '../../src/targets/linux/netlink/netns.ts';
import {
  createLink,
  deleteLink,
  dumpLinks,
  findLink,
  listLinks,
  readLink,
} from '../../src/targets/linux/netlink/rtnetlink/link.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import { until } from '../support/until.ts';
import { underlay } from './rt-laws.ts';

const nl = openNetlink(NETLINK_ROUTE);
const addon = socketAddon();
before(underlay);
after(() => nl.close());

const pair = (i: number) => createLink({ name: `p${i}`, veth: { peer: { name: `q${i}` } } });

test('outcomes match their messages, in order, across sends', async () => {
  const messages = Array.from({ length: 900 }, (_, i) =>
    i % 3 === 1
      ? createLink({ name: 'eth0', bridge: {} })
      : deleteLink(i % 3 === 0 ? 4_000_000 + i : 2_000_000),
  );
  messages.push(pair(0), createLink({ name: 'p0', bridge: {} }));
  const outcomes = await nl.transact(messages);
  const codes = outcomes.map((o) => (o.ok ? 'ok' : 'code' in o.error ? o.error.code : '?'));
  assert.deepEqual(codes.slice(0, 3), ['ENODEV', 'EEXIST', 'ENODEV']);
  assert.deepEqual(codes.slice(-2), ['ok', 'EEXIST']);
  assert.equal(codes.filter((code) => code === 'EEXIST').length, 301);
  assert.equal(codes.length, 902);
  assert.deepEqual(await nl.transact([]), []);
});

test('an interrupted dump is asked for again, and given up after five times', async () => {
  await nl.transact(Array.from({ length: 120 }, (_, i) => pair(1000 + i)));
  const changing = openNetlink(NETLINK_ROUTE);
  const dumpWhile = async (times: number) => {
    let next = times;
    const seen = new Set<number>();
    const links = await nl.dump(dumpLinks(), (message) => {
      const link = readLink(message);
      // In the middle of each attempt another link appears.
      if (link !== undefined && !seen.has(next) && next > 0 && link.index > 100) {
        seen.add(next--);
        void changing.transact([pair(2000 + next)]);
        void changing.transact([pair(3000 + next)]);
      }
      return link;
    });
    return links;
  };
  const links = await dumpWhile(1);
  assert.deepEqual(
    links.map((link) => link.name).sort(),
    (await listLinks(changing)).map((link) => link.name).sort(),
    'the whole, and each once',
  );
  let attempts = 0;
  let i = 0;
  await assert.rejects(
    nl.dump(dumpLinks(), (message) => {
      const link = readLink(message);
      if (link?.name === 'lo') attempts++;
      if (++i % 40 === 0) void changing.transact([pair(4000 + i)]);
      return link;
    }),
    { code: 'EINTR', message: /interrupted 5 times/ },
  );
  assert.equal(attempts, 5);
  const all = await listLinks(nl);
  await nl.transact(all.filter((link) => /^p\d/.test(link.name)).map((link) => deleteLink(link.index)));
  changing.close();
});

test('dumps and changes may overlap', async () => {
  const results = await Promise.all([
    listLinks(nl),
    listLinks(nl),
    nl.transact([pair(1)]),
    findLink(nl, 'eth0'),
    listLinks(nl, 'vxlan'),
  ]);
  assert.equal(results[0].length, results[1].length);
  assert.equal(results[3]?.name, 'eth0');
});

test('a refused dump and a callback that throws leave the transport usable', async () => {
  await assert.rejects(
    nl.dump(dumpLinks(), () => {
      throw new RangeError('from the callback');
    }),
    RangeError,
  );
  assert.ok((await listLinks(nl)).length > 0);
  assert.equal(await findLink(nl, 'nope'), undefined);
});

test('a subscription ends when it is closed, also from its own callback', async () => {
  let seen = 0;
  const subscription = nl.subscribe(
    [1],
    () => {
      seen++;
      subscription.close();
      subscription.close();
    },
    () => {},
  );
  await nl.transact([pair(7), pair(8)]);
  await until('a notification', () => seen > 0);
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(seen, 1);
});

test('another network namespace: its own links, sockets stay in it, the thread comes back', async () => {
  const child = execFileSync('sh', [
    '-c',
    'unshare -n sleep 30 >/dev/null 2>&1 & p=$!; while [ "$(readlink /proc/$p/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done; echo $p',
  ]);
  const pid = Number(child);
  const namespace = `/proc/${pid}/ns/net`;
  try {
    const there = openNetlink(NETLINK_ROUTE, { namespace });
    const fd = inNetworkNamespace(namespace, () => addon.socket(2, 1, 0));
    addon.close(fd);
    assert.throws(() => inNetworkNamespace(namespace, () => assert.fail('from the work')), /from the work/);
    assert.deepEqual(
      (await listLinks(there)).map((link) => link.name),
      ['lo'],
    );
    assert.ok(
      (await listLinks(nl)).some((link) => link.name === 'eth0'),
      'we are at home',
    );
    const outcome = await nl.transact([
      createLink({ name: 'home0', veth: { peer: { name: 'far0', namespacePid: pid } } }),
    ]);
    assert.deepEqual(outcome, [{ ok: true }]);
    assert.ok((await listLinks(there)).some((link) => link.name === 'far0'));
    there.close();
  } finally {
    process.kill(pid);
  }
});

test('errors of system calls are typed', () => {
  const error = (work: () => unknown) => {
    try {
      work();
    } catch (thrown) {
      return thrown as { code: string; errno: number; syscall: string; message: string };
    }
    return assert.fail('no error');
  };
  const refused = error(() => addon.socket(12345, 1, 0));
  assert.deepEqual([refused.code, refused.errno, refused.syscall], ['EAFNOSUPPORT', 97, 'socket']);
  assert.equal(error(() => addon.close(-1)).code, 'EBADF');
  assert.equal(error(() => addon.setns(0, 0x40000000)).syscall, 'setns');
  assert.throws(() => addon.socket('a' as unknown as number, 1, 0), TypeError);
  assert.throws(() => addon.recv(0, 'x' as unknown as Uint8Array, 0), TypeError);
  assert.throws(() => addon.send(0, Buffer.alloc(4), 2, 3, 0), TypeError, 'reads past the buffer');
  assert.throws(() => addon.send(0, Buffer.alloc(4), -1, 3, 0), TypeError);
  assert.throws(() => addon.pollStop({} as never), TypeError);
});

test('UDP: send, recvfrom with the peer, readiness', async () => {
  const address = (port: number) =>
    Buffer.from([2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  const [a, b] = [addon.socket(2, 2 | 0o4000, 0), addon.socket(2, 2 | 0o4000, 0)];
  addon.bind(a, address(0));
  addon.bind(b, address(0));
  const into = Buffer.alloc(100);
  assert.equal(addon.recv(a, into, 0), -1, 'nothing there yet');
  assert.equal(addon.recvfrom(a, into, 0), undefined);
  let ready = 0;
  const poll = addon.pollStart(a, 1, () => ready++);
  addon.send(b, Buffer.from('..hello..'), 2, 5, 0, addon.getsockname(a));
  await until('readiness', () => ready > 0);
  const got = addon.recvfrom(a, into, 0);
  assert.equal(into.toString('latin1', 0, got?.length), 'hello');
  assert.deepEqual(got?.peer, addon.getsockname(b));
  addon.pollStop(poll);
  addon.pollStop(poll);
  addon.close(a);
  addon.close(b);
});

test('a worker may end with a subscription open', () => {
  const code = `
    import { Worker, isMainThread } from 'node:worker_threads';
    import { socketAddon } from '${new URL('../../src/targets/linux/netlink/addon.ts', import.meta.url)}';
    import { openNetlink } from '${new URL('../../src/targets/linux/netlink/socket.ts', import.meta.url)}';
    const s = openNetlink(0).subscribe([1], () => {}, () => {});
    if (isMainThread) {
      const w = new Worker(new URL('data:text/javascript,' + encodeURIComponent(process.argv[1] ?? '')), { eval: false });
      w.on('error', (e) => { console.error(e); process.exit(3); });
      w.on('exit', (c) => { console.log('worker', c); s.close(); });
    } else { setTimeout(() => process.exit(0), 5); }
  `;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', code, code], { encoding: 'utf8' });
  assert.deepEqual([run.status, run.signal, run.stdout], [0, null, 'worker 0\n'], run.stderr);
});

test('the drill hook kills the process after its k-th change', () => {
  const code = `
    const { openNetlink } = await import('${new URL('../../src/targets/linux/netlink/socket.ts', import.meta.url)}');
    const { createLink } = await import('${new URL('../../src/targets/linux/netlink/rtnetlink/link.ts', import.meta.url)}');
    await openNetlink(0).transact([1, 2, 3].map((i) => createLink({ name: 'k' + i, bridge: {} })));
    console.log('survived');
  `;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    env: { ...process.env, FAIRLEAD_FAULT_KILL_AFTER: '2' },
  });
  assert.deepEqual([run.signal, run.stdout], ['SIGKILL', ''], run.stderr);
  const names = execFileSync('ip', ['-br', 'link', 'show', 'type', 'bridge'], { encoding: 'utf8' });
  assert.match(names, /^k1 /m);
  assert.match(names, /^k2 /m);
  assert.doesNotMatch(names, /^k3 /m);
});
