// The tabs of a new playground: a short walk through Belfry. `npm run check` validates them against
// schema.graphql.

import createTrigger from './starters/1_create_trigger.graphql?raw';
import fireTrigger from './starters/2_fire_trigger.graphql?raw';
import startTimer from './starters/3_start_timer.graphql?raw';
import listFirings from './starters/4_list_firings.graphql?raw';
import tailLog from './starters/5_tail_log.graphql?raw';

/** One tab each, in the order in which a newcomer runs them. */
export const starters: { query: string }[] = [
  createTrigger,
  fireTrigger,
  startTimer,
  listFirings,
  tailLog,
].map((text) => ({ query: text.trimEnd() }));
