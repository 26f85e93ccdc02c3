import { type Json, type JsonObject, list, meta, objects, sub, text } from '../json.ts';
import { humanDuration } from './durations.ts';

const none = '<none>';
const statuses = (pod: JsonObject, key: string): JsonObject[] => objects(sub(pod, 'status')[key]);

/** What a container that does not run says of itself. */
function stateReason(container: JsonObject): string | undefined {
  const { waiting, terminated } = sub(container, 'state') as {
    waiting?: JsonObject;
    terminated?: JsonObject;
  };
  if (waiting && text(waiting.reason) !== '') return text(waiting.reason);
  if (!terminated) return undefined;
  if (text(terminated.reason) !== '') return text(terminated.reason);
  return terminated.signal
    ? `Signal:${String(terminated.signal)}`
    : `ExitCode:${String(terminated.exitCode)}`;
}

/** The STATUS column: the phase, or what of its containers explains it better. */
function podStatus(pod: JsonObject): string {
  const status = sub(pod, 'status');
  let reason = text(status.reason) || text(status.phase);
  if (objects(status.conditions).some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated')) {
    reason = 'SchedulingGated';
  }
  const inits = statuses(pod, 'initContainerStatuses');
  const waiting = inits.findIndex(
    (c) => sub(sub(c, 'state'), 'terminated').exitCode !== 0 && c.ready !== true,
  );
  if (waiting >= 0) {
    const why = stateReason(inits[waiting] ?? {});
    reason =
      why !== undefined && why !== 'PodInitializing' ? `Init:${why}` : `Init:${waiting}/${inits.length}`;
  } else {
    const containers = statuses(pod, 'containerStatuses');
    for (const container of [...containers].reverse()) reason = stateReason(container) ?? reason;
    if (reason === 'Completed' && containers.some((c) => c.ready === true)) reason = 'Running';
  }
  if (meta(pod).deletionTimestamp === undefined) return reason;
  if (text(status.reason) === 'NodeLost') return 'Unknown';
  return status.phase === 'Succeeded' || status.phase === 'Failed' ? reason : 'Terminating';
}

function restarts(pod: JsonObject, now: number): string {
  let total = 0;
  let last = 0;
  for (const container of statuses(pod, 'containerStatuses')) {
    total += Number(container.restartCount ?? 0);
    last = Math.max(last, Date.parse(text(sub(sub(container, 'lastState'), 'terminated').finishedAt)) || 0);
  }
  return total > 0 && last > 0 ? `${total} (${humanDuration(now - last)} ago)` : String(total);
}

const ready = (pod: JsonObject): string =>
  `${statuses(pod, 'containerStatuses').filter((c) => c.ready === true).length}/${list(sub(pod, 'spec').containers).length}`;

function gates(pod: JsonObject): string {
  const wanted = objects(sub(pod, 'spec').readinessGates).map((gate) => text(gate.conditionType));
  if (wanted.length === 0) return none;
  const fine = objects(sub(pod, 'status').conditions).filter(
    (c) => c.status === 'True' && wanted.includes(text(c.type)),
  );
  return `${fine.length}/${wanted.length}`;
}

const entry = (name: string, cell: (pod: JsonObject, now: number) => Json, priority = 0) => ({
  name,
  type: 'string',
  format: name === 'Name' ? 'name' : '',
  priority,
  cell,
});

export const podColumns = [
  entry('Name', (pod) => text(meta(pod).name)),
  entry('Ready', ready),
  entry('Status', podStatus),
  entry('Restarts', restarts),
  entry('Age', (pod, now) => {
    const then = Date.parse(text(meta(pod).creationTimestamp));
    return Number.isNaN(then) ? '<unknown>' : humanDuration(now - then);
  }),
  entry('IP', (pod) => text(sub(pod, 'status').podIP) || none, 1),
  entry('Node', (pod) => text(sub(pod, 'spec').nodeName) || none, 1),
  entry('Nominated Node', (pod) => text(sub(pod, 'status').nominatedNodeName) || none, 1),
  entry('Readiness Gates', gates, 1),
];
