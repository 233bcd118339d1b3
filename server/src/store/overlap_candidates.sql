-- Parameters: the proposed ids, now, the bound of what was missed.
SELECT firing.id, firing.project_id, firing.trigger_id, firing.schedule_id, firing.schedule_kind,
    firing.cause, firing.nominal_at, COALESCE(firing.overlap, trigger.overlap) AS policy
FROM firing
JOIN trigger ON trigger.id = firing.trigger_id
-- Expressions, for the reason that claim_postgres.sql gives.
WHERE firing.id {ids}
  AND firing.status || '' = 'SCHEDULED'
  AND firing.epoch + 0 = 0
  AND firing.blocked_by IS NULL
  AND firing.cause IN ('SCHEDULE', 'BACKFILL')
  AND NOT firing.is_test
  AND trigger.state <> 'ENDING'
  AND firing.due_at + 0 <= ?
  -- The same bounds as the claim's own: what was missed is the planner's, and the fence of edits.
  AND (firing.cause <> 'SCHEDULE' OR firing.due_at + 0 >= ?)
  AND (firing.cause <> 'SCHEDULE' OR EXISTS (
        SELECT 1 FROM schedule
        WHERE schedule.id = firing.schedule_id
          AND schedule.plan_version = firing.plan_version
          AND schedule.deleted_at IS NULL))
ORDER BY firing.trigger_id, firing.nominal_at, firing.id
{lock}
