import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '../../../../test/support/property.ts';
import { clone, equal, isObject, type JsonObject, meta } from '../json.ts';
import { struct } from '../schema/notation.ts';
import { sameButTimes } from './apply.ts';
import { fieldsOf, printPath, valueAt } from './fields.ts';
import {
  type Manager,
  readManagers,
  sameWriter,
  trackUpdate,
  type Writer,
  writeManagers,
} from './managers.ts';

const POD = struct('Pod');
const writers: readonly Writer[] = ['kubectl', 'kubelet', 'test'].map((name, i) => ({
  name,
  operation: i === 0 ? 'Apply' : 'Update',
  apiVersion: 'v1',
  subresource: '',
  time: `2026-01-0${i + 1}T00:00:00Z`,
}));
const [kubectl, kubelet, tester] = writers as [Writer, Writer, Writer];

/** Who owns what, for people. */
const owners = (object: JsonObject) =>
  Object.fromEntries(readManagers(object).map((m) => [m.name, [...m.fields].map(printPath).sort()]));

test('an update takes what it changes, and nobody keeps what went', () => {
  const old: JsonObject = {
    metadata: { name: 'p', labels: { a: '1', b: '1', c: '1' } },
    spec: { nodeName: 'n' },
  };
  const fields = (...labels: string[]) =>
    new Set(labels.map((key) => ['f:metadata', 'f:labels', `f:${key}`].join('\u0001')));
  writeManagers(old, [
    { ...kubectl, fields: fields('a', 'b', 'c') },
    { ...kubelet, fields: new Set(['f:spec\u0001f:nodeName']) },
  ]);
  const now = clone(old);
  meta(now).labels = { a: '2', b: '1', d: '1' };
  trackUpdate(old, now, POD, tester);
  assert.deepEqual(owners(now), {
    kubectl: ['.metadata.labels.b'],
    kubelet: ['.spec.nodeName'],
    test: ['.metadata.labels.a', '.metadata.labels.d'],
  });
});

test('an update that changes nothing leaves times alone', () => {
  const old: JsonObject = { metadata: { name: 'p', labels: { a: '1' } } };
  writeManagers(old, [{ ...tester, time: 'then', fields: fieldsOf(old, POD) }]);
  const now = clone(old);
  trackUpdate(old, now, POD, tester);
  assert.deepEqual(now, old);
  writeManagers(now, [{ ...tester, fields: fieldsOf(old, POD) }]);
  assert.notDeepEqual(now, old);
  assert.ok(sameButTimes(now, old));
  assert.ok(!sameButTimes({ ...now, metadata: { name: 'q' } }, old));
});

const word = fc.constantFrom('a', 'b', 'c');
const ports = fc.uniqueArray(
  fc.record({ containerPort: fc.constantFrom(80, 81), name: word }, { requiredKeys: ['containerPort'] }),
  { selector: (port) => port.containerPort },
);
const containers = fc.uniqueArray(
  fc.record({ name: word, image: word, ports, args: fc.array(word) }, { requiredKeys: ['name'] }),
  { selector: ({ name }) => name },
);
const pod = fc.record({
  metadata: fc.record({ name: word, labels: fc.dictionary(word, word), finalizers: fc.uniqueArray(word) }),
  spec: fc.record(
    { containers, nodeName: word, nodeSelector: fc.dictionary(word, word) },
    { requiredKeys: [] },
  ),
});

test('law: managers after an update are those that a look at every field finds', () => {
  const owned = fc.array(fc.tuple(fc.constantFrom(...writers), fc.array(fc.nat())), { minLength: 1 });
  fc.assert(
    fc.property(pod, pod, owned, fc.constantFrom(kubelet, tester), (first, second, shares, writer) => {
      const [old, now] = [plain(first), plain(second)];
      const all = [...fieldsOf(old, POD)];
      const managers = new Map(
        shares.map(([who, picks]) => [
          who.name,
          { ...who, fields: new Set(picks.map((n) => all[n % all.length] ?? '')) },
        ]),
      );
      for (const { fields } of managers.values()) fields.delete('');
      writeManagers(old, [...managers.values()]);
      const { managedFields } = meta(old);
      if (managedFields === undefined) return;
      meta(now).managedFields = managedFields;
      const wanted = clone(now);
      writeManagers(wanted, everyField(old, now, writer));
      trackUpdate(old, now, POD, writer);
      assert.deepEqual(now, wanted);
    }),
  );
});

/** As it would come out of a text. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as JsonObject;

/** The rule, without any regard to cost. */
function everyField(old: JsonObject, now: JsonObject, writer: Writer): Manager[] {
  const [before, after] = [fieldsOf(old, POD), fieldsOf(now, POD)];
  const changed = [...after].filter((path) => {
    const value = valueAt(now, path);
    return !before.has(path) || (!isObject(value) && !equal(valueAt(old, path), value));
  });
  const managers = readManagers(old);
  if (!managers.some((manager) => sameWriter(manager, writer)))
    managers.push({ ...writer, fields: new Set() });
  return managers.map((manager) => {
    const mine = sameWriter(manager, writer);
    const fields = new Set([...manager.fields].filter((path) => after.has(path) || !before.has(path)));
    for (const path of changed) mine ? fields.add(path) : fields.delete(path);
    return { ...manager, fields, time: mine && changed.length > 0 ? writer.time : manager.time };
  });
}
