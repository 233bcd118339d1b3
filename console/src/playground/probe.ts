// Asks the server what it thinks of a key, so that the page can say it in words.

/** What is known about the key of this tab. */
export type KeyState =
  | { kind: 'missing' }
  | { kind: 'checking' }
  | { kind: 'accepted'; name: string | null }
  | { kind: 'refused'; message: string }
  | { kind: 'unreachable'; message: string };

/** The server does not accept the key. */
export const refusal: KeyState = {
  kind: 'refused',
  message: 'The server does not know this key; it may have been revoked or have expired.',
};

const REFUSED_CODES = new Set(['UNAUTHENTICATED', 'FORBIDDEN']);
const QUESTION = JSON.stringify({ query: '{ viewer { name } }' });

/**
 * Runs `{ viewer { name } }` with the key. Any answer of the schema itself means that the key is
 * good, also one saying that the field does not exist.
 */
export async function probeKey(key: string, signal: AbortSignal): Promise<KeyState> {
  let response: Response;
  try {
    response = await fetch('/graphql', {
      method: 'POST',
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
      },
      body: QUESTION,
      credentials: 'omit',
      signal,
    });
  } catch {
    return { kind: 'unreachable', message: 'The server does not answer.' };
  }
  const answer: unknown = await response.json().catch(() => null);
  return judge(response.status, answer);
}

function judge(status: number, answer: unknown): KeyState {
  const errors = arrayOf(member(answer, 'errors'));
  const refused = errors.find((error) => REFUSED_CODES.has(codeOf(error)));
  if (status === 401 || codeOf(refused) === 'UNAUTHENTICATED') return refusal;
  if (status === 403 || refused !== undefined) {
    return { kind: 'refused', message: 'It is not allowed to read.' };
  }
  if (status === 429 || 500 <= status) {
    return { kind: 'unreachable', message: `The server cannot answer now (HTTP ${status}).` };
  }
  const viewer = member(member(answer, 'data'), 'viewer');
  if (viewer === null && errors.length === 0) return refusal;
  if (viewer === undefined && errors.length === 0) {
    return { kind: 'unreachable', message: `/graphql did not answer as GraphQL does (HTTP ${status}).` };
  }
  const name = member(viewer, 'name');
  return { kind: 'accepted', name: typeof name === 'string' ? name : null };
}

function codeOf(error: unknown): string {
  const code = member(member(error, 'extensions'), 'code');
  return typeof code === 'string' ? code : '';
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
