import type { Socket as UdpSocket } from 'node:dgram';
import type { Server, Socket } from 'node:net';
import { type Family, familyOf, tryIp } from '../../model/net/ip.ts';
import { anyAddress } from '../sockets/address.ts';
import { listenTcp, listenUdp } from '../sockets/listen.ts';
import type { NetNs } from '../sockets/netns.ts';
import { SctpResponder } from './sctp.ts';

/** Every pod answers on this port, TCP and UDP. */
export const PROBE_PORT = 8080;

export interface ListenPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly port: number;
}

/**
 * What stands in for a pod's containers: answers on its ports, telling each caller the source address that arrived here.
 * TCP: on connect one line, `SOURCE\n`, then every line is echoed. UDP: `ID …` is answered `ID SOURCE`, as long as the question.
 */
export class Responder {
  readonly #tcp: Server[] = [];
  readonly #udp: UdpSocket[] = [];
  readonly #open = new Set<Socket>();
  #sctp: SctpResponder | undefined;

  /**
   * `addresses`: those of a machine, whose UDP answers must come from the address that was asked: a socket bound to all of them answers its own
   * pods from the address of their bridge. A pod has one of each family and needs none named.
   */
  static async start(
    ns: NetNs,
    families: readonly Family[],
    ports: readonly ListenPort[],
    addresses: readonly string[] = [],
  ): Promise<Responder> {
    const responder = new Responder();
    const own = (family: Family) => addresses.filter((address) => familyOf(address) === family);
    const places = (family: Family, { protocol }: ListenPort): readonly string[] =>
      protocol === 'udp' && own(family).length > 0 ? own(family) : [anyAddress(family)];
    try {
      await Promise.all(
        families.flatMap((family) =>
          ports.flatMap((port) =>
            places(family, port).map((address) =>
              responder.#listen(ns, family, port, address).catch((error: unknown) => {
                if (addresses.length === 0 || !isInUse(error)) throw error;
                return responder.#beside(ns, family, port, own(family));
              }),
            ),
          ),
        ),
      );
    } catch (error) {
      responder.close();
      throw error;
    }
    return responder;
  }

  /**
   * On a machine others may listen already: at one of its addresses, then the others are free; or at all of them, and then it is the machine
   * itself that answers there.
   */
  async #beside(ns: NetNs, family: Family, port: ListenPort, addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      await this.#listen(ns, family, port, address).catch((error: unknown) => {
        if (!isInUse(error)) throw error;
      });
    }
  }

  async #listen(ns: NetNs, family: Family, { protocol, port }: ListenPort, address: string): Promise<void> {
    if (protocol === 'sctp') {
      this.#sctp ??= new SctpResponder();
      this.#sctp.listen(ns, family, port);
      return;
    }
    if (protocol === 'tcp') {
      this.#tcp.push(await listenTcp(ns, address, port, (socket) => this.#serve(socket)));
      return;
    }
    const socket = await listenUdp(ns, address, port);
    this.#udp.push(socket);
    socket.on('message', (question, peer) => {
      const answer = Buffer.alloc(question.length, ' ');
      const id = question.toString('latin1').split(' ', 1)[0] ?? '';
      const text = `${id} ${plain(peer.address)}`;
      // A probe that went away is no reason to end.
      socket.send(
        text.length > answer.length ? Buffer.from(text) : fill(answer, text),
        peer.port,
        peer.address,
        () => undefined,
      );
    });
    socket.on('error', () => undefined);
  }

  #serve(socket: Socket): void {
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.write(`${plain(socket.remoteAddress ?? '')}\n`);
    socket.pipe(socket);
  }

  close(): void {
    for (const server of this.#tcp) server.close();
    for (const socket of this.#open) socket.destroy();
    for (const socket of this.#udp) socket.close();
    this.#sctp?.close();
  }
}

const isInUse = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EADDRINUSE';

function fill(into: Buffer, text: string): Buffer {
  into.write(text, 'latin1');
  return into;
}

const plain = (address: string): string => tryIp(address) ?? address;
