-- Begins a migration, unless there is one.
-- KEYS: meta. ARGV: base, group, schema, migration, restart, stream and payload of the root, folder streams.
local meta, base, group = KEYS[1], ARGV[1], ARGV[2]
if ARGV[5] == '1' then
  local keys = {meta, base .. ':files', base .. ':states', base .. ':reasons', base .. ':pushes'}
  for level = 0, tonumber(ARGV[8]) - 1 do keys[#keys + 1] = base .. ':folders:' .. level end
  for _, o in ipairs({'failed', 'unavailable', 'filtered'}) do keys[#keys + 1] = base .. ':parked:' .. o end
  redis.call('DEL', unpack(keys))
end
local have = redis.call('HMGET', meta, 'schema', 'migration')
if have[1] then return {have[1], have[2]} end
if redis.call('EXISTS', base .. ':files', base .. ':' .. ARGV[6]) > 0 then return {'none', ''} end
redis.call('HSET', meta, 'schema', ARGV[3], 'migration', ARGV[4], 'open_folders', 1, 'open_files', 0, 'folders', 1)
redis.call('XGROUP', 'CREATE', base .. ':files', group, '0', 'MKSTREAM')
redis.call('XGROUP', 'CREATE', base .. ':' .. ARGV[6], group, '0', 'MKSTREAM')
redis.call('XADD', base .. ':' .. ARGV[6], '*', 'i', ARGV[7])
return {ARGV[3], ARGV[4]}
