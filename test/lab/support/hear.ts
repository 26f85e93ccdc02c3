/** A program for pods: prints the text of every UDP packet that comes to PORT, a line each. */
import { createSocket } from 'node:dgram';

const [port] = process.argv.slice(2);
const socket = createSocket('udp6');
socket.on('message', (bytes) => process.stdout.write(`${bytes.toString()}\n`));
socket.bind(Number(port), '::');
