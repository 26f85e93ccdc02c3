import { FairleadError } from '../../model/errors.ts';
import { didYouMean } from '../../sources/config/nearest.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { agentStatus } from '../cluster/status.ts';
import { Deadline } from '../deadline.ts';
import type { LabNode } from '../kubelet/node.ts';
import { must } from '../run.ts';
import { UNDERLAY_LINK } from '../topology/network.ts';
import { fillDisk, freeDisk } from './disk.ts';
import { DRIFT_KINDS, drift } from './drift.ts';
import { checkWords } from './words.ts';

/** Milliseconds of quiet after which an agent has nothing more to do. */
const STAYS_READY = 1000;

/** Milliseconds in which an agent ends or is ready, also on a busy machine. Else it waits for something, and would for ever. */
const GIVE_UP = 60_000;

/** One fault: how it is typed, what it does. */
interface Fault {
  /** Also what arguments are checked against: `checkWords`. */
  readonly usage: string;
  readonly what: string;
  run(args: readonly string[]): unknown;
}

/** Everything that can be broken on purpose, by name. */
export class Faults {
  readonly #cluster: Cluster;
  readonly #faults: Readonly<Record<string, Fault>>;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#faults = { ...this.#apiFaults(), ...this.#wireFaults(), ...this.#nodeFaults() };
  }

  async run(name: string, args: readonly string[]): Promise<unknown> {
    if (name === 'list') return this.list();
    const fault = Object.hasOwn(this.#faults, name) ? this.#faults[name] : undefined;
    if (!fault) {
      const hint = didYouMean(name, Object.keys(this.#faults)) ?? '"fault list" shows all';
      throw new FairleadError('usage', `there is no fault "${name}"`, { hint });
    }
    checkWords(fault.usage, args);
    return await fault.run(args);
  }

  list(): readonly string[] {
    return Object.values(this.#faults).map(({ usage, what }) => `${usage.padEnd(46)} ${what}`);
  }

  #apiFaults(): Record<string, Fault> {
    const { service } = this.#cluster;
    return {
      api: {
        usage: 'api away|back|stall|resume [NODE]',
        what: 'the API server as seen by one node or all: refused, or its open connections silent',
        run: async ([how = '', name]) => {
          for (const { relay } of this.#nodes(name)) {
            if (how === 'away') relay.away();
            else if (how === 'back') await relay.open();
            else if (how === 'stall') relay.stall();
            else relay.resume();
          }
        },
      },
      'api-status': {
        usage: 'api-status CODE|off [VERB|*] [RESOURCE]',
        what: 'new requests get this HTTP status (401, 403, 429, 500); watches under way go on. VERB list is also the watch that begins with one, as agents do; * = every verb',
        run: ([code = '', verb, resource]) => {
          const status = code === 'off' ? 0 : wholeNumber(code, 'CODE', 400, 599);
          const match = { ...(verb && verb !== '*' ? { verb } : {}), ...(resource ? { resource } : {}) };
          return service.fault(status === 0 ? undefined : { status, ...match });
        },
      },
      'api-compact': {
        usage: 'api-compact',
        what: 'history is forgotten and watches are cut: they get 410 Gone',
        run: () => service.compact(),
      },
      'api-credulous': {
        usage: 'api-credulous on|off',
        what: 'objects are stored unchecked, as an older server or definition may have left them',
        run: ([how]) => service.believe(how === 'on'),
      },
    };
  }

  #wireFaults(): Record<string, Fault> {
    return {
      link: {
        usage: 'link NODE down|up',
        what: "a node's underlay link",
        run: async ([name = '', how = '']) => {
          const node = this.#cluster.node(name);
          if (how === 'up') return this.#cluster.network.configureNode(node.topology);
          return must([...node.enter, 'ip', 'link', 'set', UNDERLAY_LINK, 'down']);
        },
      },
      mtu: {
        usage: 'mtu NODE BYTES',
        what: "a node's underlay link carries this much",
        run: ([name = '', bytes = '']) => {
          const mtu = wholeNumber(bytes, 'BYTES', 68, 65_535);
          return must([
            ...this.#cluster.node(name).enter,
            'ip',
            'link',
            'set',
            UNDERLAY_LINK,
            'mtu',
            `${mtu}`,
          ]);
        },
      },
      partition: {
        usage: 'partition NODE NODE',
        what: 'two nodes do not hear each other',
        run: ([a = '', b = '']) => this.#partition(this.#cluster.node(a), this.#cluster.node(b)),
      },
      heal: {
        usage: 'heal NODE NODE',
        what: 'ends a partition',
        run: async ([a = '', b = '']) => {
          const [one, two] = [this.#cluster.node(a), this.#cluster.node(b)];
          await must([...one.enter, 'nft', 'delete', 'table', 'inet', partitionTable(two)]);
          await must([...two.enter, 'nft', 'delete', 'table', 'inet', partitionTable(one)]);
        },
      },
    };
  }

  #nodeFaults(): Record<string, Fault> {
    return {
      agent: {
        usage: 'agent NODE kill|term|stop|cont|start|restart',
        what: 'signals to an agent (SIGKILL, SIGTERM, SIGSTOP, SIGCONT), or a new one',
        run: async ([name = '', how = '']) => {
          const { agent } = this.#cluster.node(name);
          if (how === 'kill' || how === 'restart') await agent.kill();
          else if (how === 'term') await agent.kill('SIGTERM');
          else if (how === 'stop') agent.signal('SIGSTOP');
          else if (how === 'cont') agent.signal('SIGCONT');
          if (how === 'start' || how === 'restart') agent.start();
        },
      },
      'kill-after': {
        usage: 'kill-after NODE K',
        what: 'restarts the agent so that it dies by SIGKILL after its K-th kernel call; prints how it ended, or "survived"',
        run: ([name = '', k = '']) =>
          this.#killAfter(this.#cluster.node(name), wholeNumber(k, 'K', 1, 1_000_000)),
      },
      'disk-full': {
        usage: 'disk-full NODE on|off',
        what: 'no room in the CNI configuration folder',
        run: ([name = '', how = '']) =>
          how === 'off' ? freeDisk(this.#cluster.node(name)) : fillDisk(this.#cluster.node(name)),
      },
      drift: {
        usage: 'drift NODE KIND',
        what: `somebody else's hands; kinds: ${DRIFT_KINDS.join(', ')}`,
        run: ([name = '', kind = '']) => drift(this.#cluster.node(name), kind),
      },
    };
  }

  /** An agent that stays ready had fewer calls to make: it lives on. For moments it is ready between two steps of a changeover, too. */
  async #killAfter(node: LabNode, k: number): Promise<string> {
    const { agent } = node;
    await agent.kill();
    agent.start({ FAIRLEAD_FAULT_KILL_AFTER: String(k) });
    const { pid } = agent;
    const patience = new Deadline(GIVE_UP);
    let lives: Deadline | undefined;
    while (agent.pid === pid) {
      const status = await agentStatus(node).catch(() => undefined);
      if (status?.state !== 'ready') lives = undefined;
      else lives ??= new Deadline(STAYS_READY);
      if (lives?.passed) return 'survived';
      if (patience.passed) {
        const words = `the agent of ${node.name} neither ends nor gets ready: ${status?.state ?? 'it does not answer'}`;
        throw new FairleadError('lab-fault', words, {
          hint: `./fairlead lab exec ${node.name} -- fairlead status`,
        });
      }
      await Promise.race([agent.exited, new Promise((resolve) => setTimeout(resolve, 20))]);
    }
    return agent.lastExit ?? '';
  }

  #nodes(name: string | undefined): readonly LabNode[] {
    return name === undefined ? [...this.#cluster.nodes.values()] : [this.#cluster.node(name)];
  }

  /** Each end drops what comes from the other: its own packets, and its pods' where they travel bare. */
  async #partition(a: LabNode, b: LabNode): Promise<void> {
    const cidrs = (node: LabNode) =>
      this.#cluster.controllers.nodes().find((n) => n.metadata.name === node.name)?.spec?.podCIDRs ?? [];
    await Promise.all(
      [
        [a, b],
        [b, a],
      ].map(([here, there]) => {
        if (!here || !there) return undefined;
        const sources = [...there.addresses, ...cidrs(there)];
        const rules = sources.map((s) => `${s.includes(':') ? 'ip6' : 'ip'} saddr ${s} drop`).join('; ');
        const table = `table inet ${partitionTable(there)} { chain unheard { type filter hook prerouting priority -500; ${rules}; }; }`;
        return must([...here.enter, 'nft', table]);
      }),
    );
  }
}

function wholeNumber(text: string, what: string, min: number, max: number): number {
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new FairleadError('usage', `${what} "${text}"`, { hint: `a whole number from ${min} to ${max}` });
}

const partitionTable = (peer: LabNode): string => `lab-from-${peer.name}`;
