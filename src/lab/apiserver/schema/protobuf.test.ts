import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc, runs } from '../../../../test/support/property.ts';
import { StatusError } from '../status.ts';
import { decodeProtobuf } from './protobuf.ts';

/** What `kubectl create configmap x --from-literal=a=b` sent. */
const sent = Buffer.concat([
  Buffer.from('k8s\0'),
  Buffer.from('0a0f0a02763112' + '09436f6e6669674d6170', 'hex'),
  Buffer.from('120d' + '0a030a0178' + '12060a0161120162', 'hex'),
]);

test('a ConfigMap as a typed Go client sends it', () => {
  assert.deepEqual(decodeProtobuf(sent), {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'x' },
    data: { a: 'b' },
  });
});

test('any bytes are an object or a 400, never another error', () => {
  const damaged = fc
    .tuple(fc.nat(sent.length - 1), fc.nat(255), fc.nat(sent.length))
    .map(([at, value, end]) => {
      const copy = Buffer.from(sent);
      copy[at] = value;
      return copy.subarray(0, end);
    });
  fc.assert(
    fc.property(
      fc.oneof(
        damaged,
        fc.uint8Array().map((bytes) => Buffer.concat([sent, bytes])),
      ),
      (bytes) => {
        try {
          decodeProtobuf(bytes);
        } catch (error) {
          assert.ok(error instanceof StatusError, String(error));
        }
      },
    ),
    { numRuns: runs(2000) },
  );
});
