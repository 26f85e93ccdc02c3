/** Our client, sources and targets against the lab's API server and the real one. */
import { startApiServer } from '../../src/lab/apiserver/server.ts';
import { clientSuite } from './client-suite.ts';
import { startRealServer } from './real-server.ts';

clientSuite('the lab API server', async () => {
  const server = await startApiServer({ tls: true, token: 'known' });
  const where = { server: server.url, ca: { text: server.ca ?? '' } };
  return {
    options: { ...where, token: { text: 'known' } },
    stranger: { ...where, token: { text: 'unknown' } },
    forget: async () => server.compact(),
    close: () => server.close(),
  };
});

clientSuite('kube-apiserver', async () => {
  const server = await startRealServer();
  const where = { server: server.url, ca: { text: server.ca } };
  return {
    options: { ...where, token: { text: server.token } },
    stranger: { ...where, token: { text: 'unknown' } },
    powerless: { ...where, token: { text: server.powerless } },
    forget: server.compact,
    close: server.close,
  };
});
