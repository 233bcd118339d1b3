// The audits of npm graphql-http: all of them, without an error, a warning or a notice.

import { auditServer } from 'graphql-http';
import { HEADERS, HTTP } from './server.mjs';
import { show } from './table.mjs';

/** How many there are; fewer would mean that some were not run. */
const AUDITS = 61;

const withKey = (url, init) => fetch(url, { ...init, headers: { ...HEADERS, ...init?.headers } });
const results = await auditServer({ url: HTTP, fetchFn: withKey });
const count = (status) => results.filter((result) => result.status === status).length;

const rows = results
  .filter((result) => result.status !== 'ok')
  .map((result) => [result.status, `${result.id} ${result.name}`, result.reason]);
const summary = ['ok', 'error', 'warn', 'notice'].map((status) => `${count(status)} ${status}`).join(', ');
const isWhole = results.length === AUDITS && count('ok') === AUDITS;
rows.push([isWhole ? 'ok' : 'FAIL', `${results.length} audits`, summary]);
show('graphql-http auditServer', rows);
