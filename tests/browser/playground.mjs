// Opens the playground in a real browser and does what a newcomer does: follows the link with the
// key, runs a query, watches the log while an event is written. Exits 0, or 1 with what was expected
// and what was seen.
// Finds out by itself whether the full playground or the small query page is served.
//
//   BELFRY_URL                  http://127.0.0.1:8000 (required)
//   BELFRY_KEY                  a key that the server accepts (required)
//   BELFRY_PLAYGROUND           bundle | builtin: fail when the other one is served
//   BELFRY_SCREENSHOT           where to write a PNG (optional)
//   BELFRY_COLOR_SCHEME         light | dark (light by default)
//   CHROMIUM                    the browser; /usr/bin/chromium by default

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const WAIT_MS = 20_000;
const WAIT = { timeout: WAIT_MS };
const RESULT_OF_TYPENAME = /"__typename":\s*"\w+"/;

const server = new URL(required('BELFRY_URL'));
const key = required('BELFRY_KEY');
/** The message of the event that is written while the page watches. */
const MESSAGE = `written at ${new Date().toISOString()}`;
const colorScheme = process.env.BELFRY_COLOR_SCHEME === 'dark' ? 'dark' : 'light';

/** How a person finds things on each of the two pages. */
const PAGES = {
  bundle: {
    // In a new tab: GraphiQL follows the name of an edited operation only after a moment.
    async write(page, text) {
      await page.locator('.graphiql-tab-add').click(WAIT);
      await page.locator('.graphiql-query-editor .CodeMirror').click(WAIT);
      await page.keyboard.press('Control+a');
      await page.keyboard.insertText(text);
    },
    run: (page) => page.locator('.graphiql-execute-button').click(WAIT),
    stop: (page) => page.getByRole('button', { name: /^Stop query/ }).click(WAIT),
    result: (page) =>
      page.locator('.result-window .CodeMirror').evaluate((editor) => editor.CodeMirror.getValue()),
    /** The schema has been read: its documentation lists the root type. */
    async schemaShown(page) {
      await page.getByRole('button', { name: 'Show Documentation Explorer' }).click(WAIT);
      await page.locator('.graphiql-doc-explorer').getByText('query:').waitFor(WAIT);
      await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click(WAIT);
    },
  },
  builtin: {
    write: (page, text) => page.locator('#query').fill(text, WAIT),
    run: (page) => page.locator('#query').press('Control+Enter', WAIT),
    stop: (page) => page.locator('#stop').click(WAIT),
    result: (page) => page.locator('#result').innerText(WAIT),
    async schemaShown() {},
  },
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
  ],
});
try {
  const kind = await withKey();
  await withoutKey();
  await withRefusedKey();
  console.log(`playground (${kind}, ${colorScheme}): ok`);
} catch (error) {
  console.error(`playground: ${withoutSecret(error.message)}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}

/** The whole walk with a good key. Returns which page is served. */
async function withKey() {
  const { page, seen } = await openPage(`#key=${encodeURIComponent(key)}`);
  try {
    const kind = await page.locator('html').getAttribute('data-playground', WAIT);
    assert.ok(kind in PAGES, `/playground is neither of the two pages (data-playground: ${kind})`);
    assert.equal(kind, process.env.BELFRY_PLAYGROUND ?? kind, 'the other page is served');
    const hands = PAGES[kind];

    await keyState(page, 'accepted');
    await keyStaysPrivate(page);
    await hands.schemaShown(page);

    await hands.write(page, '{ __typename }');
    await hands.run(page);
    await until(() => hands.result(page), RESULT_OF_TYPENAME, '{ __typename }');

    const subscription = await tail();
    await hands.write(page, subscription);
    await hands.run(page);
    await logEvent();
    await until(() => hands.result(page), new RegExp(MESSAGE), subscription);
    if (process.env.BELFRY_SCREENSHOT) await page.screenshot({ path: process.env.BELFRY_SCREENSHOT });
    await hands.stop(page);

    await page.reload(WAIT);
    await keyState(page, 'accepted');
    await keyStaysPrivate(page);

    credentialsSent(seen);
    assert.deepEqual(seen.complaints, [], 'the browser complained');
    return kind;
  } catch (error) {
    if (process.env.BELFRY_SCREENSHOT) await page.screenshot({ path: process.env.BELFRY_SCREENSHOT });
    if (seen.complaints.length > 0) error.message += `\nThe browser said:\n${seen.complaints.join('\n')}`;
    throw error;
  } finally {
    nothingElsewhere(seen);
    await page.context().close();
  }
}

/** The live log from now on: an event that is written before the page listens comes, too. */
async function tail() {
  const { data } = await api('/graphql', { query: '{ events(first: 1) { headCursor } }' });
  return `subscription { events(after: "${data.events.headCursor}") { events { type message } } }`;
}

async function logEvent() {
  const email = 'ada@example.com';
  const event = { email, environment: 'test', component: 'browser', message: MESSAGE, data: {} };
  const { type } = await api('/event', event);
  assert.equal(type, 'app.event');
}

async function api(path, body) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const request = { method: 'POST', headers, body: JSON.stringify(body) };
  return (await fetch(new URL(path, server), request)).json();
}

