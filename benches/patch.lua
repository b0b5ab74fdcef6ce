-- For wrk: one PATCH for each participant of a CSV file that `patchload sim --data` wrote, all made beforehand, sent in
-- turn.
-- wrk -s patch.lua URL -- FILE TOKEN
local requests, sent = {}, 0

function init(arguments)
  local file, token = arguments[1], arguments[2]
  local headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
  for line in io.lines(file) do
    local conversation, participant = line:match("^(%x+%-[%x-]+),(%x+%-[%x-]+),")
    if conversation then
      local path = "/api/v2/conversations/" .. conversation .. "/participants/" .. participant .. "/attributes"
      local body = '{"attributes": {"tier": "gold", "ref": "r-' .. #requests .. '"}}'
      requests[#requests + 1] = wrk.format("PATCH", path, headers, body)
    end
  end
end

function request()
  sent = sent % #requests + 1
  return requests[sent]
end
