import { connect, createServer, type ListenOptions, type NetConnectOpts, type Server } from 'node:net';

/** A listening socket whose connections are joined to another one, byte for byte; the end of either is the end of both. */
export async function openDoor(here: ListenOptions, behind: NetConnectOpts): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ ...behind, allowHalfOpen: true });
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) socket.on('error', end).once('close', end);
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(here, resolve);
  });
  return server;
}
