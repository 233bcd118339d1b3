// The small query page: served at /playground when the console was not built. Plain JavaScript that
// a browser runs as it is; the full playground is console/src/playground.
'use strict';

const STORED_AS = 'belfry.key';
const CLOSE_FORBIDDEN = 4403;
/** How many payloads of a subscription stay on the page. */
const PAYLOADS_MAX = 100;

const STARTERS = [
  ['Who am I', '{\n  viewer { name scopes }\n  server { version now }\n}'],
  ['Create a trigger', 'mutation {\n  triggerCreate(input: {\n    name: "hello"\n    action: { inline: { stages: [{ name: "say", config: { log: { message: "Ding dong" } } }] } }\n    schedules: [{ spec: { cron: { expression: "0 * * * *" } } }]\n  }) {\n    trigger { id name schedules { summary nextFireAt } }\n    userErrors { code field message }\n  }\n}'],
  ['Find its id', '{\n  trigger(by: { name: "hello" }) { id state }\n}'],
  ['Fire it', '# Put the id of the trigger here: trg_…\nmutation {\n  triggerFire(input: { triggerId: "trg_", payload: { from: "playground" } }) {\n    firing { id status dueAt }\n    userErrors { code field message }\n  }\n}'],
  ['Start a timer', '# belfry receive prints what arrives\nmutation {\n  timerStart(input: { length: { duration: "PT10S" }, target: { url: "http://127.0.0.1:9000/" } }) {\n    timer { id firesAt secondsLeft }\n    userErrors { code field message }\n  }\n}'],
  ['List firings', '{\n  firings(first: 10) {\n    nodes {\n      id cause status dueAt\n      trigger { name }\n      attempts { number status duration error response }\n    }\n  }\n}'],
  ['Tail the log', 'subscription {\n  events {\n    cursor\n    events { createdAt type severity triggerName message }\n  }\n}'],
  ['List the schema', '{\n  __schema {\n    queryType { fields { name description } }\n    mutationType { fields { name } }\n    subscriptionType { fields { name } }\n  }\n}'],
];

const at = (id) => document.getElementById(id);
let keyInMemory = null;
let probes = 0;
/** Ends what is running; null when nothing is. */
let stopRunning = null;

// The key: from the address' fragment, kept in sessionStorage, sent as a header. No cookies.

function loadKey() {
  const encoded = /^#(?:.*&)?key=([^&]*)/.exec(location.hash)?.[1];
  if (encoded !== undefined) {
    history.replaceState(history.state, '', location.pathname + location.search);
    let key = encoded;
    try { key = decodeURIComponent(encoded); } catch { /* taken as it is */ }
    if (key.trim() !== '') saveKey(key.trim());
  }
  try { return sessionStorage.getItem(STORED_AS) ?? keyInMemory; } catch { return keyInMemory; }
}

function saveKey(key) {
  keyInMemory = key;
  try {
    if (key === null) sessionStorage.removeItem(STORED_AS);
    else sessionStorage.setItem(STORED_AS, key);
  } catch { /* storage is off: the key lives until the page is left */ }
}

function shownKey(key) {
  const publicPart = /^blf_[^_]+(?=_)/.exec(key)?.[0];
  return publicPart === undefined ? '••••••••' : `${publicPart}_••••`;
}

function showState(kind, text, message) {
  const key = loadKey();
  at('state').dataset.state = kind;
  at('state').textContent = key === null ? text : `${text} (${shownKey(key)})`;
  at('message').hidden = message === '';
  at('message').textContent = message;
  at('message').className = kind === 'missing' ? '' : 'bad';
  at('forget').hidden = key === null;
  at('retry').hidden = kind !== 'unreachable';
}

function showRefused() {
  showState('refused', 'Key refused',
    'The key was refused. The server does not know it, or it may not read; it may have been revoked or have expired.');
}

async function checkKey() {
  const probe = ++probes;
  const key = loadKey();
  if (key === null) {
    showState('missing', 'No key', 'The API needs a key. Paste one above, or open the link that the server '
      + 'printed at its first start (/playground#key=…). It stays in this browser tab only.');
    return;
  }
  showState('checking', 'Checking the key…', '');
  const { status, answer } = await post(key, { query: '{ viewer { name } }' });
  if (probe !== probes) return;
  const codes = (answer?.errors ?? []).map((error) => error?.extensions?.code);
  const refused = codes.includes('UNAUTHENTICATED') || codes.includes('FORBIDDEN');
  if (status === 401 || status === 403 || refused || (answer?.data?.viewer === null && codes.length === 0)) {
    showRefused();
  } else if (status === 429 || status >= 500 || (answer?.data === undefined && codes.length === 0)) {
    showState('unreachable', 'Key not checked', status === 0
      ? 'The server does not answer.' : `The server cannot answer now (HTTP ${status}).`);
  } else {
    const name = answer?.data?.viewer?.name;
    showState('accepted', typeof name === 'string' ? `Key “${name}” accepted` : 'Key accepted', '');
  }
}

