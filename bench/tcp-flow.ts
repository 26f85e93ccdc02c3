/** One TCP flow between two pods: `tcp-flow.ts receive PORT` or `tcp-flow.ts send ADDRESS PORT MILLISECONDS`. The sender prints bytes per second. */
import { connect, createServer } from 'node:net';

const [role, ...args] = process.argv.slice(2);

if (role === 'receive') {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.resume().once('end', () => socket.end());
  });
  server.listen(Number(args[0]), '::');
} else {
  const [host = '', port = '0', milliseconds = '1000'] = args;
  const chunk = Buffer.alloc(1 << 18);
  const socket = connect({ host, port: Number(port) });
  socket.once('connect', () => {
    const begun = performance.now();
    const more = () => {
      while (performance.now() - begun < Number(milliseconds)) if (!socket.write(chunk)) return;
      socket.end();
    };
    socket.on('drain', more);
    // The receiver closes when it has read everything: only what arrived counts.
    socket
      .resume()
      .once('end', () => console.log((socket.bytesWritten * 1000) / (performance.now() - begun)));
    more();
  });
}
