-- What has a record at the cursor of each schedule and after it, from its first to its last
-- instant: single firings, and SKIPPED ranges. The newest record that begins at or before the
-- cursor is among them, because it may be a range that reaches beyond; ranges enclose no other
-- record, so that no older one does.
-- Parameters: the schedules. In the words of the index firing_instant.
SELECT schedule.id AS schedule_id,
       firing.nominal_at AS first,
       COALESCE(firing.range_until, firing.nominal_at) AS last
FROM schedule
JOIN firing ON firing.schedule_id = schedule.id AND firing.cause = 'SCHEDULE'
WHERE schedule.id IN ({ids})
  AND firing.nominal_at >= COALESCE(
      (SELECT MAX(newest.nominal_at) FROM firing AS newest
       WHERE newest.schedule_id = schedule.id AND newest.cause = 'SCHEDULE'
         AND newest.nominal_at <= schedule.planned_until),
      schedule.planned_until)
