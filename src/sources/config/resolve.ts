import { join } from 'node:path';
import * as v from 'valibot';
import { AGENT_SOCKET, type Config } from '../../model/cluster/config.ts';
import type { Problem } from '../../model/problem.ts';
import { didYouMean, nearest } from './nearest.ts';
import { envNames, SETTING_NAMES, type SettingName, settingOf, type Values } from './settings.ts';

/** One setting as someone wrote it, and where: `flag --vxlan-vni`, `environment variable FAIRLEAD_VXLAN_VNI`, `/etc/fairlead/config.yaml line 7`. */
export interface Given {
  readonly value: unknown;
  readonly where: string;
}

/** What one place says, by setting. */
export type Layer = ReadonlyMap<SettingName, Given>;

export interface Facts {
  /** Transports that this build can do; a name that is known and not built is refused with words that say so. */
  readonly transports: readonly string[];
  readonly hostname: string;
}

export interface Resolved {
  readonly values: Values;
  /** Empty = everything was good. With problems, `values` are not to be used. */
  readonly problems: readonly Problem[];
}

/** Puts the layers together, the first one winning (flags, environment, file), then defaults; checks every value, also overridden ones. */
export function resolve(layers: readonly Layer[], facts: Facts): Resolved {
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    values[name] = settingOf(name).fallback;
    for (const layer of layers.toReversed()) {
      const given = layer.get(name);
      if (given === undefined) continue;
      const checked = check(name, given);
      if ('problem' in checked) problems.push(checked.problem);
      else values[name] = checked.value;
    }
  }
  const complete = values as Values;
  complete.node ??= facts.hostname.toLowerCase();
  problems.push(...meaning(complete, facts));
  return { values: complete, problems };
}

function check(name: SettingName, given: Given): { value: unknown } | { problem: Problem } {
  const { kind } = settingOf(name);
  const result = v.safeParse(kind.schema, given.value);
  if (result.success) return { value: result.output };
  const words = typeof given.value === 'string' ? kind.allowed.split(/, | or /) : [];
  const guess = typeof given.value === 'string' ? didYouMean(given.value, words) : undefined;
  return {
    problem: {
      object: `setting ${name}`,
      message: `${show(badPart(result.issues, given.value))} is not allowed (${given.where}); allowed: ${kind.allowed}`,
      ...(guess ? { hint: guess } : {}),
    },
  };
}

/** In a list only the entry at fault is shown. */
function badPart(issues: readonly v.BaseIssue<unknown>[], whole: unknown): unknown {
  const issue = issues[0];
  return issue?.path?.length ? issue.input : whole;
}

function show(value: unknown): string {
  const words = JSON.stringify(value) ?? String(value);
  return words.length > 80 ? `${words.slice(0, 77)}…` : words;
}

/** What no single value shows. */
function meaning(values: Values, facts: Facts): Problem[] {
  const problems: Problem[] = [];
  if (values.node === '' || values.node === undefined) {
    problems.push({
      object: 'setting node',
      message: 'the name of this Node is not known: no --node, no NODE_NAME, and the host name is empty',
      hint: 'in a pod set NODE_NAME from spec.nodeName',
    });
  }
  if (values.transport !== 'auto' && !facts.transports.includes(values.transport)) {
    problems.push({
      object: 'setting transport',
      message: `"${values.transport}" is not built into this version; allowed: auto, ${facts.transports.join(', ')}`,
    });
  }
  if (values['cni.plugin'] === 'bridge' && values['cni.bridge'].startsWith('fl-')) {
    problems.push({
      object: 'setting cni.bridge',
      message: `"${values['cni.bridge']}" begins with "fl-", which marks the tunnel devices of the agent`,
      hint: 'choose another name',
    });
  }
  return problems;
}

/** Settings found in environment variables. `FAIRLEAD_…` variables that are nearly one of ours are told, because they are typos. */
export function envLayer(env: Readonly<Record<string, string | undefined>>): {
  layer: Layer;
  problems: readonly Problem[];
} {
  const layer = new Map<SettingName, Given>();
  const known = new Set<string>();
  for (const name of SETTING_NAMES) {
    const setting = settingOf(name);
    for (const variable of envNames(setting).toReversed()) {
      known.add(variable);
      const value = env[variable];
      if (value === undefined || value === '') continue;
      layer.set(name, { value: setting.kind.fromText(value), where: `environment variable ${variable}` });
    }
  }
  return { layer, problems: mistyped(env, known) };
}

const PREFIX = 'FAIRLEAD_';

function mistyped(env: Readonly<Record<string, string | undefined>>, known: ReadonlySet<string>): Problem[] {
  const names = [...known].filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
  const problems: Problem[] = [];
  for (const variable of Object.keys(env)) {
    if (!variable.startsWith(PREFIX) || known.has(variable)) continue;
    const guess = nearest(variable.slice(PREFIX.length), names);
    if (guess === undefined) continue;
    const hint = `did you mean ${PREFIX}${guess}?`;
    problems.push({ object: `environment variable ${variable}`, message: 'is not a setting', hint });
  }
  return problems;
}

/** Settings found in the text values of flags, by flag name. */
export function flagLayer(flags: ReadonlyMap<string, string>): Layer {
  const layer = new Map<SettingName, Given>();
  for (const name of SETTING_NAMES) {
    const setting = settingOf(name);
    const value = flags.get(setting.flag);
    if (value === undefined) continue;
    layer.set(name, { value: setting.kind.fromText(value), where: `flag --${setting.flag}` });
  }
  return layer;
}

/** The part of the settings that planners read. Without the router nothing is left that the settings of pods' attachment and of egress could say. */
export function toConfig(values: Values): Config {
  const router = values['router.enabled'];
  return {
    nodeName: values.node ?? '',
    router: { enabled: router },
    transport: values.transport,
    underlayLink: values.underlayLink,
    underlayFamily: values.underlayFamily,
    vxlan: { vni: values['vxlan.vni'], port: values['vxlan.port'] },
    podMtu: values.podMtu,
    cni: {
      write: router && values['cni.write'],
      dir: values['cni.dir'],
      file: values['cni.file'],
      plugin: values['cni.plugin'],
      bridge: values['cni.bridge'],
      hairpin: values['cni.hairpin'],
      portmap: values['cni.portmap'],
      socket: join(values.stateDir, AGENT_SOCKET),
    },
    masquerade: { enabled: router && values['masquerade.enabled'], exclude: values['masquerade.exclude'] },
    clampMss: router && values.clampMss,
    policy: {
      enabled: values['policy.enabled'],
      unknownPods: values['policy.unknownPods'],
      defaultDeny: values['policy.defaultDeny'],
      defaultDenyExcept: values['policy.defaultDenyExcept'],
      denied: values['policy.denied'],
      established: values['policy.established'],
      logGroup: values['policy.logGroup'],
      logRate: values['policy.logRate'],
    },
  };
}
