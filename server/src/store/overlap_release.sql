-- Parameters: the triggers, the triggers, now. What a schedule planned goes before what a backfill
-- asked for, and of those the oldest instant first.
-- Materialised, so that PostgreSQL asks once: asked again, it would pass over the row that it has
-- updated just now, and let the next one go too.
WITH let_go AS MATERIALIZED (
    SELECT (SELECT waiting.id
            FROM firing AS waiting {blocked}
            WHERE waiting.trigger_id = freed.id
              AND waiting.blocked_by IS NOT NULL
              AND waiting.status = 'SCHEDULED'
            ORDER BY waiting.cause DESC, waiting.nominal_at
            LIMIT 1
            {lock}) AS id
    FROM trigger AS freed
    WHERE freed.id {ids}
      AND NOT EXISTS (
            SELECT 1 FROM firing AS holder {slot}
            WHERE holder.trigger_id = freed.id
              AND holder.cause IN ('SCHEDULE', 'BACKFILL')
              AND holder.status IN ('SCHEDULED', 'EXECUTING')
              AND holder.epoch > 0
              AND COALESCE(holder.overlap, freed.overlap) <> 'ALLOW')
), free AS MATERIALIZED (
    -- What waits under the policy of a trigger that may overlap by now waits for nobody.
    SELECT allowed.id
    FROM firing AS allowed {blocked}
    WHERE allowed.trigger_id {ids}
      AND allowed.blocked_by IS NOT NULL
      AND allowed.status = 'SCHEDULED'
      AND allowed.overlap IS NULL
      AND (SELECT overlap FROM trigger WHERE trigger.id = allowed.trigger_id) = 'ALLOW'
    {lock}
)
UPDATE firing SET blocked_by = NULL, due_at = ?
WHERE id IN (SELECT id FROM let_go UNION ALL SELECT id FROM free)
  -- Somebody else may have released or cancelled it meanwhile.
  AND blocked_by IS NOT NULL
  AND status = 'SCHEDULED'
RETURNING *, (SELECT concurrency FROM trigger WHERE trigger.id = firing.trigger_id) AS trigger_limit
