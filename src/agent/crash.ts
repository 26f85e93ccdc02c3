import { describe } from '../model/errors.ts';
import type { Log } from './log.ts';

/**
 * Crash-only: what nobody caught ends the process with its story in the log, and the next start observes and converges. Going on
 * with unknown state would be worse.
 */
export function crashOnUncaught(log: Log): void {
  const crash = (origin: string) => (error: unknown) => {
    log.fatal(
      { err: error instanceof Error ? error : new Error(String(error)) },
      `${origin}: ${describe(error)}`,
    );
    process.exit(1);
  };
  process.on('uncaughtException', crash('uncaught error'));
  process.on('unhandledRejection', crash('unhandled rejection'));
}

/** Fulfilled with the exit code when the process is asked to end. The data plane stays as it is. */
export function untilAskedToEnd(log: Log): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.once(signal, () => {
        log.info({ signal }, `ended by ${signal}; the data plane stays as it is`);
        resolve(0);
      });
    }
  });
}
