import type { Birth } from '../model/cluster/birth.ts';
import { describe } from '../model/errors.ts';
import { type Ip, tryIp } from '../model/net/ip.ts';
import type { World } from '../model/world.ts';
import { type Births, isOf } from './births.ts';
import { addressesIn, attachedTo, fields } from './cni-result.ts';
import type { Reply, Request, Routes } from './http.ts';
import type { Loop } from './loop.ts';

/** The plugin waits 45 s for an answer, and a container runtime minutes. */
const RULES_MS = 30_000;

/** Codes of the CNI specification, section "Error". */
const BAD_ENVIRONMENT = 4;
const BAD_CONFIGURATION = 7;
const TRY_AGAIN = 11;
const NOT_AVAILABLE = 50;

export interface CniOptions {
  readonly births: Births;
  readonly world: World;
  readonly loop: Pick<Loop, 'whenMet' | 'unapplied' | 'hasConverged'>;
  /** Ends what conntrack still knows of these addresses: they had another owner before. */
  readonly forget?: (ips: readonly Ip[]) => Promise<void>;
}

interface Call {
  readonly containerId: string;
  /** Key of the table: a container may have several interfaces of one network. */
  readonly id: string;
  readonly ifname: string;
  readonly args: ReadonlyMap<string, string>;
  readonly conf: Readonly<Record<string, unknown>>;
}

