// The API key of this tab: it comes in the address' fragment, which never leaves the browser, and
// lives in sessionStorage, which ends with the tab. There are no cookies.

const STORED_AS = 'belfry.key';
const IN_FRAGMENT = /^#(?:.*&)?key=([^&]*)/;

/** Holds the key where the browser forbids sessionStorage. */
let inMemory: string | null = null;

/**
 * The key of this tab, or null. A key in the address (`#key=…`) replaces the stored one and is
 * removed from the address bar and from the history entry.
 */
export function loadKey(): string | null {
  const fromAddress = takeFromAddress();
  if (fromAddress !== null) saveKey(fromAddress);
  return readStored();
}

/** Remembers the key for this tab; null forgets it. */
export function saveKey(key: string | null): void {
  inMemory = key;
  try {
    if (key === null) sessionStorage.removeItem(STORED_AS);
    else sessionStorage.setItem(STORED_AS, key);
  } catch {
    // Storage is off: the key lives until the page is left.
  }
}

/** What may be shown of a key: its public part (`blf_<id>`), never the secret. */
export function shownKey(key: string): string {
  const publicPart = /^blf_[^_]+(?=_)/.exec(key)?.[0];
  return publicPart === undefined ? '••••••••' : `${publicPart}_••••`;
}

function takeFromAddress(): string | null {
  const encoded = IN_FRAGMENT.exec(location.hash)?.[1];
  if (encoded === undefined) return null;
  history.replaceState(history.state, '', location.pathname + location.search);
  const key = decoded(encoded).trim();
  return key === '' ? null : key;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readStored(): string | null {
  try {
    return sessionStorage.getItem(STORED_AS) ?? inMemory;
  } catch {
    return inMemory;
  }
}
