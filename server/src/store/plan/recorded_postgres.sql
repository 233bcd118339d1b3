-- As recorded.sql. Parameter: the schedules, as an array. The firings of each are read by its own
-- bounds: a join could as well begin with all that was ever planned.
SELECT standing.id AS schedule_id, record.first, record.last
FROM (SELECT schedule.id,
             COALESCE(
                 (SELECT MAX(newest.nominal_at) FROM firing AS newest
                  WHERE newest.schedule_id = schedule.id AND newest.cause = 'SCHEDULE'
                    AND newest.nominal_at <= schedule.planned_until),
                 schedule.planned_until) AS begins_at
      FROM schedule WHERE schedule.id = ANY(?)) AS standing
CROSS JOIN LATERAL (
    SELECT firing.nominal_at AS first, COALESCE(firing.range_until, firing.nominal_at) AS last
    FROM firing
    WHERE firing.schedule_id = standing.id AND firing.cause = 'SCHEDULE'
      AND firing.nominal_at >= standing.begins_at
    OFFSET 0
) AS record
