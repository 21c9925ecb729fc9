/**
 * Appends publications to a stream in Redis, all or none, atomically for all servers that share it. One whose ID is stored in its
 * topic with the same content is not stored again; the number of one whose ID is stored with other content is returned.
 *
 * A hash has the position of each publisher's ID. It is only a hint: an entry counts if it is still in the stream at that
 * position, so entries that the stream drops need no bookkeeping. Once the hash is larger than the stream, each new ID
 * removes the stale ones of four at random: at a quarter of stale IDs, as many are removed as are added.
 *
 * KEYS: the stream, the hash. ARGV: the length of the stream, then per publication its key in the hash (empty without an ID of
 * the publisher), how many names and values it has, and these.
 */
export const APPEND = `
local stream, ids, length = KEYS[1], KEYS[2], ARGV[1]

local function by_name(list)
  local fields = {}
  for index = 1, #list, 2 do fields[list[index]] = list[index + 1] end
  return fields
end

local function is_same(one, other)
  for name, value in pairs(one) do if other[name] ~= value then return false end end
  for name in pairs(other) do if one[name] == nil then return false end end
  return true
end

local function stored(key)
  local position = redis.call('HGET', ids, key)
  local entry = position and redis.call('XRANGE', stream, position, position)[1]
  if not entry then return nil end
  local fields = by_name(entry[2])
  -- Another entry can have this position if the stream was deleted and the clock set back.
  if (fields.topic or '') .. '\\n' .. (fields.id or '') ~= key then return nil end
  return { position = position, fields = fields }
end

local publications, known = {}, {}
local at = 2
while at <= #ARGV do
  local key, count = ARGV[at], tonumber(ARGV[at + 1])
  local list = { unpack(ARGV, at + 2, at + 1 + count) }
  at = at + 2 + count
  publications[#publications + 1] = { key = key, list = list }
  if key ~= '' then
    local fields = by_name(list)
    known[key] = known[key] or stored(key) or { fields = fields }
    if not is_same(known[key].fields, fields) then return #publications end
  end
end

local positions, added = {}, 0
for index, publication in ipairs(publications) do
  local own = known[publication.key] or {}
  if not own.position then
    own.position = redis.call('XADD', stream, 'MAXLEN', '~', length, '*', unpack(publication.list))
    if publication.key ~= '' then
      redis.call('HSET', ids, publication.key, own.position)
      added = added + 1
    end
  end
  positions[index] = own.position
end

local function parts(position)
  local time, counter = position:match('(%d+)-(%d+)')
  return tonumber(time), tonumber(counter)
end

if added > 0 and redis.call('HLEN', ids) > redis.call('XLEN', stream) then
  local time, counter = parts(redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1][1])
  local sample = redis.call('HRANDFIELD', ids, 4 * added, 'WITHVALUES')
  for index = 1, #sample, 2 do
    local own_time, own_counter = parts(sample[index + 1])
    if own_time < time or (own_time == time and own_counter < counter) then redis.call('HDEL', ids, sample[index]) end
  end
end
return positions
`
