/**
 * What network policy costs the packets that it lets through: a connection's beginning and one TCP flow, from outside to a pod of this node, with the
 * rules of 5,000 policies against those that the same agent makes with --run-firewall=false. Both are there as tables, and one of them sleeps.
 *
 *   npm run bench -- policy-path [--policies 5000] [--pairs 40] [--ms 300]
 *
 * Runs in a network and mount namespace of its own. The agent is killed first, so that nothing is repaired.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { quiet, Stage } from './agent-run.ts';
import { inTurn } from './in-turn.ts';
import { type Namespace, Verdicts } from './packet-verdict.ts';
import { localIps, OUTSIDER, SWITCHED } from './policy-cluster.ts';
import { policyMachine, sweep } from './policy-machine.ts';
import { until } from './tools.ts';

const FLOW = join(import.meta.dirname, 'tcp-flow.ts');
const { values } = parseArgs({
  options: {
    policies: { type: 'string', default: '5000' },
    pairs: { type: 'string', default: '40' },
    ms: { type: 'string', default: '300' },
  },
});

const AGENT =
  './fairlead agent --kubeconfig {kubeconfig} --node {node} --state-dir {dir} --cni-conf-dir {dir} --health-port 0 --transport layer2';

const { outside, pods } = await policyMachine();
const verdicts = new Verdicts(outside, pods);
const stage = new Stage('policy', values.policies, 0);
const receiver = spawn('nsenter', inside(pods, 1, 'receive', '7777'), { stdio: 'inherit' });
try {
  await stage.ready();
  await programWithout();
  await program();
  stage.stopAgent();
  console.log('family   what              with policy   without    ratio (bar 0.97)   standard error');
  for (const [i, address] of localIps(SWITCHED).entries()) {
    const from = OUTSIDER.ips[i] ?? '';
    const family = address.includes(':') ? 'IPv6' : 'IPv4';
    const measure = (role: 'send' | 'connect', rules: boolean) => async () => {
      const [awake, asleep] = rules ? ['fairlead', 'without'] : ['without', 'fairlead'];
      // A table that sleeps wakes by being named without the flag.
      nft(`add table inet ${asleep} { flags dormant; }; add table inet ${awake}`);
      const { stdout } = await promisify(execFile)(
        'nsenter',
        inside(outside, 0, role, address, '7777', values.ms, from),
      );
      return Number(stdout);
    };
    for (const [role, what] of [
      ['connect', 'connections/s'],
      ['send', 'MB/s'],
    ] as const) {
      const unit = role === 'send' ? 1e6 : 1;
      const { ours, other, ratio, error } = await inTurn(
        Number(values.pairs),
        measure(role, true),
        measure(role, false),
      );
      const numbers = [(ours / unit).toFixed(0).padStart(11), (other / unit).toFixed(0).padStart(9)];
      console.log(
        `${family}     ${what.padEnd(15)} ${numbers.join(' ')}   ${ratio.toFixed(3).padStart(18)}   ${error.toFixed(3).padStart(14)}`,
      );
    }
  }
} finally {
  receiver.kill('SIGKILL');
  stage.close();
  sweep();
  verdicts.close();
  outside.close();
  pods.close();
}

/** What the agent programs without policies, under the name of another table. */
async function programWithout(): Promise<void> {
  const pid = stage.start(`${AGENT} --run-firewall=false`);
  await until('rules without policy', () => tables().includes('table inet fairlead'), 60_000);
  await until('quiet', quiet(pid), 60_000);
  stage.stopAgent();
  const rules = execFileSync('nft', ['list', 'table', 'inet', 'fairlead'], { encoding: 'utf8' });
  nft(`delete table inet fairlead; ${rules.replace('table inet fairlead', 'table inet without')}`);
  nft('add table inet without { flags dormant; }');
}

function tables(): string {
  return execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });
}

/** Starts the agent, waits for its rules, and opens the way. */
async function program(): Promise<void> {
  const pairs = localIps(SWITCHED).map((to, i): [string, string] => [OUTSIDER.ips[i] ?? '', to]);
  const pid = stage.start(AGENT);
  await verdicts.become(false, pairs, 60_000);
  const labels = JSON.stringify({ metadata: { labels: { switch: 'on' } } });
  await stage.call('PATCH', `/api/v1/namespaces/${OUTSIDER.namespace}/pods/${OUTSIDER.name}`, labels);
  await verdicts.become(true, pairs, 10_000);
  await until('quiet', quiet(pid), 60_000);
  await setTimeout(500);
}

function nft(commands: string): void {
  execFileSync('nft', ['-f', '-'], { input: commands, stdio: ['pipe', 'ignore', 'inherit'] });
}

/** Arguments of nsenter: `tcp-flow.ts` on one processor, in a namespace. */
function inside({ pid }: Namespace, processor: number, ...args: readonly string[]): string[] {
  return ['-t', String(pid), '-n', 'taskset', '-c', String(processor), process.execPath, FLOW, ...args];
}
