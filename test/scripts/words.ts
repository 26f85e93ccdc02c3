import assert from 'node:assert/strict';
import type { DriftRecord } from '../../src/model/api.ts';
import type { Config } from '../../src/model/cluster/config.ts';
import type { Node, NodeFacts } from '../../src/model/cluster/node.ts';
import { cidr } from '../../src/model/net/cidr.ts';
import { ip } from '../../src/model/net/ip.ts';
import type { TargetName } from '../../src/model/rows/row.ts';
import type { FaultKind } from '../../src/targets/fake/faults.ts';
import { facts, node } from '../support/plan-worlds.ts';
import type { ScriptLab } from './lab.ts';

/** What a word may use besides the lab: the file's tables below and what was kept with `snapshot`. */
export interface Page {
  readonly tables: ReadonlyMap<string, string>;
  readonly snapshots: Map<string, string>;
}

type Word = (lab: ScriptLab, args: readonly string[], page: Page) => void | Promise<void>;

/** Every word of the script language; README.md explains them. */
export const WORDS: Readonly<Record<string, Word>> = {
  weather(lab, [percent = '']) {
    lab.weather(Number.parseFloat(percent) / 100);
  },
  api(lab, [state = '', ...why]) {
    if (state === 'up') lab.apiUp();
    else if (state === 'away') lab.apiAway(why.join(' '));
    else if (state === 'deaf') lab.apiDeaf();
    else if (state === 'hold') lab.hold();
    else if (state === 'release') lab.release();
    else assert.fail(`api up, away, deaf, hold or release, not "${state}"`);
  },
  agent(lab, [what = '']) {
    if (what === 'start') lab.start();
    else if (what === 'kill') lab.kill();
    else assert.fail(`agent start or kill, not "${what}"`);
  },
  config(lab, [name = '', value = '']) {
    const parsed: unknown = /^[[{"\d]|^(true|false)$/.test(value) ? JSON.parse(value) : value;
    lab.setConfig({ ...lab.config, [name]: parsed } as Config);
  },
  kernel(lab, [word = '', feature = '', ...why]) {
    assert.ok(word === 'lacks' || word === 'has', `kernel lacks or has, not "${word}"`);
    const { [feature as 'vxlan']: _, ...others } = lab.missing;
    lab.setMissing(word === 'has' ? others : { ...others, [feature]: why.join(' ') });
  },
  node(lab, [what = '', name = '', ...fields]) {
    if (what === 'remove') lab.setNode(name, undefined);
    else lab.setNode(name, nodeOf(name, fields, what === 'change' ? lab.cluster.get(name) : undefined));
  },
  async converge(lab, args) {
    await lab.converge(args[0] === 'except' ? new Set([args.slice(1).join(' ')]) : new Set());
  },
  died: (lab) => lab.died(),
  async advance(lab, [time = '']) {
    await lab.clock.advance(milliseconds(time));
  },
  clock(lab, [word = '', time = '']) {
    assert.equal(word, 'jump', 'clock jump TIME');
    const back = time.startsWith('-');
    lab.clock.jump(back ? -milliseconds(time.slice(1)) : milliseconds(time));
  },
  fault(lab, [kind = '', target = '', ...rest]) {
    const options = optionsOf(rest);
    const key = rest.filter((word) => !/^\w+=/.test(word)).join(' ');
    const after = options.after === 'any' ? Math.floor(lab.random() * 6) : Number(options.after);
    lab.machine.faults.arm({
      kind: kind as FaultKind,
      target,
      ...(key ? { key } : {}),
      ...(options.times ? { times: Number(options.times) } : {}),
      ...(options.after ? { after } : {}),
    });
  },
  drift(lab, [what = '', target = '', ...rest]) {
    const { key, body } = keyAndBody(rest);
    const name = target as TargetName;
    if (what === 'delete') lab.machine.take(name, key);
    else if (what === 'foreign') lab.machine.put(name, key, body);
    else if (what === 'alter') {
      const thing = lab.machine.things(name).get(key);
      assert.ok(thing, `there is no ${target} ${key}`);
      lab.machine.put(name, key, { ...(thing.body as object), ...(body as object) });
    } else assert.fail(`drift delete, alter or foreign, not "${what}"`);
  },
  stranger(lab, [target = '', ...rest]) {
    const { key, body } = keyAndBody(rest);
    lab.machine.put(target as TargetName, key, body, false);
  },
  link(lab, [name = '', state = '']) {
    lab.machine.setUp(name, state === 'up');
  },
  overrun(lab, [target = '']) {
    lab.machine.overrun(target as TargetName);
  },
  disk(lab, [state = '']) {
    lab.machine.diskFull = state === 'full';
  },
  /** For whoever writes a script. */
  show(lab) {
    const left = lab.running.rows().filter((row) => row.state !== 'done');
    console.log([...lab.log, ...left.map((row) => JSON.stringify(row)), lab.dump([])].join('\n'));
  },
  mark(lab) {
    lab.writes = [];
    lab.log.length = 0;
  },
  snapshot(lab, [name = '', ...targets], page) {
    page.snapshots.set(name, lab.dump(targets));
  },
  async cleanup(lab) {
    // The command starts a process of its own.
    lab.start();
    const result = lab.running.cleanup(300_000);
    await lab.clock.advance(300_000);
    assert.deepEqual((await result).left, []);
  },
  expect(lab, [what = '', ...args], page) {
    const expectation = EXPECTATIONS[what];
    assert.ok(expectation, `nothing is known about "expect ${what}"`);
    return expectation(lab, args, page);
  },
};

const EXPECTATIONS: Readonly<Record<string, Word>> = {
  dump(lab, args, { tables }) {
    const equals = args.indexOf('=');
    const table = tables.get(args[equals + 1] ?? '');
    assert.ok(equals >= 0 && table !== undefined, 'expect dump TARGET… = TABLE');
    assert.equal(lab.dump(args.slice(0, equals)), table);
  },
  unchanged(lab, [name = '', ...targets], { snapshots }) {
    assert.ok(snapshots.has(name), `no snapshot ${name}`);
    assert.equal(lab.dump(targets), snapshots.get(name));
  },
  state(lab, [state]) {
    assert.equal(lab.running.status().state, state);
  },
  source(lab, [name = '', state = '', ...pattern]) {
    const source = lab.running.status().sources.find((each) => each.name === name);
    assert.equal(source?.ready ? 'ready' : 'away', state);
    if (pattern.length > 0) assert.match(source?.reason ?? '', regex(pattern));
  },
  row(lab, args) {
    const tilde = args.indexOf('~');
    const words = tilde < 0 ? args : args.slice(0, tilde);
    const [target = '', ...key] = words.slice(0, -1);
    const row = lab.running.row({ target: target as TargetName, key: key.join(' ') });
    assert.equal(row?.state ?? 'absent', words.at(-1), JSON.stringify(row));
    if (tilde >= 0) assert.match(row?.message ?? '', regex(args.slice(tilde)));
    if (row?.state === 'failed')
      assert.ok((row.nextTry ?? 0) > lab.clock.wall(), 'a failed row says when it is tried again');
  },
  /** All rows of these targets are done, but for the ones named after `but`. */
  done(lab, args) {
    const but = args.indexOf('but');
    const targets = but < 0 ? args : args.slice(0, but);
    const except = but < 0 ? '' : args.slice(but + 1).join(' ');
    const rows = targets.flatMap((target) => lab.running.rows(target as TargetName));
    assert.ok(rows.length > 0, 'there are no such rows');
    const left = rows.filter((row) => row.state !== 'done' && row.key !== except);
    assert.deepEqual(left, []);
  },
  problem(lab, pattern) {
    const problems = lab.running.status().problems.map((p) => `${p.object}: ${p.message} (${p.hint ?? ''})`);
    assert.ok(
      problems.some((problem) => regex(pattern).test(problem)),
      `no such problem among\n${problems.join('\n')}`,
    );
  },
  problems(lab, [count = '']) {
    assert.equal(lab.running.status().problems.length, Number(count));
  },
  log(lab, pattern) {
    assert.ok(
      lab.log.some((line) => regex(pattern).test(line)),
      `no such line in\n${lab.log.join('\n')}`,
    );
  },
  /** Since the mark. */
  writes(lab, [count = '']) {
    assert.deepEqual(lab.writes.length, Number(count), lab.writes.join('\n'));
  },
  removals(lab, [count = '']) {
    const removals = lab.writes.filter((line) => line.startsWith('remove '));
    assert.equal(removals.length, Number(count), removals.join('\n'));
  },
  no(lab, [what = '', target = '']) {
    assert.equal(what, 'removal', 'expect no removal TARGET');
    assert.deepEqual(
      lab.writes.filter((line) => line.startsWith(`remove ${target} `)),
      [],
    );
  },
  order(lab, words) {
    const sides = words.join(' ').split(' < ');
    const [first = -1, last = -1] = sides.map((side) => lab.writes.lastIndexOf(side));
    assert.ok(first >= 0 && last >= 0 && first < last, lab.writes.join('\n'));
  },
  drift(lab, args) {
    const counts = lab.running.driftCounts();
    for (const [kind, count] of Object.entries(optionsOf(args))) {
      assert.equal(counts[kind as DriftRecord['kind']], Number(count), `drift of kind ${kind}`);
    }
  },
  repaired(lab, [word, time = '']) {
    assert.equal(word, 'within', 'expect repaired within TIME');
    const records = lab.running.drift();
    assert.ok(records.length > 0, 'there was no drift');
    for (const record of records) {
      assert.ok((record.repaired ?? Infinity) - record.at <= milliseconds(time), JSON.stringify(record));
    }
  },
  async planned(lab, [, name = ''], { tables }) {
    const planned = await lab.running.planned();
    assert.equal(planned.map((c) => `${c.action} ${c.target} ${c.key}`).join('\n'), tables.get(name));
  },
};

function nodeOf(name: string, fields: readonly string[], before: Node | undefined): Node {
  const { segment, pods, addresses, accepts, uses } = optionsOf(fields);
  const base = before ?? node(Number(name.replace(/\D/g, '')), { segment: Number(segment ?? 0) });
  const changed: Node = {
    ...base,
    ...(pods === undefined ? {} : { podCidrs: list(pods).map(cidr) }),
    ...(addresses === undefined ? {} : { addresses: list(addresses).map(ip) }),
  };
  if (accepts === undefined && uses === undefined) return changed;
  const told: Partial<NodeFacts> = {
    ...(accepts === undefined ? {} : { accepts: list(accepts) as unknown as NodeFacts['accepts'] }),
    ...(uses === undefined ? {} : { uses: list(uses) as unknown as NodeFacts['uses'] }),
  };
  return { ...changed, facts: { ...facts(changed), ...changed.facts, ...told } };
}

function list(text: string): string[] {
  return text.split(',').filter((item) => item !== '');
}

function optionsOf(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.filter((word) => /^\w+=/.test(word)).map((word) => word.split(/=(.*)/s, 2)),
  );
}

function keyAndBody(words: readonly string[]): { key: string; body: unknown } {
  const start = words.findIndex((word) => word.startsWith('{'));
  if (start < 0) return { key: words.join(' '), body: undefined };
  return { key: words.slice(0, start).join(' '), body: JSON.parse(words.slice(start).join(' ')) };
}

function regex(words: readonly string[]): RegExp {
  assert.equal(words[0], '~', 'a pattern begins with ~');
  return new RegExp(words.slice(1).join(' '));
}

function milliseconds(time: string): number {
  const [, number, unit] = /^([\d.]+)(ms|s|m|d)$/.exec(time) ?? [];
  assert.ok(number && unit, `"${time}" is no time; write 250ms, 10s, 5m or 30d`);
  return Number(number) * { ms: 1, s: 1000, m: 60_000, d: 86_400_000 }[unit as 'ms' | 's' | 'm' | 'd'];
}
