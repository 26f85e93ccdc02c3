import { type JsonObject, list, objects, sub, text } from '../json.ts';
import { type Cause, notAllowed, required, wrong } from '../status.ts';
import { labelFaults, qualifiedNameFault } from './metadata.ts';

/** The rules for a meta/v1 LabelSelector at any path. */
export function labelSelectorFaults(selector: JsonObject, field: string): Cause[] {
  const causes = labelFaults(sub(selector, 'matchLabels'), `${field}.matchLabels`);
  objects(selector.matchExpressions).forEach((expression, i) => {
    causes.push(...expressionFaults(expression, `${field}.matchExpressions[${i}]`));
  });
  return causes;
}

function expressionFaults(expression: JsonObject, at: string): Cause[] {
  const causes: Cause[] = [];
  const values = list(expression.values);
  switch (expression.operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0)
        causes.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      break;
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0)
        causes.push(
          notAllowed(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
      break;
    default:
      causes.push(wrong(`${at}.operator`, expression.operator ?? '', 'not a valid selector operator'));
  }
  const key = text(expression.key);
  const fault = qualifiedNameFault(key);
  if (fault !== undefined) causes.push(wrong(`${at}.key`, key, fault));
  values.forEach((value, i) => {
    causes.push(...labelFaults({ a: value }, `${at}.values[${i}]`));
  });
  return causes;
}
