-- The log on PostgreSQL: partitioned by how long an entry is kept and by when it was written, so
-- that deletion by age drops whole partitions. The server makes the partitions ahead of time
-- (server/src/store/partition.rs); what fits into none of them goes to a class's rest.
CREATE TABLE event_app PARTITION OF event FOR VALUES IN ('APP') PARTITION BY RANGE (created_at);
CREATE TABLE event_app_rest PARTITION OF event_app DEFAULT;
CREATE TABLE event_system PARTITION OF event FOR VALUES IN ('SYSTEM')
    PARTITION BY RANGE (created_at);
CREATE TABLE event_system_rest PARTITION OF event_system DEFAULT;

-- The greatest `seq` of the log. Raised by every transaction that adds entries, as its last step:
-- the lock of this one row makes commits of the log follow its order, and whoever reads it knows
-- that everything up to there is visible. A low fillfactor keeps its versions on one page.
CREATE TABLE log_head (
    seq BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO log_head (seq) VALUES (0);

-- Rows that change twice in their short life: room for the next version on the same page, and a
-- vacuum that keeps up with a queue.
ALTER TABLE firing SET (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);
