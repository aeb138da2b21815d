-- Removes a migration that is done, or also one that isn't. What begin.lua and the others make is removed here.
-- KEYS: meta. ARGV: base, folder streams, 1 to remove one that isn't done.
local meta, base = KEYS[1], ARGV[1]
local open = redis.call('HMGET', meta, 'open_folders', 'open_files')
if redis.call('EXISTS', meta) == 0 then return 'none' end
if ARGV[3] ~= '1' and (tonumber(open[1]) ~= 0 or tonumber(open[2]) ~= 0) then return 'unfinished' end
local keys = {meta, base .. ':files', base .. ':states', base .. ':reasons', base .. ':pushes', base .. ':workers'}
for level = 0, tonumber(ARGV[2]) - 1 do keys[#keys + 1] = base .. ':folders:' .. level end
for _, o in ipairs({'failed', 'unavailable', 'filtered'}) do keys[#keys + 1] = base .. ':parked:' .. o end
redis.call('DEL', unpack(keys))
return 'ok'
