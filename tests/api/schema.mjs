// A small validator of JSON against the schemas of an OpenAPI 3.1 document: the words that ours uses, and no others. What
// the document does not tell of is a problem too: a field without a description.
const typeOf = (value) => (value === null ? 'null' : Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value);
const fits = (type, value) => typeOf(value) === type || (type === 'number' && typeOf(value) === 'integer');
const formats = { 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, date: /^\d{4}-\d\d-\d\d$/ };
const known = new Set(['$ref', 'oneOf', 'type', 'format', 'enum', 'items', 'properties', 'required']);

export function resolve(document, schema) {
  if (!schema.$ref) return schema;
  const found = schema.$ref.replace(/^#\//, '').split('/').reduce((at, key) => at?.[key], document);
  if (!found) throw new Error(`${schema.$ref} is nowhere in the document`);
  return resolve(document, found);
}

// What is wrong with the value, each with its place; empty: nothing.
export function problems(document, given, value, at = '$') {
  const unknown = Object.keys(given).filter((key) => !known.has(key));
  if (unknown.length) return [`${at}: the schema has words that are not understood: ${unknown.join(', ')}`];
  const schema = resolve(document, given);
  if (schema.oneOf) {
    const fitting = schema.oneOf.filter((one) => !problems(document, one, value, at).length);
    return fitting.length === 1 ? [] : schema.oneOf.flatMap((one) => problems(document, one, value, at));
  }
  const types = [schema.type ?? []].flat();
  if (types.length && !types.some((type) => fits(type, value))) return [`${at}: ${typeOf(value)} is not ${types.join(' or ')}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${at}: ${JSON.stringify(value)} is none of ${schema.enum.join(', ')}`];
  if (schema.format && typeof value === 'string' && !formats[schema.format].test(value)) return [`${at}: ${value} is no ${schema.format}`];
  if (Array.isArray(value) && schema.items) return value.flatMap((item, i) => problems(document, schema.items, item, `${at}[${i}]`));
  if (typeOf(value) !== 'object' || !schema.properties) return [];
  return [
    ...(schema.required ?? []).filter((key) => !(key in value)).map((key) => `${at}: ${key} is missing`),
    ...Object.entries(value).flatMap(([key, item]) => (schema.properties[key] ? problems(document, schema.properties[key], item, `${at}.${key}`) : [`${at}.${key} is not in the document`])),
  ];
}
