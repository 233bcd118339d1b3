-- Parameters: now, the triggers. What a schedule planned goes before what a backfill asked for, and
-- of those the oldest instant first.
UPDATE firing SET blocked_by = NULL, due_at = ?
WHERE id IN (
    SELECT (SELECT waiting.id
            FROM firing AS waiting {blocked}
            WHERE waiting.trigger_id = freed.id
              AND waiting.blocked_by IS NOT NULL
              AND waiting.status = 'SCHEDULED'
            ORDER BY waiting.cause DESC, waiting.nominal_at
            LIMIT 1
            {lock})
    FROM trigger AS freed
    WHERE freed.id {ids}
      AND NOT EXISTS (
            SELECT 1 FROM firing AS holder {slot}
            WHERE holder.trigger_id = freed.id
              AND holder.cause IN ('SCHEDULE', 'BACKFILL')
              AND holder.status IN ('SCHEDULED', 'EXECUTING')
              AND holder.epoch > 0
              AND COALESCE(holder.overlap, '') <> 'ALLOW'))
  -- Somebody else may have released or cancelled it meanwhile.
  AND blocked_by IS NOT NULL
  AND status = 'SCHEDULED'
RETURNING *, (SELECT concurrency FROM trigger WHERE trigger.id = firing.trigger_id) AS trigger_limit