async function withoutKey() {
  const { page, seen } = await openPage('');
  await keyState(page, 'missing');
  await page.getByText('The API needs a key.').waitFor(WAIT);
  await page.getByLabel('API key').fill(key, WAIT);
  await page.getByRole('button', { name: 'Use key' }).click(WAIT);
  await keyState(page, 'accepted');
  await page.getByRole('button', { name: 'Forget key' }).click(WAIT);
  await keyState(page, 'missing');
  assert.deepEqual(seen.complaints, [], 'the browser complained');
  nothingElsewhere(seen);
  await page.context().close();
}

async function withRefusedKey() {
  const { page, seen } = await openPage('#key=blf_nobody_knows-this-key');
  await keyState(page, 'refused');
  await page.getByText('The key was refused.').waitFor(WAIT);
  // The browser reports each 401 itself; anything beyond that is the page's.
  const own = seen.complaints.filter((text) => !text.includes('status of 401'));
  assert.deepEqual(own, [], 'the browser complained');
  nothingElsewhere(seen);
  await page.context().close();
}

/** Opens the playground in a fresh profile and notes whatever it asks for and complains about. */
async function openPage(fragment) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const seen = { addresses: [], requests: [], initPayloads: [], complaints: [] };
  page.on('request', (request) => {
    seen.addresses.push(request.url());
    if (new URL(request.url()).pathname === '/graphql') seen.requests.push(request.headers());
  });
  page.on('websocket', (socket) => {
    seen.addresses.push(socket.url());
    socket.on('framesent', ({ payload }) => {
      const message = JSON.parse(payload.toString());
      if (message.type === 'connection_init') seen.initPayloads.push(message.payload);
    });
  });
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') {
      seen.complaints.push(`${message.text()} (${message.location().url})`);
    }
  });
  page.on('pageerror', (error) => seen.complaints.push(String(error)));
  const answer = await page.goto(new URL(`/playground${fragment}`, server).href, WAIT);
  assert.equal(answer.status(), 200, 'status of /playground');
  return { page, seen };
}

async function keyState(page, wanted) {
  const shown = page.locator('[data-state]').first();
  await until(() => shown.getAttribute('data-state', WAIT), new RegExp(`^${wanted}$`), 'state of the key');
}

async function keyStaysPrivate(page) {
  assert.equal(page.url(), new URL('/playground', server).href, 'address bar');
  const { text, lasting, cookies } = await page.evaluate(() => ({
    text: document.body.innerText,
    lasting: JSON.stringify(localStorage),
    cookies: document.cookie,
  }));
  assert.ok(!text.includes(key), 'the page shows the key');
  assert.ok(!lasting.includes(key), 'localStorage holds the key');
  assert.equal(cookies, '', 'cookies');
}

function credentialsSent(seen) {
  const bearer = `Bearer ${key}`;
  assert.ok(seen.requests.length > 0, 'no request reached /graphql');
  for (const headers of seen.requests) {
    assert.equal(headers.authorization, bearer, 'Authorization of a request');
    assert.equal(headers.cookie, undefined, 'Cookie of a request');
  }
  assert.ok(seen.initPayloads.length > 0, 'no connection_init was sent');
  for (const payload of seen.initPayloads) {
    assert.equal(payload?.authorization, bearer, 'authorization of connection_init');
  }
}

function nothingElsewhere(seen) {
  const elsewhere = seen.addresses.filter((address) => {
    const { protocol, host } = new URL(address);
    return protocol !== 'data:' && protocol !== 'blob:' && host !== server.host;
  });
  assert.deepEqual(elsewhere, [], 'the page asked another host');
}

async function until(read, wanted, what) {
  const deadline = Date.now() + WAIT_MS;
  let last = '';
  while (Date.now() < deadline) {
    last = (await read()) ?? '';
    if (wanted.test(last)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${what}: expected ${wanted} within ${WAIT_MS} ms, the page shows:\n${last}`);
}

function withoutSecret(text) {
  return text.replaceAll(key, '<key>').replaceAll(encodeURIComponent(key), '<key>');
}

function required(name) {
  const value = process.env[name];
  if (value) return value;
  console.error(`playground: set ${name}`);
  process.exit(1);
}
