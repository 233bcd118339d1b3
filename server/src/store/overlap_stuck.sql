-- Parameter: now. The triggers of which something waits for a slot that nobody holds, and that
-- nothing is about to take.
SELECT DISTINCT blocked.trigger_id
FROM firing AS blocked
WHERE blocked.blocked_by IS NOT NULL
  AND blocked.status = 'SCHEDULED'
  AND NOT EXISTS (
        SELECT 1 FROM firing AS holder
        WHERE holder.trigger_id = blocked.trigger_id
          AND holder.cause IN ('SCHEDULE', 'BACKFILL')
          AND holder.status IN ('SCHEDULED', 'EXECUTING')
          AND 0 < holder.epoch
          AND COALESCE(holder.overlap, '') <> 'ALLOW')
  AND NOT EXISTS (
        SELECT 1 FROM firing AS next
        WHERE next.trigger_id = blocked.trigger_id
          AND next.cause IN ('SCHEDULE', 'BACKFILL')
          AND next.status = 'SCHEDULED'
          AND next.epoch = 0
          AND next.blocked_by IS NULL
          AND next.due_at <= ?)
