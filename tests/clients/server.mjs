// Where the server is, with which key, and the operations that every client is tried with.

const { BELFRY_URL, BELFRY_KEY } = process.env;
if (!BELFRY_URL || !BELFRY_KEY) throw new Error('run.sh starts the server and sets BELFRY_URL and BELFRY_KEY');

/** The endpoint over HTTP. */
export const HTTP = `${BELFRY_URL}/graphql`;
/** The endpoint as a WebSocket. */
export const WS = HTTP.replace(/^http/, 'ws');
/** The key of the server. */
export const KEY = BELFRY_KEY;
/** The headers of a client that has it. */
export const HEADERS = { authorization: `Bearer ${KEY}` };

/** Whether the server knows the key. */
export const SERVER = 'query Server { server { version } }';
/** Logs one event. */
export const LOG = `mutation Log($event: EventInput!) {
  eventLog(input: { event: $event }) { event { id message } userErrors { field message } }
}`;
/** The log, live, of one component. */
export const TAIL = `subscription Tail($after: String, $q: String) {
  events(after: $after, q: $q, heartbeat: "PT1S") { cursor events { message } }
}`;

/** The input of one event. */
export function event(component, message) {
  return { email: 'client@example.com', environment: 'test', component, message, data: {} };
}

/** Logs events without any client's help. */
export async function log(component, messages) {
  for (const message of messages) {
    const body = JSON.stringify({ query: LOG, variables: { event: event(component, message) } });
    const headers = { ...HEADERS, 'content-type': 'application/json' };
    const answer = await (await fetch(HTTP, { method: 'POST', headers, body })).json();
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
  }
}
