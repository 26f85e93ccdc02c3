/**
 * One TCP flow between two pods: `tcp-flow.ts receive PORT`, `tcp-flow.ts send ADDRESS PORT MILLISECONDS [FROM]` (prints bytes per second), `tcp-flow.ts connect
 * ADDRESS PORT MILLISECONDS [FROM]` (one connection after another; prints how many a second, by the median of their times).
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { median } from './table.ts';

const [role, ...args] = process.argv.slice(2);
const [host = '', port = '0', milliseconds = '1000', localAddress] = args;
const place = { host, port: Number(port), ...(localAddress && { localAddress }) };

if (role === 'receive') {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.resume().once('end', () => socket.end());
  });
  server.listen(Number(args[0]), '::');
} else if (role === 'connect') {
  await connections();
} else {
  send();
}

function send(): void {
  const chunk = Buffer.alloc(1 << 18);
  const socket = connect(place);
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

async function connections(): Promise<void> {
  const times: number[] = [];
  for (const end = performance.now() + Number(milliseconds); performance.now() < end; ) {
    const begun = performance.now();
    const socket = connect(place);
    await once(socket, 'connect');
    times.push(performance.now() - begun);
    // Without a reset thousands of ports would wait for their end.
    socket.resetAndDestroy();
    await once(socket, 'close');
  }
  console.log(1000 / median(times));
}
