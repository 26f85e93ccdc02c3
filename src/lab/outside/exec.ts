import { delimiter, join } from 'node:path';
import { INSIDE } from '../options.ts';
import type { LabRecord } from './state.ts';

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

/**
 * Environment of such a command: `fairlead` in the path, the lab's kubeconfig, and at a node (its name holds no slash) the settings
 * that differ from an agent's defaults.
 */
export function insideEnv(name: string): NodeJS.ProcessEnv {
  const path = ['/run/bin', process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'];
  const env = Object.entries(process.env).filter(([key]) => !key.startsWith('FAIRLEAD_'));
  return {
    ...Object.fromEntries(env),
    PATH: path.filter(Boolean).join(delimiter),
    KUBECONFIG: join(INSIDE, 'kubeconfig.inside'),
    ...(name.includes('/') ? {} : { NODE_NAME: name, FAIRLEAD_CNI_CONF_DIR: '/run/cni/net.d' }),
  };
}
