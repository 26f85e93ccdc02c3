/** What an API server does, asked of the real one. The lab's passes the same suite next to its code; here it does with compaction, too. */
import { startApiServer } from '../../src/lab/apiserver/server.ts';
import { startRealServer } from './real-server.ts';
import { serverSuite } from './server-suite.ts';

serverSuite('kube-apiserver', startRealServer);

serverSuite('the lab API server, plain HTTP', async () => {
  const server = await startApiServer({ serviceCidrs: ['10.96.0.0/16', 'fd96::/108'] });
  return {
    url: server.url,
    compact: (revision) => server.store.compact(revision),
    close: () => server.close(),
  };
});
