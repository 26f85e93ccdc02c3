/**
 * The drill "SIGKILL after the k-th kernel call": with FAIRLEAD_FAULT_KILL_AFTER=k in the environment the process kills itself
 * right after its k-th call that changes the kernel, before it reads the answer. Batches of independent messages then go one message a call,
 * so that every place between two messages can be the place of death.
 */
const configured = Number(process.env.FAIRLEAD_FAULT_KILL_AFTER ?? '');
let left = Number.isInteger(configured) && configured > 0 ? configured : 0;

export const faultArmed = left > 0;

/** To be called after every call that changed the kernel. */
export function kernelChanged(): void {
  if (left > 0 && --left === 0) process.kill(process.pid, 'SIGKILL');
}
