import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { nodeObject, podObject } from '../../../bench/cluster.ts';
import { rawNode } from '../../../test/support/kube-server.ts';
import { fc } from '../../../test/support/property.ts';
import { decodeEvent, decodeObject, decodePage } from './decode.ts';
import { DecodeError, statusError } from './errors.ts';
import { parseFacts } from './facts.ts';
import { Interner } from './interner.ts';
import type { AnyKind, KubeSource } from './kind.ts';
import { LineSplitter } from './lines.ts';
import { ItemSplitter } from './list-items.ts';
import { nodes } from './nodes.ts';
import { omitting } from './omit.ts';
import { pods } from './pods.ts';
import { NODES } from './resource.ts';
import { ALL_KINDS } from './sources.ts';

/** Runs it; only the decoder's own error may come out. */
function typed(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof DecodeError, `untyped: ${error}`);
  }
}

describe('lines', () => {
  test('whatever the chunks: the same lines, UTF-8 intact', () => {
    const part = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', ''));
    fc.assert(
      fc.property(fc.array(part), fc.array(fc.nat({ max: 200 })), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((l) => `${l}\n`).join(''));
        const seen: string[] = [];
        const splitter = new LineSplitter((line) => seen.push(line));
        const places = [0, ...cuts.map((c) => c % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        for (let i = 1; i < places.length; i++) splitter.push(bytes.subarray(places[i - 1], places[i]));
        assert.deepEqual(
          seen,
          lines.map((l) => Buffer.from(l).toString()).filter((l) => l !== ''),
        );
        assert.equal(splitter.held, 0);
      }),
    );
  });

  test('a list in any form and any chunks: the same items and the same rest as JSON.parse gives', () => {
    const item = fc.dictionary(fc.constantFrom('items', 'a"b', 'c\\\\', '[{'), fc.jsonValue(), {
      maxKeys: 3,
    });
    const list = fc.record({
      before: fc.jsonValue(),
      metadata: fc.constant({ resourceVersion: '1', items: [{ a: 1 }] }),
      items: fc.array(item, { maxLength: 5 }),
      after: fc.jsonValue(),
    });
    fc.assert(
      fc.property(list, fc.array(fc.nat({ max: 2000 })), fc.constantFrom(0, 2), (value, cuts, indent) => {
        const bytes = Buffer.from(JSON.stringify(value, null, indent));
        const items: unknown[] = [];
        const splitter = new ItemSplitter((text) => items.push(JSON.parse(text)));
        const places = [0, ...cuts.map((c) => c % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        for (let i = 1; i < places.length; i++) splitter.push(bytes.subarray(places[i - 1], places[i]));
        const whole = JSON.parse(bytes.toString()) as typeof value;
        assert.deepEqual(items, whole.items);
        assert.deepEqual(JSON.parse(splitter.end()), { ...whole, items: [] });
      }),
    );
  });

  test('a line without end is refused before memory runs out', () => {
    const splitter = new LineSplitter(() => {});
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    assert.throws(() => {
      for (let i = 0; i < 64; i++) splitter.push(chunk);
    }, DecodeError);
  });
});

describe('fields that nobody reads', () => {
  const key = fc.constantFrom(
    'managedFields',
    'images',
    'a"managedFields',
    'a\\\\',
    '"managedFields":[',
    'x',
  );
  const anything = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      key,
      fc.jsonValue(),
      fc.array(tie('node'), { maxLength: 4 }),
      fc.dictionary(key, tie('node'), { maxKeys: 6 }),
    ),
  })).node;
  const UNREAD = ['managedFields', 'images'];
  /** What it is to be: the arrays of these fields empty, all else as it was. */
  const without = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(without);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([name, one]) => {
      return [name, UNREAD.includes(name) && Array.isArray(one) ? [] : without(one)] as const;
    });
    return Object.fromEntries(entries);
  };

  test('their arrays are empty, all else is as it was', () => {
    fc.assert(
      fc.property(anything, (value) => {
        const text = JSON.stringify(value);
        assert.deepEqual(JSON.parse(omitting(text, UNREAD)), without(JSON.parse(text)));
      }),
    );
  });

  test('whatever the text: what is no JSON stays none', () => {
    const broken = anything.chain((value) => {
      const text = JSON.stringify(value);
      return fc.nat({ max: text.length }).map((end) => text.slice(0, end));
    });
    fc.assert(fc.property(fc.oneof(fc.string(), broken), (text) => typed(() => decodeEvent(text, UNREAD))));
  });

  test('of a Node and a Pod nothing is missing that is read', () => {
    for (const [kind, raw] of [
      [nodes, nodeObject({ index: 1 })],
      [pods, podObject(1, 3)],
    ] as const) {
      const line = JSON.stringify({ type: 'ADDED', object: raw });
      const { object } = decodeEvent(line, kind.resource.unread);
      assert.ok(JSON.stringify(object).length < line.length / 4);
      assert.deepEqual(kind.project(object, new Interner()), kind.project(raw, new Interner()));
    }
  });
});

