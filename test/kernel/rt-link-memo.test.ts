import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { knownLink } from '../../src/targets/linux/link-memo.ts';
import { NETLINK_ROUTE } from '../../src/targets/linux/netlink/constants.ts';
import { openNetlink } from '../../src/targets/linux/netlink/socket.ts';
import type { NetlinkTransport } from '../../src/targets/linux/netlink/transport.ts';
import { ipBatch } from './rt-laws.ts';

const nl = openNetlink(NETLINK_ROUTE);
after(() => nl.close());

test('a link is asked for once, and anew when it was made anew, renamed or changed', async () => {
  const asked = { count: 0 };
  const counting: NetlinkTransport = {
    port: nl.port,
    transact: (...args) => nl.transact(...args),
    request(...args) {
      asked.count++;
      return nl.request(...args);
    },
    dump: (...args) => nl.dump(...args),
    subscribe: (...args) => nl.subscribe(...args),
    close() {},
  };
  const find = (name: string) => knownLink(counting, name);

  assert.equal(await find('memo0'), undefined);
  ipBatch(['link add memo0 type veth peer name memo1']);
  const first = await find('memo0');
  assert.equal((await find('memo0'))?.index, first?.index);
  assert.equal(asked.count, 3, 'of a link that is down the kernel does not tell all');
  ipBatch(['link set memo0 up']);
  assert.equal(await find('memo0'), await find('memo0'));
  assert.equal(asked.count, 4);

  // No turn of the event loop in between: what the kernel has queued must be seen first.
  ipBatch(['link del memo0', 'link add memo0 type veth peer name memo1', 'link set memo0 up']);
  const second = await find('memo0');
  assert.ok(second && second.index !== first?.index);

  ipBatch(['link set memo0 alias x']);
  assert.equal((await find('memo0'))?.alias, 'x');

  ipBatch(['link set memo0 name memo2', 'link set memo1 name memo0', 'link set memo0 up']);
  assert.equal((await find('memo2'))?.index, second.index);
  assert.notEqual((await find('memo0'))?.index, second.index);

  // More than one turn of the event loop would take.
  ipBatch([...Array.from({ length: 200 }, (_, i) => `link set memo0 mtu ${1300 + i}`), 'link del memo0']);
  assert.equal(await find('memo0'), undefined);
});
