// Where GraphiQL keeps drafts and history: in the tab, like the key. What is typed here may hold
// secrets (`secretSet`), and two tabs may belong to two projects.

import type { Storage } from '@graphiql/toolkit';

/** What GraphiQL puts before the name of each of its entries. */
const PREFIX = 'graphiql:';

/** sessionStorage, or nothing where the browser forbids it. */
export const draftStorage: Storage = {
  get length() {
    return attempt(() => sessionStorage.length, 0);
  },
  getItem: (name) => attempt(() => sessionStorage.getItem(name), null),
  setItem: (name, value) => sessionStorage.setItem(name, value),
  removeItem: (name) => attempt(() => sessionStorage.removeItem(name), undefined),
  clear: () => attempt(clearDrafts, undefined),
};

/** GraphiQL's "clear storage" is about its own entries: the key stays. */
function clearDrafts(): void {
  Object.keys(sessionStorage)
    .filter((name) => name.startsWith(PREFIX))
    .forEach((name) => sessionStorage.removeItem(name));
}

function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
