import { type Json, type JsonObject, meta, sub, text } from '../json.ts';
import type { Resource } from '../resources.ts';
import { type Cause, required, wrong } from '../status.ts';

const labelWords =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const label1035Words =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const subdomainWords =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const keyWords =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const valueWords =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const tooLong = (limit: number): string => `must be no more than ${limit} bytes`;

/** Why a text is no DNS label (RFC 1123, or RFC 1035 when it must begin with a letter); undefined when it is one. */
export function dnsLabelFault(value: string, rfc1035 = false): string | undefined {
  if (value.length > 63) return tooLong(63);
  if (rfc1035) return /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(value) ? undefined : label1035Words;
  return /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(value) ? undefined : labelWords;
}

function subdomainFault(value: string): string | undefined {
  if (value.length > 253) return tooLong(253);
  return /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(value)
    ? undefined
    : subdomainWords;
}

function nameFault(r: Resource, name: string): string | undefined {
  if (r.group === 'rbac.authorization.k8s.io') {
    if (name === '.' || name === '..') return `may not be '${name}'`;
    return name.includes('/')
      ? "may not contain '/'"
      : name.includes('%')
        ? "may not contain '%'"
        : undefined;
  }
  if (r.storage === 'namespaces') return dnsLabelFault(name);
  if (r.storage === 'services') return dnsLabelFault(name, true);
  return subdomainFault(name);
}

/** Why a text cannot be the key of a label; undefined when it can. */
export function qualifiedNameFault(key: string): string | undefined {
  const [name = '', prefix, more] = key.split('/').reverse();
  if (more !== undefined) return 'a valid label key has at most one slash';
  if (prefix !== undefined && subdomainFault(prefix) !== undefined)
    return `prefix part ${subdomainFault(prefix)}`;
  if (name === '') return 'name part must be non-empty';
  if (name.length > 63) return `name part ${tooLong(63)}`;
  return /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/.test(name) ? undefined : keyWords;
}

/** The rules for a map of labels, at any path. */
export function labelFaults(labels: JsonObject, field: string): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(labels)) {
    const keyFault = qualifiedNameFault(key);
    if (keyFault !== undefined) causes.push(wrong(field, key, keyFault));
    const word = text(value);
    if (word.length > 63) causes.push(wrong(field, word, tooLong(63)));
    else if (!/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(word))
      causes.push(wrong(field, word, valueWords));
  }
  return causes;
}

/** The rules for `metadata` that hold for every kind. */
export function metadataFaults(r: Resource, object: JsonObject): Cause[] {
  const metadata = meta(object);
  const name = text(metadata.name);
  const causes: Cause[] = [];
  if (name === '') causes.push(required('metadata.name', 'name or generateName is required'));
  else {
    const fault = nameFault(r, name);
    if (fault !== undefined) causes.push(wrong('metadata.name', name, fault));
  }
  causes.push(...labelFaults(sub(metadata, 'labels'), 'metadata.labels'));
  let size = 0;
  for (const [key, value] of Object.entries(sub(metadata, 'annotations'))) {
    const fault = qualifiedNameFault(key.toLowerCase());
    if (fault !== undefined) causes.push(wrong('metadata.annotations', key, fault));
    size += key.length + text(value as Json).length;
  }
  if (size > 256 * 1024) {
    causes.push({
      reason: 'FieldValueTooLong',
      message: 'Too long: may not be more than 262144 bytes',
      field: 'metadata.annotations',
    });
  }
  return causes;
}
