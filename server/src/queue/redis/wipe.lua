-- Deletes the keys of the shard, a few at a time, whatever they hold: SQL can rebuild them.
-- ARGV[1]: where to go on. Returns where to go on, '0' at the end.
local page = redis.call('SCAN', ARGV[1], 'MATCH', base .. ':*', 'COUNT', 1000)
if page[2][1] then
    redis.call('UNLINK', unpack(page[2]))
end
return page[1]