describe('anything at all', () => {
  const key = fc.constantFrom(
    ...[
      'metadata',
      'name',
      'labels',
      'annotations',
      'spec',
      'podCIDRs',
      'podCIDR',
      'status',
      'addresses',
      'address',
    ],
    ...[
      'conditions',
      'type',
      'podIPs',
      'ip',
      'phase',
      'object',
      'items',
      'message',
      'details',
      '__proto__',
      'reason',
    ],
    'fairlead.io/node-facts',
  );
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(
      'ADDED',
      'ERROR',
      'InternalIP',
      'NetworkUnavailable',
      '10.0.0.1/24',
      '{"version":1}',
      null,
    ),
    fc.jsonValue(),
  );
  const anything = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(key, tie('node'), { maxKeys: 6 }),
    ),
  })).node;

  test('as a line of a watch', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          anything.map((v) => JSON.stringify(v) ?? ''),
        ),
        (line) => {
          typed(() => decodeEvent(line));
          typed(() => decodeObject(line));
        },
      ),
    );
  });

  test('as bytes of a watch', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        typed(() => new LineSplitter(decodeEvent).push(Buffer.from(bytes)));
        typed(() => new ItemSplitter(decodeObject).push(Buffer.from(bytes)));
        typed(() =>
          new ItemSplitter(decodeObject).push(
            Buffer.from(`{"items":[{${Buffer.from(bytes).toString('latin1')}`),
          ),
        );
      }),
    );
  });

  test('as a list, and as a Status', () => {
    fc.assert(
      fc.property(anything, (value) => {
        const object = Object(value) as Record<string, unknown>;
        typed(() => decodePage(object));
        statusError(500, object, undefined, { verb: 'watch', ref: NODES });
      }),
    );
  });

  test('as an object of each kind: projected all the same, and frozen', () => {
    const project = <S extends KubeSource>(kind: AnyKind & { source: S }, raw: Record<string, unknown>) => {
      kind.key(raw);
      return kind.project(raw, new Interner());
    };
    fc.assert(
      fc.property(anything, fc.constantFrom(...ALL_KINDS), (value, kind) => {
        const object = project(kind, Object(value) as Record<string, unknown>);
        assert.ok(Object.isFrozen(object));
        JSON.stringify(object);
      }),
    );
  });

  test('as the facts annotation', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          anything.map((v) => JSON.stringify(v) ?? ''),
        ),
        (text) => {
          parseFacts(text);
        },
      ),
    );
  });
});

test('an event as the API sends it', () => {
  const event = decodeEvent(JSON.stringify({ type: 'ADDED', object: rawNode('n1', '7') }));
  assert.equal(event.type, 'ADDED');
  assert.equal(decodePage({ metadata: { resourceVersion: '1' }, items: null }).next, '');
});
