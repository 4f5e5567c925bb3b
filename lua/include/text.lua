-- A text of a venue as a JSON string. Bytes of UTF-8 stay as they are.
local function quoted(text)
  local escaped = string.gsub(text, '[%c"\\]', function(sign) return string.format('\\u%04x', string.byte(sign)) end)
  return '"' .. escaped .. '"'
end
