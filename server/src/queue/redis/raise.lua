-- Raises the cover to ARGV[2], unless it is lower than ARGV[1] by now. Returns whether it did.
local cover = tonumber(redis.call('GET', COVER) or '') or -math.huge
local from, to = tonumber(ARGV[1]), tonumber(ARGV[2])
if cover < from then
    return 0
end
if cover < to then
    redis.call('SET', COVER, ARGV[2])
end
return 1
