import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../../test/support/until.ts';
import type { NetNs } from '../sockets/netns.ts';
import { patience } from './patience.ts';
import { probe } from './probe.ts';
import { Responder } from './responder.ts';
import { Stream } from './stream.ts';

/** This thread gets no time, as when others take the machine. */
const stall = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test('what the machine gave to others does not count', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  patience(200, resolve);
  stall(300);
  const begun = performance.now();
  await promise;
  assert.ok(performance.now() - begun > 150);
});

test('called off, it never calls', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const off = patience(20, () => assert.fail('called'));
  patience(100, resolve);
  off();
  await promise;
});

const here = { inside: <T>(work: () => T) => work() } as unknown as NetNs;
const port = 20_000 + (process.pid % 10_000);

async function answering(): Promise<Responder> {
  return Responder.start(
    here,
    ['ipv4'],
    [
      { protocol: 'tcp', port },
      { protocol: 'udp', port },
    ],
  );
}

test('an answer that came while this process had no time is an answer', async () => {
  const responder = await answering();
  try {
    for (const protocol of ['tcp', 'udp'] as const) {
      const answer = probe(here, { address: '127.0.0.1', protocol, port, timeout: 200 });
      stall(300);
      assert.deepEqual(await answer, { verdict: 'allowed', source: '127.0.0.1' }, protocol);
    }
  } finally {
    responder.close();
  }
});

test('a stream loses no answer that came while this process had no time', async () => {
  const responder = await answering();
  try {
    for (const protocol of ['tcp', 'udp'] as const) {
      const [source, address] = ['127.0.0.1', '127.0.0.1'];
      const path = { from: 'a', to: 'b', ns: here, source, address, port };
      const stream = new Stream([path], { rate: 100, count: 20, timeout: 200, protocol });
      stream.start();
      await until('a probe is under way', () => stream.progress().sent > stream.progress().received);
      stall(300);
      const { sent, lost } = await stream.result;
      assert.deepEqual({ sent, lost }, { sent: 20, lost: 0 }, protocol);
    }
  } finally {
    responder.close();
  }
});
