import { delimiter, join } from 'node:path';
import { INSIDE } from '../options.ts';
import type { LabRecord, LabState } from './state.ts';

/** Command line, typed on the host, that runs `argv` in the lab's first namespaces. */
export function insideCommand(record: LabRecord, argv: readonly string[]): readonly string[] {
  const user = record.userNamespace ? ['--user', '--preserve-credentials'] : [];
  return [
    'nsenter',
    '--target',
    String(record.init.pid),
    ...user,
    '--mount',
    '--net',
    '--pid',
    '--',
    ...argv,
  ];
}

/** Environment of such a command: the lab's kubeconfig, and `fairlead` in the path. */
export function insideEnv(state: LabState, name: string): NodeJS.ProcessEnv {
  const path = ['/run/bin', process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return {
    ...process.env,
    PATH: path.filter(Boolean).join(delimiter),
    KUBECONFIG: join(INSIDE, 'kubeconfig.inside'),
    FAIRLEAD_LAB: state.name,
    FAIRLEAD_LAB_AT: name,
  };
}