/** An error object of the CNI specification on its way out. */
class CniFault extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '') {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** One run at a time, because each of them walks the whole table of connections: whoever comes meanwhile shares the next. */
function gathered(forget: NonNullable<CniOptions['forget']>): NonNullable<CniOptions['forget']> {
  let running: Promise<unknown> = Promise.resolve();
  let next: { readonly ips: Set<Ip>; readonly done: Promise<void> } | undefined;
  return (ips) => {
    if (!next) {
      const group = new Set<Ip>();
      const done = running.then(() => {
        next = undefined;
        return forget([...group]);
      });
      running = done.catch(() => undefined);
      next = { ips: group, done };
    }
    for (const ip of ips) next.ips.add(ip);
    return next.done;
  };
}

/** What the CNI plugin asks (`src/cni-plugin/fairlead.c`). Status 200 carries what it prints, 422 the error object that it fails with. */
export function cniRoutes(options: CniOptions): Routes {
  const shared = options.forget ? { ...options, forget: gathered(options.forget) } : options;
  return { 'POST /v1/cni': (request) => answer(shared, request) };
}

async function answer(options: CniOptions, request: Request): Promise<Reply> {
  const conf = fields(await request.body());
  try {
    return { json: (await run(options, request.query, conf)) ?? {} };
  } catch (error) {
    if (!(error instanceof CniFault)) throw error;
    const { code, message, details } = error;
    return { status: 422, json: { cniVersion: conf.cniVersion ?? '1.0.0', code, msg: message, details } };
  }
}

async function run(options: CniOptions, query: URLSearchParams, conf: Call['conf']): Promise<unknown> {
  const command = query.get('command') ?? '';
  switch (command) {
    case 'ADD':
      return add(options, callOf(query, conf));
    case 'CHECK':
      return check(options, callOf(query, conf));
    case 'DEL':
      return options.births.remove(callOf(query, conf).id);
    case 'GC':
      return collect(options.births, conf);
    case 'STATUS':
      if (options.loop.hasConverged) return undefined;
      throw new CniFault(NOT_AVAILABLE, 'the fairlead agent of this node is still converging');
    default:
      throw new CniFault(BAD_ENVIRONMENT, `unknown CNI_COMMAND ${command}`);
  }
}

/** The pod's network is there and none of its containers is: they start when this returns. */
async function add(options: CniOptions, call: Call): Promise<unknown> {
  const { births, loop, world } = options;
  const birth = birthOf(call);
  births.put(call.id, birth);
  if (enforced(world)) {
    const reason = await loop.whenMet(() => {
      const known = births.get(call.id);
      // Its DEL came in between, or a newer pod has its addresses: there is nothing left to wait for.
      return known && sameIps(known, birth) ? unprotected(options, birth) : undefined;
    }, RULES_MS);
    const still = births.get(call.id);
    if (!still || !sameIps(still, birth)) {
      throw new CniFault(
        TRY_AGAIN,
        `the network of Pod ${birth.pod} was taken away while its rules were made`,
      );
    }
    if (reason !== undefined) {
      births.remove(call.id);
      const message = `the rules of Pod ${birth.pod} are not in the kernel after ${RULES_MS / 1000} s`;
      throw new CniFault(TRY_AGAIN, message, `${reason}; see: fairlead status`);
    }
    await forget(options, birth);
  }
  return call.conf.prevResult;
}

async function forget(options: CniOptions, birth: Birth): Promise<void> {
  try {
    await options.forget?.(birth.ips);
  } catch (error) {
    const message = `connections of the addresses of Pod ${birth.pod} from before it could not be ended`;
    throw new CniFault(TRY_AGAIN, message, describe(error));
  }
}

function check(options: CniOptions, call: Call): undefined {
  const birth = birthOf(call);
  if (!enforced(options.world)) return;
  const known = options.births.get(call.id);
  const reason =
    known && sameIps(known, birth) ? unprotected(options, birth) : 'the agent was not told of its addresses';
  if (reason !== undefined) throw new CniFault(TRY_AGAIN, `Pod ${birth.pod} is not as it was made`, reason);
}

/** Why the kernel does not treat packets of a pod as its policies say, `undefined` when it does. */
function unprotected({ world, loop }: CniOptions, birth: Birth): string | undefined {
  if (!isOf(birth, world)) {
    const uid = birth.uid === '' ? '' : ` with uid ${birth.uid}`;
    return `the API server has not told of Pod ${birth.pod}${uid}${world.pods.ready ? '' : ` (${world.pods.reason})`}`;
  }
  const namespace = birth.pod.split('/')[0] ?? '';
  if (!world.namespaces.objects.has(namespace)) {
    return `the API server has not told of Namespace ${namespace}`;
  }
  const names = new Set<string>(birth.attached ? [...birth.ips, birth.attached.port] : birth.ips);
  const mine = (key: string) => key.split(' ').some((word) => names.has(word));
  return loop.unapplied('nft', mine) ?? loop.unapplied('nft-bridge', mine);
}

/** CNI 1.1: everything that is not in the runtime's own list is litter. Without the list nothing is known. */
function collect(births: Births, conf: Call['conf']): undefined {
  const valid = conf['cni.dev/valid-attachments'];
  if (!Array.isArray(valid)) return;
  births.keepOnly(new Set(valid.map((one) => String(fields(one).containerID))));
}

function callOf(query: URLSearchParams, conf: Call['conf']): Call {
  const containerId = query.get('containerId') ?? '';
  if (containerId === '') throw new CniFault(BAD_ENVIRONMENT, 'CNI_CONTAINERID is not set');
  const ifname = query.get('ifname') ?? 'eth0';
  const pairs = (query.get('args') ?? '').split(';').map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  const id = ifname === 'eth0' ? containerId : `${containerId}/${ifname}`;
  return { containerId, id, ifname, args: new Map(pairs), conf };
}

function birthOf({ containerId, ifname, args, conf }: Call): Birth {
  const [namespace, name] = [args.get('K8S_POD_NAMESPACE'), args.get('K8S_POD_NAME')];
  if (!namespace || !name) {
    throw new CniFault(BAD_ENVIRONMENT, 'CNI_ARGS has no K8S_POD_NAMESPACE and K8S_POD_NAME');
  }
  const texts = addressesIn(conf.prevResult);
  if (texts === undefined) {
    const hint = 'it must come after the plugin that gives the pod its addresses';
    throw new CniFault(BAD_CONFIGURATION, 'plugin fairlead got no result of a plugin before it', hint);
  }
  const bad = texts.find((text) => tryIp(text) === undefined);
  if (bad !== undefined)
    throw new CniFault(BAD_CONFIGURATION, `"${bad}" in prevResult.ips is not an address`);
  return {
    pod: `${namespace}/${name}`,
    uid: args.get('K8S_POD_UID') ?? '',
    containerId,
    ips: texts.map(tryIp).filter((ip) => ip !== undefined),
    ...attachedTo(conf.prevResult, ifname),
  };
}

const enforced = (world: World): boolean => world.config.objects.get('config')?.policy.enabled ?? true;

const sameIps = (a: Birth, b: Birth): boolean => a.ips.join() === b.ips.join();
