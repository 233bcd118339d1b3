-- Parameters: how many, the same, the rows as a JSON array. The row of log_head stays locked until the commit,
-- so that whoever reads it knows that every entry up to there is visible.
WITH head AS (
    UPDATE log_head SET seq = seq + ? RETURNING seq - ? AS base
)
INSERT INTO event ({columns})
SELECT {values}
FROM head, json_populate_recordset(NULL::event, ?::json) WITH ORDINALITY AS entry
