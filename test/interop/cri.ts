/**
 * As much of a kubelet as talks to a container runtime: gRPC over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) with
 * messages of the Container Runtime Interface, k8s.io/cri-api runtime/v1 api.proto. Messages are written by field number: few are needed.
 */
import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';

type Field = string | number | boolean | Message | readonly (string | Message)[];
/** A protobuf message: values by field number. Lists are repeated fields. */
export interface Message {
  readonly [field: number]: Field;
}

const DEADLINE_MS = 90_000;

export class Cri {
  readonly #session: ClientHttp2Session;

  constructor(socket: string) {
    this.#session = connect('http://localhost', { createConnection: () => connectSocket(socket) });
    this.#session.on('error', () => undefined);
  }

  /** One call, as `RuntimeService/Version`. Rejects with the runtime's own words. */
  async call(method: string, message: Message = {}): Promise<Buffer> {
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': `/runtime.v1.${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.setTimeout(DEADLINE_MS, () => stream.destroy(new Error(`${method}: no answer in time`)));
    // A refusal comes in the headers, if nothing else does.
    let status: Readonly<Record<string, unknown>> = {};
    stream.on('response', (headers) => (status = { ...status, ...headers }));
    stream.on('trailers', (headers) => (status = { ...status, ...headers }));
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const body = encode(message);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(body.length, 1);
    stream.end(Buffer.concat([prefix, body]));
    await once(stream, 'close');
    if (status['grpc-status'] !== '0')
      throw new Error(`${method}: ${decodeURIComponent(String(status['grpc-message'] ?? 'no answer'))}`);
    return Buffer.concat(chunks).subarray(5);
  }

  close(): void {
    this.#session.destroy();
  }
}

/** The values of a field, given by the numbers on the way to it: `values(answer, 1, 5, 1)`. Numbers come as text. */
export function values(message: Buffer, ...path: readonly number[]): string[] {
  const [wanted, ...rest] = path;
  const found: string[] = [];
  for (let at = 0; at < message.length; ) {
    const [key, afterKey] = varint(message, at);
    const [number, afterNumber] = varint(message, afterKey);
    const sized = (key & 7) === 2;
    at = sized ? afterNumber + number : afterNumber;
    if (key >> 3 !== wanted) continue;
    const bytes = message.subarray(afterNumber, at);
    if (rest.length > 0) found.push(...values(bytes, ...rest));
    else found.push(sized ? bytes.toString() : String(number));
  }
  return found;
}

/** https://protobuf.dev/programming-guides/encoding: what is false, zero or empty is not written, but an empty message is. */
function encode(message: Message): Buffer {
  const parts: Buffer[] = [];
  for (const [field, value] of Object.entries(message)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one === 'number' || typeof one === 'boolean') {
        if (one) parts.push(number((Number(field) << 3) | 0), number(Number(one)));
        continue;
      }
      if (one === '') continue;
      const bytes = typeof one === 'string' ? Buffer.from(one) : encode(one);
      parts.push(number((Number(field) << 3) | 2), number(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

function number(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

function varint(bytes: Buffer, from: number): [value: number, next: number] {
  let value = 0;
  for (let at = from, scale = 1; ; at++, scale *= 128) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at + 1];
  }
}