// Operations.

async function post(key, request) {
  try {
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: {
        accept: 'application/json',
        'content-type': 'application/json',
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      },
      credentials: 'omit',
      body: JSON.stringify(request),
    });
    const text = await response.text();
    try { return { status: response.status, answer: JSON.parse(text) }; } catch { return { status: response.status, text }; }
  } catch {
    return { status: 0, text: 'The server does not answer.' };
  }
}

function run() {
  stop();
  const query = at('query').value;
  let variables = {};
  try {
    variables = JSON.parse(at('variables').value.trim() || '{}');
  } catch (error) {
    show(`The variables are not JSON: ${error.message}`);
    return;
  }
  const request = { query, variables };
  if (isSubscription(query)) subscribe(request);
  else void ask(request);
}

async function ask(request) {
  let current = true;
  running(() => { current = false; });
  show('…');
  const { status, answer, text } = await post(loadKey(), request);
  if (!current) return;
  if (status === 401) showRefused();
  show(answer === undefined ? `HTTP ${status}\n${text}` : pretty(answer));
  running(null);
}

/** graphql-transport-ws: connection_init, connection_ack, subscribe, next…, complete. */
function subscribe(request) {
  const payloads = [];
  const address = new URL('/graphql', location.href);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(address, 'graphql-transport-ws');
  const send = (message) => socket.send(JSON.stringify(message));
  const note = (text) => show([`// ${text}`, ...payloads].join('\n'));
  const end = (text) => {
    if (stopRunning !== stopThis) return;
    running(null);
    note(text);
    socket.close(1000);
  };
  const stopThis = () => {
    if (socket.readyState === WebSocket.OPEN) send({ id: '1', type: 'complete' });
    end('Stopped.');
  };

  running(stopThis);
  note('Connecting…');
  socket.onopen = () => {
    const key = loadKey();
    send({ type: 'connection_init', payload: key === null ? {} : { authorization: `Bearer ${key}` } });
  };
  socket.onmessage = ({ data }) => {
    if (stopRunning !== stopThis) return;
    const message = JSON.parse(data);
    switch (message.type) {
      case 'connection_ack':
        send({ id: '1', type: 'subscribe', payload: request });
        note('Waiting for the first payload…');
        break;
      case 'ping':
        send({ type: 'pong', payload: message.payload });
        break;
      case 'next':
        payloads.unshift(pretty(message.payload));
        payloads.length = Math.min(payloads.length, PAYLOADS_MAX);
        note(`Receiving, newest first, at ${new Date().toLocaleTimeString()}.`);
        break;
      case 'error':
        payloads.unshift(pretty({ errors: message.payload }));
        end('Refused.');
        break;
      case 'complete':
        end('Completed by the server.');
        break;
    }
  };
  socket.onclose = ({ code, reason }) => {
    if (code === CLOSE_FORBIDDEN) showRefused();
    end(`Closed by the server: ${code} ${reason}`.trim());
  };
}

/** Whether the document's first operation is a subscription; comments and strings do not count. */
function isSubscription(query) {
  const bare = query.replace(/"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*/g, ' ');
  return /^[\s,]*(?:fragment\b[^{]*\{[\s\S]*?\}[\s,]*)*subscription\b/.test(bare);
}

function running(stopIt) {
  stopRunning = stopIt;
  at('stop').disabled = stopIt === null;
}

function stop() {
  stopRunning?.();
  running(null);
}

function show(text) { at('result').textContent = text; }

function pretty(value) { return JSON.stringify(value, null, 2); }

// The page.

at('key-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const key = at('key').value.trim();
  if (key === '') return;
  at('key').value = '';
  stop();
  saveKey(key);
  void checkKey();
});
at('forget').addEventListener('click', () => { stop(); saveKey(null); void checkKey(); });
at('retry').addEventListener('click', () => void checkKey());
at('run').addEventListener('click', run);
at('stop').addEventListener('click', stop);
addEventListener('hashchange', () => void checkKey());
addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); }
});
at('starters').append(new Option('Examples…', ''), ...STARTERS.map(([title], index) => new Option(title, index)));
at('starters').addEventListener('change', ({ target }) => {
  const starter = STARTERS[target.value];
  if (starter === undefined) return;
  at('query').value = starter[1];
  at('variables').value = '';
  target.value = '';
});
at('query').value = STARTERS[0][1];
void checkKey();
