-- Lowers the cover to ARGV[1]; a missing one is lower still.
local cover = tonumber(redis.call('GET', COVER) or '')
if cover and tonumber(ARGV[1]) < cover then
    redis.call('SET', COVER, ARGV[1])
end
return 1
