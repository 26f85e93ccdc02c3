/**
 * A program for pods: `serve` sends without end to whoever asks, over TCP and UDP; `fetch FILE ADDRESS…` asks once on each address and port and
 * then only counts, into FILE as JSON: `{ "tcp 10.244.1.2 7000": { "arrived": 12, "gaps": 0 } }`. So packets flow from the server alone.
 */
import { createSocket } from 'node:dgram';
import { renameSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

export const VICTIM = 7000;
export const NEIGHBOUR = 7001;

export interface Count {
  arrived: number;
  /** Packets missing between those that arrived, in hundredths of seconds of silence. */
  gaps: number;
}

const TICK = 10;
const PORTS = [VICTIM, NEIGHBOUR];

function serve(): void {
  for (const port of PORTS) {
    createServer((socket) => {
      const timer = setInterval(() => socket.writableLength < 100_000 && socket.write('x'.repeat(100)), TICK);
      socket.on('error', () => undefined);
      socket.on('close', () => clearInterval(timer));
    }).listen(port, '::');
    const udp = createSocket('udp6');
    udp.on('error', () => undefined);
    udp.on('message', (_, peer) => {
      let number = 0;
      setInterval(() => udp.send(String(number++), peer.port, peer.address, () => undefined), TICK);
    });
    udp.bind(port, '::');
  }
}

function fetch(file: string, addresses: readonly string[]): void {
  const counts: Record<string, Count> = {};
  for (const address of addresses)
    for (const port of PORTS) {
      const tcp: Count = { arrived: 0, gaps: 0 };
      const udp: Count = { arrived: 0, gaps: 0 };
      counts[`tcp ${address} ${port}`] = tcp;
      counts[`udp ${address} ${port}`] = udp;
      const stream = connect(port, address);
      stream.on('error', () => undefined);
      stream.on('data', (bytes) => {
        tcp.arrived += bytes.length;
      });
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      let expected = 0;
      socket.on('error', () => undefined);
      socket.on('message', (bytes) => {
        const number = Number(bytes.toString());
        udp.gaps += Math.max(0, number - expected);
        expected = number + 1;
        udp.arrived++;
      });
      socket.send('begin', port, address);
    }
  setInterval(() => {
    writeFileSync(`${file}.new`, JSON.stringify(counts));
    renameSync(`${file}.new`, file);
  }, 20);
}

const [mode, file = '', ...addresses] = process.argv.slice(2);
if (mode === 'serve') serve();
if (mode === 'fetch') fetch(file, addresses);
