import { serverSuite } from '../../../test/conformance/server-suite.ts';
import { startApiServer } from './server.ts';

serverSuite('the lab API server', async () => {
  const server = await startApiServer({
    tls: true,
    token: 'tok',
    serviceCidrs: ['10.96.0.0/16', 'fd96::/108'],
  });
  return {
    url: server.url,
    token: 'tok',
    ca: server.ca,
    compact: (revision) => server.store.compact(revision),
    close: () => server.close(),
  };
});
