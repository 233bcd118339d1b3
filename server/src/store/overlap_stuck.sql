-- Parameter: now. The triggers of which something waits for a slot that nobody holds, and that
-- nothing is about to take, or of which something waits although it may overlap by now.
SELECT blocked.trigger_id
FROM (SELECT DISTINCT trigger_id FROM firing {blocked}
      WHERE blocked_by IS NOT NULL AND status = 'SCHEDULED') AS blocked
JOIN trigger ON trigger.id = blocked.trigger_id
WHERE (trigger.overlap = 'ALLOW' AND EXISTS (
        SELECT 1 FROM firing AS allowed {blocked}
        WHERE allowed.trigger_id = blocked.trigger_id
          AND allowed.blocked_by IS NOT NULL
          AND allowed.status = 'SCHEDULED'
          AND allowed.overlap IS NULL))
   OR (NOT EXISTS (
        SELECT 1 FROM firing AS holder {slot}
        WHERE holder.trigger_id = blocked.trigger_id
          AND holder.cause IN ('SCHEDULE', 'BACKFILL')
          AND holder.status IN ('SCHEDULED', 'EXECUTING')
          AND holder.epoch > 0
          AND COALESCE(holder.overlap, trigger.overlap) <> 'ALLOW')
  -- Of those that a backfill made one more may be let go: it finds the slot held, and waits again.
  AND NOT EXISTS (
        SELECT 1 FROM schedule
        JOIN firing AS next {ahead} ON next.schedule_id = schedule.id
        WHERE schedule.trigger_id = blocked.trigger_id
          AND schedule.deleted_at IS NULL
          AND next.cause = 'SCHEDULE'
          AND next.status = 'SCHEDULED'
          AND next.epoch = 0
          AND next.blocked_by IS NULL
          AND next.due_at <= ?))
