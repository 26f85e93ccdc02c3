import type { Server } from 'node:http';
import type { Problem } from '../model/problem.ts';
import type { Values } from '../sources/config/settings.ts';

/**
 * Opens the port of health and metrics. A port that is taken does not stop the agent, whose work is the network: the problem that
 * comes back is shown and the socket API still answers.
 */
export function openHealthPort(server: Server, values: Values): Promise<readonly Problem[]> {
  const { 'health.port': port, 'health.address': address } = values;
  if (port === 0) return Promise.resolve([]);
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve([
        {
          object: error.code === 'EADDRNOTAVAIL' ? 'setting health.address' : 'setting health.port',
          message: `${address} port ${port} cannot be opened (${error.code}): no metrics and no health over TCP`,
          hint: 'set another one, or health.port to 0, and restart the agent',
        },
      ]),
    );
    server.listen(port, address, () => resolve([]));
  });
}
