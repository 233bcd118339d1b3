// Whether schema.graphql breaks a client that was built on the last accepted schema. `make schema-accept`
// accepts the present one.

import { readFileSync } from 'node:fs';
import { buildSchema, findBreakingChanges, findDangerousChanges } from 'graphql';
import { show } from './table.mjs';

const read = (name) => buildSchema(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));
const [last, present] = [read('docs/schema/last.graphql'), read('schema.graphql')];
const breaking = findBreakingChanges(last, present);
const dangerous = findDangerousChanges(last, present);

const rows = breaking.map(({ type, description }) => ['FAIL', type, description]);
rows.push(...dangerous.map(({ type, description }) => ['ok', type, `${description} (to be known, not refused)`]));
rows.push(['ok', 'changes', `${breaking.length} breaking, ${dangerous.length} to be known`]);
show('schema.graphql against docs/schema/last.graphql', rows);
