/** Rules' expressions on the wire, by the table of all kinds. */
import type { NftExpr } from '../../../../model/rows/nft.ts';
import { type Codec, eachAttribute, text } from '../attributes.ts';
import { BadNetlink } from '../writer.ts';
import { type Fields, VARIANTS, type Variant } from './expression-table.ts';

const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NLA_F_NESTED = 0x8000;

const BY_KIND = new Map(VARIANTS.map((one) => [one.kind, one]));
const BY_NAME = Map.groupBy(VARIANTS, (one) => one.name);

/** The codec of one NFTA_LIST_ELEM of a rule: `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`. */
export const expression: Codec<NftExpr> = {
  nested: true,
  write(out, expr) {
    const found = BY_KIND.get(expr.expr);
    const name = expr.expr === 'other' ? expr.name : found?.name;
    if (name === undefined) throw new BadNetlink(`no expression "${expr.expr}"`);
    const nameStart = out.beginAttribute(NFTA_EXPR_NAME);
    text.write(out, name, {});
    out.endAttribute(nameStart);
    const dataStart = out.beginAttribute(NFTA_EXPR_DATA | NLA_F_NESTED);
    if (expr.expr === 'other') out.hex(expr.data);
    else found?.table.write(out, found.toKernel(expr), {});
    out.endAttribute(dataStart);
  },
  read(bytes, start, end) {
    let name = '';
    let from = end;
    let to = end;
    eachAttribute(bytes, start, end, (type, s, e) => {
      if (type === NFTA_EXPR_NAME) name = text.read(bytes, s, e, {});
      else if (type === NFTA_EXPR_DATA) [from, to] = [s, e];
    });
    for (const one of BY_NAME.get(name) ?? []) {
      const expr = readVariant(one, bytes, from, to);
      if (expr !== undefined) return expr;
    }
    return { expr: 'other', name, data: bytes.toString('hex', from, to) };
  },
};

/** The one way among equal ways to say it: fields in the table's order, nothing that is a default. */
export function normalExpression(expr: NftExpr): NftExpr {
  const found = BY_KIND.get(expr.expr);
  if (found === undefined) return expr;
  return normal(found, found.fromKernel(found.toKernel(expr)));
}

/** `undefined` when the attributes are not (only) those of this variant. */
function readVariant(one: Variant, bytes: Buffer, start: number, end: number): NftExpr | undefined {
  let strange = false;
  eachAttribute(bytes, start, end, (type) => {
    if (!one.types.has(type)) strange = true;
  });
  if (strange) return undefined;
  try {
    const fields = one.table.read(bytes, start, end, {}) as Fields;
    if (one.required.some((name) => fields[name] === undefined)) return undefined;
    return normal(one, one.fromKernel(fields));
  } catch (error) {
    if (error instanceof BadNetlink) return undefined;
    throw error;
  }
}

function normal(one: Variant, fields: Fields): NftExpr {
  const result: Record<string, unknown> = { expr: one.kind };
  for (const name of [...one.fields, 'present']) {
    const value = fields[name];
    if (value !== undefined && value !== one.defaults[name]) result[name] = value;
  }
  return result as unknown as NftExpr;
}
